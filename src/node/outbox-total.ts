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
/** Buffers counted before it is somebody else's turn: about a millisecond. */
const BUFFERS_PER_STEP = 5000;

export class OutboxTotal implements Work {
  listed = false;
  readonly #bytesMax: number;
  readonly #turn: Turn;
  readonly #sessions: () => Iterable<Session>;
  #close: (session: Session) => void = () => undefined;
  #unchecked = 0;
  /** Under way. */
  #count: HeldCount | undefined;

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
    if (this.#unchecked > this.#bytesMax / CHECKS_PER_CAP) this.check();
  }

  /** Called every second as well. Where nothing came to wait since the last time, there is nothing to look for in thousands of connections. */
  check(): void {
    if (this.#bytesMax > 0 && this.#unchecked > 0) this.#turn.add(this);
  }

  /** Counts on, a piece at a time: a thousand that stand still may be a million buffers. */
  step(turn: Turn): boolean {
    if (!this.#count) {
      // What comes to wait during the count may be behind where it is, and is looked at the next time.
      this.#unchecked = 0;
      this.#count = countOf(this.#bytesMax, this.#sessions());
    }
    if (this.#count?.add(turn)) return true;
    if (this.#count?.free(this.#bytesMax, this.#close, turn)) return true;
    this.#count = undefined;
    return false;
  }
}

/** Undefined where there is nothing to count: each counted for each is never less than what is held. */
function countOf(bytesMax: number, sessions: Iterable<Session>): HeldCount | undefined {
  const waiting = [...sessions].filter(({ connection }) => connection.waitingBytes > 0);
  const total = waiting.reduce((sum, { connection }) => sum + connection.waitingBytes, 0);
  return total > bytesMax ? new HeldCount(waiting) : undefined;
}

interface Holder {
  readonly session: Session;
  readonly buffers: readonly Buffer[];
  /** What is held for it alone: what its buffers cost beside their bytes, and what is no frame of ours. */
  readonly own: number;
  readonly waiting: number;
}

/** Bytes in memory for peers, each buffer once, counted over as many turns as that takes. */
class HeldCount {
  readonly #left: Iterator<Session>;
  readonly #holders: Holder[] = [];
  /** The largest last, once all are counted. */
  #bySize: Holder[] | undefined;
  readonly #holdersOf = new Map<Buffer, number>();
  #bytes = 0;

  constructor(sessions: readonly Session[]) {
    this.#left = sessions[Symbol.iterator]();
  }

  /** True while some are left to be counted. */
  add(turn: Turn): boolean {
    let counted = 0;
    for (let next = this.#left.next(); !next.done; next = this.#left.next()) {
      counted += this.#add(next.value);
      if (counted >= BUFFERS_PER_STEP || turn.isOver) return true;
    }
    return false;
  }

  /** Closes the largest until the rest holds at most `bytesMax`; true while it does not yet. */
  free(bytesMax: number, close: (session: Session) => void, turn: Turn): boolean {
    this.#bySize ??= this.#holders.sort((a, b) => a.waiting - b.waiting);
    let freed = 0;
    while (this.#bytes > bytesMax) {
      const largest = this.#bySize.pop();
      if (!largest) return false;
      this.#remove(largest);
      const { session, buffers } = largest;
      // Its peer may have taken it all since it was counted.
      if (!session.closed && session.connection.waitingBytes > 0) close(session);
      freed += 1 + buffers.length;
      if (freed >= BUFFERS_PER_STEP || turn.isOver) return true;
    }
    return false;
  }

  /** How many buffers it has. */
  #add(session: Session): number {
    const buffers = session.connection.backlog();
    const waiting = session.connection.waitingBytes;
    let own = waiting;
    for (const buffer of buffers) {
      const holders = this.#holdersOf.get(buffer) ?? 0;
      if (holders === 0) this.#bytes += buffer.length;
      this.#holdersOf.set(buffer, holders + 1);
      own -= buffer.length;
    }
    own = Math.max(0, own);
    this.#bytes += own;
    this.#holders.push({ session, buffers, own, waiting });
    return buffers.length;
  }

  #remove({ buffers, own }: Holder): void {
    for (const buffer of buffers) {
      const holders = (this.#holdersOf.get(buffer) ?? 0) - 1;
      if (holders === 0) this.#bytes -= buffer.length;
      this.#holdersOf.set(buffer, holders);
    }
    this.#bytes -= own;
  }
}
