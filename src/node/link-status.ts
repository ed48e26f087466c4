/**
 * Tells connections that Redis is away, and that it is back. `up` reaches a
 * connection only after each of its rooms was healed or reset: then "up" means
 * "you have everything again". What only Redis can answer is refused meanwhile, at
 * once, also where it was asked before. PROTOCOL "status".
 */
import { BrokerError, type BrokerErrorCode, type BrokerStatus } from '../broker/broker.ts';
import type { Hub } from '../core/hub.ts';
import type { Session } from '../core/session.ts';
import { encodeFrame } from '../protocol/encode.ts';
import type { FanOut } from './fan-out.ts';

export class LinkStatus {
  readonly #hub: Hub;
  readonly #fanOut: FanOut;
  readonly #isLive: (room: string) => boolean;
  #status: BrokerStatus = 'down';
  /** How to refuse what waits for Redis now; each waits under a deadline of its own. */
  readonly #waiting = new Set<() => void>();

  constructor(hub: Hub, fanOut: FanOut, isLive: (room: string) => boolean) {
    this.#hub = hub;
    this.#fanOut = fanOut;
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
    // What rooms have waiting was heard before: it goes first.
    this.#fanOut.flushAll();
    for (const session of this.#hub.sessions()) {
      if (status === 'down') this.#tellDown(session);
      else this.#tellUpIfHealed(session);
    }
    if (status === 'down') for (const refuse of this.#waiting) refuse();
  }

  /** A room is contiguous again. */
  live(room: string): void {
    if (!this.isUp) return;
    this.#fanOut.flush(room);
    for (const { session } of this.#hub.members(room)) this.#tellUpIfHealed(session);
  }

  /** Called every second: who was behind when the room was healed has caught up meanwhile, and no room tells. */
  sweep(): void {
    if (!this.isUp) return;
    for (const session of this.#hub.sessions()) this.#tellUpIfHealed(session);
  }

  /** The session left a room or joined its inbox: perhaps that was the last that is not healed. */
  roomsChanged(session: Session): void {
    if (this.isUp) this.#tellUpIfHealed(session);
  }

  #tellDown(session: Session): void {
    if (session.toldDown) return;
    session.toldDown = true;
    session.connection.send(encodeFrame({ type: 'status', redis: 'down' }));
  }

  #tellUpIfHealed(session: Session): void {
    if (!session.toldDown || session.awaitsInbox) return;
    for (const { room, behind } of session.subscriptions.values()) if (behind || !this.#isLive(room)) return;
    session.toldDown = false;
    session.connection.send(encodeFrame({ type: 'status', redis: 'up' }));
  }
}

function away(code: BrokerErrorCode): BrokerError {
  const outcome = code === 'unavailable' ? 'nothing was changed' : 'it may have been applied';
  return new BrokerError(code, `Redis is away; ${outcome}`);
}
