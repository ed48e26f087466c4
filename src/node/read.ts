/**
 * Read: moves the user's mark to what this connection was told, so that another
 * device begins after it. A seq alone lies once Redis lost data, and a `read` can
 * cross a `reset` on the wire: without an epoch it is taken only as far as this
 * connection was told messages of the present one, never to mark what nobody saw.
 */
import type { Broker } from '../broker/broker.ts';
import type { Session } from '../core/session.ts';
import type { ReadFrame } from '../protocol/messages.ts';
import { inboxOf } from '../protocol/names.ts';
import type { Position } from '../protocol/position.ts';
import { Refusal } from './refusal.ts';
import type { Relay } from './relay.ts';

/** Resolves once the store has the mark. Throws or rejects with a `Refusal` where the position is none of the inbox. */
export async function markRead(
  broker: Broker,
  relay: Pick<Relay, 'stream'>,
  session: Session,
  { seq, epoch }: ReadFrame,
): Promise<void> {
  const room = inboxOf(session.user);
  const told: Position | null | undefined =
    session.subscriptions.get(room)?.behind ?? relay.stream(room)?.cursor;
  if (!told) throw new Refusal('unavailable', 'your inbox is catching up with Redis; mark it again');
  if (epoch === undefined && seq > told.seq) throw beyond(seq, told.seq);
  if (await broker.markRead(room, { epoch: epoch ?? told.epoch, seq })) return;
  throw beyond(seq, told.seq);
}

function beyond(seq: number, top: number): Refusal {
  return new Refusal(
    'bad_request',
    `read takes the "seq" of a message of your inbox that is not lost, at most ${top} now; got ${seq}`,
  );
}
