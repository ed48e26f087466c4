/**
 * Signals: typing, cursors, WebRTC offers. No seq, not stored, never to the
 * connection that sent them. They take the room's channel like messages do, so
 * that they reach every node; while Redis is away they still reach this one.
 */
import type { Broker, Signal } from '../broker/broker.ts';
import { textFrame } from '../core/frame.ts';
import type { Session, Subscription } from '../core/session.ts';
import { signalBody, signalFrame } from '../protocol/encode.ts';
import type { SignalFrame } from '../protocol/messages.ts';
import type { FanOut } from './fan-out.ts';
import { dataText, type PayloadSettings } from './publish.ts';

export function sendSignal(
  broker: Broker,
  session: Session,
  frame: SignalFrame,
  settings: PayloadSettings,
): void {
  const from = { user: session.user, connection: session.id };
  const body = Buffer.from(signalBody({ from, data: dataText(frame.data, settings) }));
  broker.signal(frame.room, { sender: session.id, to: frame.to, body });
}

/** A signal came through the broker: to the members it is meant for. */
export function deliverSignal(fanOut: FanOut, room: string, signal: Signal): void {
  const { sender, to } = signal;
  const isMeant = ({ session }: Subscription) => {
    if (session.id === sender) return false;
    if (!to) return true;
    return 'user' in to ? session.user === to.user : session.id === to.connection;
  };
  fanOut.append(room, textFrame(signalFrame(room, signal.body)), { audience: isMeant });
}
