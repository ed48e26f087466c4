/**
 * Tells connections that Redis is away, and that it is back. `up` reaches a
 * connection only after each of its rooms was healed or reset: then "up" means
 * "you have everything again". What only Redis can answer is refused meanwhile, at
 * once, also where it was asked before. PROTOCOL "status".
 *
 * Told to all, a change is a walk over thousands of connections: a work of the
 * turn like any other.
 */
import { BrokerError, type BrokerErrorCode, type BrokerStatus } from '../broker/broker.ts';
import type { Hub } from '../core/hub.ts';
import type { Session } from '../core/session.ts';
import { encodeFrame } from '../protocol/encode.ts';
import type { FanOut } from './fan-out.ts';
import type { Turn, Work } from './turn.ts';

/** Looked at before the clock is read again; most have nothing to be told. */
const SESSIONS_PER_LOOK = 64;
const SESSIONS_PER_STEP = 256;

interface Walk {
  readonly status: BrokerStatus;
  readonly sessions: Iterator<Session>;
}

export class LinkStatus implements Work {
  listed = false;
  readonly #hub: Hub;
  readonly #fanOut: FanOut;
  readonly #turn: Turn;
  readonly #isLive: (room: string) => boolean;
  #status: BrokerStatus = 'down';
  /** How to refuse what waits for Redis now; each waits under a deadline of its own. */
  readonly #waiting = new Set<() => void>();
  /** Told `down` and not yet `up`. Where it is empty there is nobody to look for. */
  readonly #toldDown = new Set<Session>();
  /** What is told to all: the walk under way, and what changed since it began. */
  #walk: Walk | undefined;
  readonly #changes: BrokerStatus[] = [];
  /** The members of rooms that were healed. Iterators go on where they were, past who comes and goes. */
  readonly #healed: Iterator<{ readonly session: Session }>[] = [];

  constructor(hub: Hub, fanOut: FanOut, turn: Turn, isLive: (room: string) => boolean) {
    this.#hub = hub;
    this.#fanOut = fanOut;
    this.#turn = turn;
    this.#isLive = isLive;
  }

  get isUp(): boolean {
    return this.#status === 'up';
  }

  /** Refuses at once what needs Redis while it is away. */
  mustBeUp(): void {
    if (!this.isUp) throw away('unavailable');
  }

  /**
   * What was asked of Redis, but rejected as soon as it goes away: without this a request waits for its
   * deadline, and a client for seconds. The question itself goes on; who asks makes sure that its answer
   * is of no effect any more, or says `unknown_outcome`.
   */
  whileUp<T>(asked: Promise<T>, code: BrokerErrorCode = 'unavailable'): Promise<T> {
    return new Promise((resolve, reject) => {
      const refuse = () => reject(away(code));
      if (!this.isUp) refuse();
      this.#waiting.add(refuse);
      const answered = () => this.#waiting.delete(refuse);
      asked.then(resolve, reject).then(answered, answered);
    });
  }

  /** Right after `welcome`. */
  greet(session: Session): void {
    if (!this.isUp) this.#tellDown(session);
  }

  change(status: BrokerStatus): void {
    this.#status = status;
    if (status === 'down') for (const refuse of this.#waiting) refuse();
    // Away again before the walk that says it is back has begun: that one is spared, as many times as it flaps.
    if (status === 'down' && this.#changes.at(-1) === 'up') this.#changes.pop();
    if (this.#changes.at(-1) !== status) this.#changes.push(status);
    this.#turn.add(this);
  }

  /** The connection is gone: without this each that ends while Redis is away would be kept until it is back. */
  forget(session: Session): void {
    this.#toldDown.delete(session);
  }

  /** A room is contiguous again. */
  live(room: string): void {
    if (!this.isUp || this.#toldDown.size === 0) return;
    this.#healed.push(this.#hub.members(room)[Symbol.iterator]());
    this.#turn.add(this);
  }

  /** Called every second: who was behind when the room was healed has caught up meanwhile, and no room tells. */
  sweep(): void {
    if (this.isUp && this.#toldDown.size > 0) this.change('up');
  }

  /** The session left a room or joined its inbox: perhaps that was the last that is not healed. */
  roomsChanged(session: Session): void {
    if (this.isUp) this.#tellUpIfHealed(session);
  }

  step(turn: Turn): boolean {
    for (let looked = 1; this.#tellNext(); looked += 1) {
      if (looked % SESSIONS_PER_LOOK === 0 && (turn.isOver || looked >= SESSIONS_PER_STEP)) return true;
    }
    return false;
  }

  /** Looks at one session; false where all were. */
  #tellNext(): boolean {
    for (let walk = this.#currentWalk(); walk; walk = this.#currentWalk()) {
      const next = walk.sessions.next();
      if (!next.done) {
        if (walk.status === 'down') this.#tellDown(next.value);
        else if (this.isUp) this.#tellUpIfHealed(next.value);
        return true;
      }
      this.#walk = undefined;
    }
    for (let members = this.#healed[0]; members; members = this.#healed[0]) {
      const next = members.next();
      if (!next.done) {
        if (this.isUp) this.#tellUpIfHealed(next.value.session);
        return true;
      }
      this.#healed.shift();
    }
    return false;
  }

  #currentWalk(): Walk | undefined {
    const status = this.#walk ? undefined : this.#changes.shift();
    const sessions = status === 'down' ? this.#hub.sessions() : this.#toldDown;
    if (status) this.#walk = { status, sessions: sessions[Symbol.iterator]() };
    return this.#walk;
  }

  #tellDown(session: Session): void {
    if (this.#toldDown.has(session)) return;
    // What its rooms have waiting was heard before: it goes first.
    for (const subscription of session.subscriptions.values()) this.#fanOut.flushTo(subscription);
    this.#toldDown.add(session);
    session.connection.send(encodeFrame({ type: 'status', redis: 'down' }));
  }

  #tellUpIfHealed(session: Session): void {
    if (!this.#toldDown.has(session) || session.awaitsInbox) return;
    for (const subscription of session.subscriptions.values()) {
      if (!this.#isLive(subscription.room)) return;
      this.#fanOut.flushTo(subscription);
      // Perhaps only now, by what it was given.
      if (subscription.behind) return;
    }
    this.#toldDown.delete(session);
    session.connection.send(encodeFrame({ type: 'status', redis: 'up' }));
  }
}

function away(code: BrokerErrorCode): BrokerError {
  const outcome = code === 'unavailable' ? 'nothing was changed' : 'it may have been applied';
  return new BrokerError(code, `Redis is away; ${outcome}`);
}
