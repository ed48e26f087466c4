/**
 * Publishes, in lanes: one per connection and room, so that a publisher's
 * messages keep their order while different lanes share the link freely. Every
 * publish carries an idempotency key (the client's, or one minted here), which
 * is what makes sending it again after an unknown outcome safe. The rules of a
 * lane are in lane.ts; here they meet the link, the clock and the script.
 */
import type { Clock, Random, Timer } from '../../core/clock.ts';
import { Fifo } from '../../core/fifo.ts';
import { logTtlS, messagesKept, metaTtlS, type RetentionSettings } from '../../core/retention.ts';
import { INBOX_PREFIX, isInboxRoom } from '../../protocol/names.ts';
import { BrokerError, type PublishRequest, type Receipt } from '../broker.ts';
import type { CommandLink, ScriptCall } from './command-link.ts';
import { encodeLogged } from './envelope.ts';
import type { Keys } from './keys.ts';
import { Lane, type Pending, type Settlement } from './lane.ts';
import type { Outcome } from './outcome.ts';
import { answerOf, wantsPause } from './publish-answer.ts';

export interface PublisherSettings extends RetentionSettings {
  readonly redisDeadlineMs: number;
  readonly retryBudgetMs: number;
  readonly onceTtlMs: number;
  /** Publishes of one lane without an answer; 0: no limit. */
  readonly limitInFlight: number;
}

export interface PublisherOptions {
  readonly settings: PublisherSettings;
  readonly link: Pick<CommandLink, 'usable' | 'deadlineIn' | 'sendBatch' | 'flush' | 'onUsable'>;
  readonly keys: Pick<Keys, 'meta' | 'log' | 'once' | 'channel'>;
  readonly clock: Clock;
  readonly random: Random;
}

interface Publish extends Pending {
  readonly request: PublishRequest;
  readonly key: string;
  readonly logged: string;
  readonly resolve: (receipt: Receipt) => void;
  readonly reject: (error: BrokerError) => void;
}

interface LaneState {
  readonly lane: Lane<Publish, Receipt>;
  /** Of the lane's room, made once. */
  readonly meta: string;
  readonly log: string;
  readonly channel: string;
  /** After a refusal that decides nothing yet: Redis is asked again after a pause, not in a loop. */
  pause: Timer | undefined;
  /** It is among the lanes that want to send. */
  isDue: boolean;
  /** Nothing was published since the last sweep. */
  isIdle: boolean;
}

/** Payloads waiting in all lanes together; above it publishes are refused. 64 MiB is seconds of a node's traffic. */
export const WAITING_BYTES_MAX = 64 * 1024 * 1024;
/** Publishes that are out together, a batch more or less: some 50 ms of Redis' time. What waits here is certainly not applied. */
export const WINDOW_PUBLISHES = 2_000;
/** What a waiting publish costs beside its payload. */
const PUBLISH_OVERHEAD_BYTES = 512;
const RETRY_PAUSE_MS = 50;
/** Retry budgets that a minted key is remembered for: its last resend leaves within the first. At 4,000 publishes/s two minutes would be half a million keys. */
const MINTED_TTL_BUDGETS = 2;
/** How exactly a retry budget ends. */
const GIVE_UP_EVERY_MS = 100;

export class Publisher {
  readonly #options: PublisherOptions;
  /** An empty lane is forgotten by the second sweep that finds it so: whoever publishes steadily keeps theirs. */
  readonly #lanes = new Map<string, LaneState>();
  /** Lanes that want to send, the one that waits longest first. */
  readonly #due = new Fifo<LaneState>();
  #out = 0;
  /** Publishes without an end yet, in all lanes. */
  #waiting = 0;
  /** Nobody can guess it, so no client's key can meet a minted one; nor can anybody foresee an epoch. */
  readonly #secret: string;
  /** ARGV 4 to 7 of publish.lua: how long and how much is kept. */
  readonly #roomLimits: Limits;
  readonly #inboxLimits: Limits;
  #minted = 0;
  #waitingBytes = 0;
  #turnAsked = false;
  #down: string | undefined;
  #stopping: string | undefined;
  #sweep: Timer | undefined;
  #whenEmpty: (() => void) | undefined;

