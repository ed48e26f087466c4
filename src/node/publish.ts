/**
 * Publish: limits, then the broker. The message is encoded once, here; the
 * publisher's own copy comes back through the relay like everybody's.
 */
import type { Broker, Receipt } from '../broker/broker.ts';
import type { Session } from '../core/session.ts';
import { bytesOver, messageBody } from '../protocol/encode.ts';
import type { PublishFrame } from '../protocol/messages.ts';
import { Refusal } from './refusal.ts';

export interface PayloadSettings {
  readonly limitPayloadBytes: number;
}

/** Resolves once the message is stored. Throws a `Refusal` at once where the data is too large. */
export function publish(
  broker: Broker,
  session: Session,
  frame: Pick<PublishFrame, 'room' | 'data' | 'key'>,
  settings: PayloadSettings,
): Promise<Receipt> {
  const { room, key } = frame;
  const data = dataText(frame.data, settings);
  const from = { user: session.user, connection: session.id };
  const body = messageBody({ from, key, data });
  return broker.publish({ room, lane: session.id, user: session.user, key, body });
}

/** The JSON text of a payload, encoded once for everybody and checked against its limit. */
export function dataText(data: unknown, settings: PayloadSettings): string {
  const text = JSON.stringify(data);
  const bytes = bytesOver(text, settings.limitPayloadBytes);
  if (bytes > 0) {
    const max = settings.limitPayloadBytes;
    throw new Refusal('too_large', `"data" has ${bytes} bytes as JSON; at most ${max} are taken`);
  }
  return text;
}
