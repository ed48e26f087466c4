/**
 * Drain: a node goes away without a storm. Every connection is told its own
 * moment to come back, in random order over a spread, and is served until then.
 * Presence is not dropped: the store hands it over (PresenceStore.stop).
 */
import type { Clock, Random } from '../core/clock.ts';
import type { Hub } from '../core/hub.ts';
import type { Session } from '../core/session.ts';
import { CLOSE } from '../protocol/codes.ts';
import { encodeFrame } from '../protocol/encode.ts';

export interface DrainSettings {
  readonly drainSpreadMinMs: number;
  readonly drainSpreadMaxMs: number;
}

/** Reconnects a second that the rest of the fleet is asked to take. */
const RECONNECTS_PER_SECOND = 500;
const ANNOUNCED_PER_TURN = 256;
const REASON = 'this node is being drained; come back when told';

/** How long the reconnects of so many connections are spread. */
export function spreadMs(connections: number, settings: DrainSettings): number {
  if (connections === 0) return 0;
  const wanted = Math.max(settings.drainSpreadMinMs, (connections / RECONNECTS_PER_SECOND) * 1000);
  return Math.min(wanted, settings.drainSpreadMaxMs);
}

/** One connection and its moment. */
export interface Slot {
  readonly session: Session;
  readonly afterMs: number;
}

/** A moment for everybody who is here, in random order, evenly over the spread. */
export function slots(hub: Hub, random: Random, settings: DrainSettings): readonly Slot[] {
  const sessions = [...hub.sessions()];
  const spread = spreadMs(sessions.length, settings);
  return shuffled(sessions, random).map((session, place) => ({
    session,
    afterMs: Math.round((spread * (place + 1)) / sessions.length),
  }));
}

/** Resolves when every connection was closed at its slot. */
export async function drain(hub: Hub, clock: Clock, random: Random, settings: DrainSettings): Promise<void> {
  const closed: Promise<void>[] = [];
  for (const { session, afterMs } of slots(hub, random, settings)) {
    announce(session, afterMs);
    closed.push(closeAt(session, afterMs, clock));
    // All of them are served until they are closed: thousands of writes in one turn would be a pause for each.
    if (closed.length % ANNOUNCED_PER_TURN === 0) await turnOf(clock);
  }
  await Promise.all(closed);
}

function turnOf(clock: Clock): Promise<void> {
  return new Promise((resolve) => clock.afterTurn(resolve));
}

function announce(session: Session, afterMs: number): void {
  session.connection.send(
    encodeFrame({ type: 'closing', code: CLOSE.drain, reason: REASON, reconnect: 'after', afterMs }),
  );
}

function closeAt(session: Session, afterMs: number, clock: Clock): Promise<void> {
  return new Promise((resolve) => {
    clock.after(afterMs, () => {
      session.connection.close(CLOSE.drain, REASON);
      resolve();
    });
  });
}

function shuffled(sessions: readonly Session[], random: Random): Session[] {
  const order = [...sessions];
  for (let last = order.length - 1; last > 0; last -= 1) {
    const other = Math.floor(random.fraction() * (last + 1));
    const a = order[last];
    const b = order[other];
    if (a && b) [order[last], order[other]] = [b, a];
  }
  return order;
}