  constructor(options: PublisherOptions) {
    this.#options = options;
    this.#secret = options.random.token();
    this.#roomLimits = limitsOf('', options.settings);
    this.#inboxLimits = limitsOf(INBOX_PREFIX, options.settings);
    options.link.onUsable((usable) => {
      if (usable) for (const state of this.#lanes.values()) this.#ask(state);
    });
  }

  start(): void {
    this.#sweep ??= this.#options.clock.every(GIVE_UP_EVERY_MS, () => this.#giveUp());
  }

  publish(request: PublishRequest): Promise<Receipt> {
    const { settings, clock } = this.#options;
    const away = this.#stopping ?? this.#down;
    if (away !== undefined) return refused('unavailable', away);
    // No name contains a newline, so two pairs cannot share a lane.
    const state = this.#laneOf(`${request.lane}\n${request.room}`, request.room);
    if (settings.limitInFlight > 0 && state.lane.size >= settings.limitInFlight) {
      return refused(
        'rate_limited',
        `${settings.limitInFlight} publishes of this connection wait in the room`,
      );
    }
    const bytes = Buffer.byteLength(request.body) + PUBLISH_OVERHEAD_BYTES;
    if (this.#waitingBytes + bytes > WAITING_BYTES_MAX)
      return refused('unavailable', 'too much waits for Redis');
    this.#waitingBytes += bytes;
    this.#waiting += 1;
    return new Promise((resolve, reject) => {
      state.lane.add({
        request,
        key: request.key ?? `~${this.#mint()}`,
        logged: encodeLogged(request.body),
        bytes,
        giveUpMs: clock.now() + settings.retryBudgetMs,
        resolve,
        reject,
      });
      this.#ask(state);
    });
  }

  /** Whether publishes are refused at once. Going down refuses also what waits and was certainly not applied. */
  setDown(down: boolean): void {
    this.#down = down ? 'Redis is away; nothing was stored' : undefined;
    if (this.#down === undefined) return;
    for (const state of this.#lanes.values()) this.#settle(state, state.lane.refuseWaiting(this.#down));
  }

  /** Resolves when nothing waits any more, at the latest after `withinMs`. New publishes are refused from now on. */
  finish(withinMs: number): Promise<void> {
    this.#stopping = 'the node is stopping';
    if (this.#waiting === 0) return Promise.resolve();
    return new Promise((resolve) => {
      const timer = this.#options.clock.after(withinMs, resolve);
      this.#whenEmpty = () => {
        timer.cancel();
        resolve();
      };
    });
  }

  /** Ends everything that still waits with what is known of it. */
  stop(): void {
    this.#sweep?.cancel();
    this.#stopping = 'the node has stopped';
    for (const state of this.#lanes.values()) {
      state.pause?.cancel();
      this.#settle(state, state.lane.giveUp(Number.POSITIVE_INFINITY));
    }
  }

  /** Lanes leave together at the end of the turn, so that publishes of one turn share a batch. */
  #ask(state: LaneState): void {
    if (!state.isDue) {
      state.isDue = true;
      this.#due.push(state);
    }
    this.#askTurn();
  }

  #askTurn(): void {
    if (this.#turnAsked || this.#due.size === 0 || this.#out >= WINDOW_PUBLISHES) return;
    this.#turnAsked = true;
    this.#options.clock.afterTurn(() => {
      this.#turnAsked = false;
      while (this.#out < WINDOW_PUBLISHES) {
        const state = this.#due.shift();
        if (state === undefined) break;
        state.isDue = false;
        this.#sendNext(state);
      }
      this.#options.link.flush();
    });
  }

  #sendNext(state: LaneState): void {
    const { link, clock, settings } = this.#options;
    if (!link.usable || state.pause !== undefined) return;
    const batch = state.lane.take();
    const [first] = batch;
    if (first === undefined) return;
    // One deadline for all, the oldest one's: none of them may land after an earlier one has expired,
    // and nothing lands after its caller gave up.
    const leftMs = Math.min(settings.redisDeadlineMs, Math.max(0, first.giveUpMs - clock.now()));
    const deadline = link.deadlineIn(leftMs);
    const calls = batch.map((publish) => this.#call(state, publish, deadline));
    this.#out += batch.length;
    void link.sendBatch('publish', calls).then((outcomes) => this.#answered(state, outcomes));
  }

  #call(state: LaneState, { request, key, logged }: Publish, deadline: string): ScriptCall {
    const { room, user } = request;
    const limits = isInboxRoom(room) ? this.#inboxLimits : this.#roomLimits;
    return {
      keys: [state.meta, state.log, this.#options.keys.once(room, user, key)],
      args: [
        logged,
        state.channel,
        'PUBLISH',
        ...(request.key === undefined ? limits.minted : limits.given),
        this.#mint(),
        deadline,
      ],
    };
  }

  #answered(state: LaneState, outcomes: readonly Outcome[]): void {
    const answers = outcomes.map(answerOf);
    this.#out -= outcomes.length;
    this.#askTurn();
    this.#settle(state, state.lane.answered(answers));
    if (state.lane.size === 0) return;
    if (outcomes.some((outcome, index) => wantsPause(outcome, answers[index]))) {
      state.pause = this.#options.clock.after(RETRY_PAUSE_MS, () => {
        state.pause = undefined;
        this.#ask(state);
      });
    } else this.#ask(state);
  }

  #giveUp(): void {
    const nowMs = this.#options.clock.now();
    for (const [name, state] of this.#lanes) {
      if (state.lane.size > 0) this.#settle(state, state.lane.giveUp(nowMs));
      else if (state.isIdle) this.#lanes.delete(name);
      else state.isIdle = true;
    }
  }

  #settle(state: LaneState, settlements: readonly Settlement<Publish, Receipt>[]): void {
    for (const { publish, ending } of settlements) {
      this.#waitingBytes -= publish.bytes;
      this.#waiting -= 1;
      if (ending.kind === 'applied') publish.resolve(receiptFor(publish.request, ending.value));
      else publish.reject(new BrokerError(ending.kind, ending.message));
    }
    if (state.lane.size > 0) return;
    state.pause?.cancel();
    state.pause = undefined;
    if (this.#waiting === 0) this.#whenEmpty?.();
  }

  #laneOf(name: string, room: string): LaneState {
    let state = this.#lanes.get(name);
    if (state === undefined) {
      const { keys } = this.#options;
      state = {
        lane: new Lane(),
        meta: keys.meta(room),
        log: keys.log(room),
        channel: keys.channel(room),
        pause: undefined,
        isDue: false,
        isIdle: false,
      };
      this.#lanes.set(name, state);
    }
    state.isIdle = false;
    return state;
  }

  #mint(): string {
    this.#minted += 1;
    return `${this.#secret}.${this.#minted.toString(36)}`;
  }
}

/** Under a key minted here only our own resend can meet itself: to its caller the publish was made once. */
function receiptFor(request: PublishRequest, receipt: Receipt): Receipt {
  return request.key === undefined && receipt.duplicate ? { ...receipt, duplicate: false } : receipt;
}

interface Limits {
  /** Under a key the client gave, which it may repeat for as long as it was promised. */
  readonly given: readonly string[];
  /** Under a key minted here, which nobody repeats once the publisher has given up. */
  readonly minted: readonly string[];
}

/** Of any room of the kind that a name like this has. */
function limitsOf(room: string, settings: PublisherSettings): Limits {
  const kept = [messagesKept(room, settings), logTtlS(room, settings), metaTtlS(room, settings)].map(String);
  const mintedTtlMs = Math.min(settings.onceTtlMs, MINTED_TTL_BUDGETS * settings.retryBudgetMs);
  return { given: [String(settings.onceTtlMs), ...kept], minted: [String(mintedTtlMs), ...kept] };
}

function refused(code: 'unavailable' | 'rate_limited', message: string): Promise<never> {
  return Promise.reject(new BrokerError(code, message));
}
