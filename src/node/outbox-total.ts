/**
 * The node-wide cap on what waits for peers that read too slowly. Each
 * connection is bounded for itself; thousands of them together may still be more
 * memory than the node has. Then the largest go first: they hold the most and
 * read the least, and they resume by their position.
 *
 * What is counted is what is held: a message that waits for a thousand members
 * of a room is one buffer, and is counted once.
 */
import type { Session } from '../core/session.ts';
import type { Turn, Work } from './turn.ts';

/** The sum is taken each time so much of the cap came to wait, not for each write. */
const CHECKS_PER_CAP = 8;

export class OutboxTotal implements Work {
  listed = false;
  readonly #bytesMax: number;
  readonly #turn: Turn;
  readonly #sessions: () => Iterable<Session>;
  #close: (session: Session) => void = () => undefined;
  #unchecked = 0;

  /** 0 = no limit. */
  constructor(bytesMax: number, turn: Turn, sessions: () => Iterable<Session>) {
    this.#bytesMax = bytesMax;
    this.#turn = turn;
    this.#sessions = sessions;
  }

  /** How the largest are closed. */
  closeWith(close: (session: Session) => void): void {
    this.#close = close;
  }

  /** A connection was given so much that its peer has not taken. */
  grew(bytes: number): void {
    this.#unchecked += bytes;
    // Not here: it is in the middle of a write, and the largest may be who is written to.
    if (this.#bytesMax > 0 && this.#unchecked > this.#bytesMax / CHECKS_PER_CAP) this.#turn.add(this);
  }

  step(): boolean {
    this.check();
    return false;
  }

  check(): void {
    this.#unchecked = 0;
    for (const session of largestOver(this.#bytesMax, this.#sessions())) this.#close(session);
  }
}

/** The sessions to close so that the rest holds at most `bytesMax`, the largest first. 0 = no limit. */
export function largestOver(bytesMax: number, sessions: Iterable<Session>): readonly Session[] {
  if (bytesMax === 0) return [];
  const queued: Session[] = [];
  let total = 0;
  for (const session of sessions) {
    const bytes = session.connection.queuedBytes;
    if (bytes === 0) continue;
    queued.push(session);
    total += bytes;
  }
  // Each counted for each is never less than what is held: most often that is enough to know.
  if (total <= bytesMax) return [];
  const held = new Held();
  for (const session of queued) held.add(session);
  const over: Session[] = [];
  queued.sort((a, b) => b.connection.queuedBytes - a.connection.queuedBytes);
  for (const session of queued) {
    if (held.bytes <= bytesMax) break;
    held.remove(session);
    over.push(session);
  }
  return over;
}

/** Bytes in memory for peers, each buffer once. */
class Held {
  bytes = 0;
  readonly #holders = new Map<Buffer, number>();

  add(session: Session): void {
    for (const buffer of session.connection.backlog()) {
      const holders = this.#holders.get(buffer) ?? 0;
      if (holders === 0) this.bytes += buffer.length;
      this.#holders.set(buffer, holders + 1);
    }
    this.bytes += own(session);
  }

  remove(session: Session): void {
    for (const buffer of session.connection.backlog()) {
      const holders = (this.#holders.get(buffer) ?? 0) - 1;
      if (holders === 0) this.bytes -= buffer.length;
      this.#holders.set(buffer, holders);
    }
    this.bytes -= own(session);
  }
}

/** What waits that is no frame of ours, as pongs. */
function own({ connection }: Session): number {
  let bytes = connection.queuedBytes;
  for (const buffer of connection.backlog()) bytes -= buffer.length;
  return Math.max(0, bytes);
}
