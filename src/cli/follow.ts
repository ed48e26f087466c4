/**
 * Stays in one room until told to stop, over as many connections as that takes: after each end it connects
 * again, to whichever node answers, and rejoins from the position of its subscription, so that nothing is
 * missed and nothing comes twice. Where that could not be had, it says so.
 */
import type { JoinFrame } from '../protocol/messages.ts';
import type { Position } from '../protocol/position.ts';
import { reconnectDelayMs, STABLE_MS } from './reconnect.ts';
import { Refused, type Request, Unanswered } from './replies.ts';
import { type Ending, openSession, type Session, sayEnd } from './session.ts';
import { Subscription, type SubscriptionEvents } from './subscription.ts';
import { Failure, type Terminal } from './terminal.ts';

export interface FollowOptions {
  readonly url: string;
  readonly room: string;
  readonly user?: string;
  readonly since?: Position;
  readonly history?: number;
  readonly presence: 'full' | 'count' | 'none';
}

type Surroundings = Pick<Terminal, 'clock' | 'random' | 'version'>;

const REJOIN_BASE_MS = 500;
const REJOIN_CAP_MS = 10_000;

export class Follower {
  readonly #options: FollowOptions;
  readonly #surroundings: Surroundings;
  readonly #note: (text: string) => void;
  readonly #subscription: Subscription;
  readonly #stopping: Promise<undefined>;
  #tellStopping = (_nothing: undefined): void => {};
  #stopped = false;
  #session: Session | undefined;
  #user: string | undefined;
  #failure: Failure | undefined;

  constructor(options: FollowOptions, events: Omit<SubscriptionEvents, 'left'>, surroundings: Surroundings) {
    this.#options = options;
    this.#surroundings = surroundings;
    this.#note = events.note;
    this.#user = options.user;
    this.#stopping = new Promise((resolve) => {
      this.#tellStopping = resolve;
    });
    this.#subscription = new Subscription(options.room, options.since, {
      ...events,
      left: (reason) => {
        this.#failure = new Failure(`put out of the room: ${reason}`);
        this.stop();
      },
    });
  }

  /** What to give as `since` to go on from here. */
  get position(): Position | undefined {
    return this.#subscription.position;
  }

  /** The name the server knows this user by, also where none was given; undefined before the first welcome. */
  get user(): string | undefined {
    return this.#user;
  }

  /** Ends `run` after leaving the room. No event follows. */
  stop(): void {
    this.#stopped = true;
    this.#subscription.end();
    this.#tellStopping(undefined);
  }

  /** Asks in the present connection, if there is one; the reply arrives as an event. */
  ask(frame: Request): void {
    this.#session?.request(frame).catch((error: unknown) => {
      this.#note(error instanceof Error ? error.message : String(error));
    });
  }

  /**
   * Resolves after `stop`. Rejects with `Failure` where going on makes no sense: the first connection
   * failed, the server refused for good, or this user was put out of the room.
   */
  async run(): Promise<void> {
    const { clock, random } = this.#surroundings;
    for (let failures = 1; !this.#stopped; failures++) {
      const startedAt = clock.now();
      const ending = await this.#connectOnce();
      if (this.#failure !== undefined) throw this.#failure;
      if (ending === undefined || this.#stopped) return;
      if (clock.now() - startedAt >= STABLE_MS) failures = 1;
      const spread = this.#session?.welcome.reconnect ?? { minMs: 0, maxMs: 0 };
      const delayMs = reconnectDelayMs({ ending, failures, spread, nowMs: clock.now() }, random.fraction());
      if (delayMs === undefined) throw new Failure(`${sayEnd(ending)}; the server asks not to come back`);
      this.#note(`${sayEnd(ending)}; connecting again in ${(delayMs / 1000).toFixed(1)} s`);
      await this.#pause(delayMs);
    }
  }

  /** One connection from hello to its end. Undefined: stopped before it began. */
  async #connectOnce(): Promise<Ending | undefined> {
    const session = await this.#open();
    if (session === undefined || 'code' in session) return session;
    this.#session = session;
    // An anonymous name is given back on reconnecting: presence then sees one user, not two.
    this.#user = session.welcome.user;
    let unanswered: Ending | undefined;
    try {
      unanswered = await Promise.race([this.#join(session), this.#stopping]);
      if (unanswered === undefined) await Promise.race([session.ended, this.#stopping]);
      // Only a leave ends membership at once; after a mere close others would see this user 5 s longer.
      if (this.#stopped) session.tell({ type: 'leave', room: this.#options.room });
    } finally {
      await session.close();
    }
    return unanswered ?? session.ended;
  }

  /** The first attempt throws its failure; later ones return it, because a server that was there comes back. */
  async #open(): Promise<Session | Ending | undefined> {
    const { clock, version } = this.#surroundings;
    const onFrame = this.#subscription.receive.bind(this.#subscription);
    const opening = openSession({ url: this.#options.url, user: this.#user, version, clock, onFrame });
    try {
      const session = await Promise.race([opening, this.#stopping]);
      // Stopped: close what opens all the same. Its failure concerns nobody any more.
      if (session === undefined) void opening.then((late) => late.close()).catch(() => {});
      return session;
    } catch (error) {
      if (this.#session === undefined || !(error instanceof Failure)) throw error;
      return { code: 1006, reason: '', refused: error.message };
    }
  }

  /** Returns how it ended where the server stays silent; else undefined, joined or not: `ended` tells the rest. */
  async #join(session: Session): Promise<Ending | undefined> {
    for (let tries = 0; !this.#stopped; tries++) {
      try {
        await session.request(this.#joinFrame());
        return undefined;
      } catch (error) {
        if (error instanceof Unanswered) return { code: 1006, reason: '', refused: error.message };
        if (!(error instanceof Refused)) return undefined; // The connection ended.
        if (!error.frame.retryable) throw error;
        const jitterMs =
          this.#surroundings.random.fraction() * Math.min(REJOIN_CAP_MS, REJOIN_BASE_MS * 2 ** tries);
        this.#note(`${error.message}; joining again`);
        await this.#pause(error.frame.retryAfterMs ?? jitterMs, session.ended);
      }
    }
    return undefined;
  }

  #joinFrame(): Omit<JoinFrame, 'id'> {
    const { room, presence, history } = this.#options;
    const since = this.#subscription.position;
    // From the first position on, `since` replaces `history`: the protocol takes one of them.
    return since === undefined
      ? { type: 'join', room, presence, history }
      : { type: 'join', room, presence, since };
  }

  async #pause(ms: number, orUntil: Promise<unknown> = this.#stopping): Promise<void> {
    let wake = (): void => {};
    const over = new Promise<void>((resolve) => {
      wake = resolve;
    });
    const timer = this.#surroundings.clock.after(ms, wake);
    await Promise.race([over, this.#stopping, orUntil]);
    timer.cancel();
  }
}
