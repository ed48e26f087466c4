/**
 * One connection of a check: what it sends, what came, and waiting for what should come. A frame is taken
 * once, so a second copy of it is still there to be found. Every wait is bounded, and ends at once where
 * the connection ends or a promise was broken (witness.ts).
 */
import type { ErrorCode } from '../protocol/codes.ts';
import type {
  ErrorFrame,
  JoinedFrame,
  OkHistoryFrame,
  OkPresenceFrame,
  OkPublishFrame,
  ServerFrame,
  ServerType,
  WelcomeFrame,
} from '../protocol/messages.ts';
import { Deviation, show } from './outcome.ts';
import { describePattern, matches, type Pattern } from './pattern.ts';
import type { Clock, OpenWire, Wire, WireEnd, WireOptions } from './wire.ts';
import { Witness } from './witness.ts';

export interface PeerParts {
  readonly url: string;
  readonly open: OpenWire;
  readonly clock: Clock;
  /** The longest wait for a frame. */
  readonly timeoutMs: number;
}

export type FrameOf<T extends ServerType> = Extract<ServerFrame, { type: T }>;
type TypedPattern<T> = Pattern & { readonly type: T };

interface Waiter {
  readonly pattern: Pattern;
  settle(frame: ServerFrame | Deviation): void;
}

const FRAMES_SHOWN = 3;

export class Peer {
  readonly url: string;
  readonly witness = new Witness();
  /** Everything that came, in order. */
  readonly frames: ServerFrame[] = [];
  readonly ended: Promise<WireEnd>;
  /** Number of WebSocket pings that came. */
  pings = 0;
  protocol = '';
  extensions = '';
  end: WireEnd | undefined;
  /** By the clock of the run; meaningless before the end. */
  endedAtMs = 0;
  readonly #parts: PeerParts;
  readonly #wire: Wire;
  readonly #opened: Promise<void>;
  #untaken: ServerFrame[] = [];
  #waiters: Waiter[] = [];
  #lastId = 0;

  constructor(parts: PeerParts, options: Partial<WireOptions> = {}) {
    this.url = parts.url;
    this.#parts = parts;
    let opened = (): void => {};
    let ended = (_end: WireEnd): void => {};
    this.#opened = new Promise((resolve) => {
      opened = resolve;
    });
    this.ended = new Promise((resolve) => {
      ended = resolve;
    });
    const all = { protocols: ['roomcast.v1'], answerPings: true, ...options };
    this.#wire = parts.open(parts.url, all, {
      opened: ({ protocol, extensions }) => {
        this.protocol = protocol;
        this.extensions = extensions;
        opened();
      },
      text: (text) => this.#received(text),
      binary: (bytes) => {
        this.witness.binary(bytes);
        this.#fault();
      },
      pinged: () => {
        this.pings += 1;
      },
      closed: (end) => {
        this.end = end;
        this.endedAtMs = parts.clock.now();
        this.witness.ended(end);
        ended(end);
        this.#failWaiters(this.witness.deviation, `the end of the connection, ${sayEnd(end)}`);
      },
    });
  }

  /** Resolves once it is open; rejects with a `Deviation` where it is refused. */
  async opened(): Promise<this> {
    await Promise.race([this.#opened, this.ended]);
    if (this.end !== undefined) throw new Deviation(`a WebSocket at ${this.url}`, sayEnd(this.end));
    return this;
  }

  get wire(): Wire {
    return this.#wire;
  }

  get welcome(): WelcomeFrame {
    const found = this.frames.find((frame) => frame.type === 'welcome');
    if (found === undefined) throw new Deviation('a welcome', 'none so far');
    return found;
  }

  /** Sends a frame, or a batch, as one WebSocket message. */
  send(frame: object | readonly object[]): void {
    for (const one of [frame].flat() as { id?: unknown }[]) {
      if (typeof one.id === 'string' || typeof one.id === 'number') this.witness.asked(one.id);
    }
    this.#wire.send(JSON.stringify(frame));
  }

  /** An id that was not used on this connection. */
  newId(): string {
    this.#lastId += 1;
    return `q${this.#lastId}`;
  }

  /** Sends with a new id and resolves to the reply, success or error. */
  async request(frame: Pattern, extraMs = 0): Promise<ServerFrame> {
    const id = this.newId();
    this.send({ ...frame, id });
    return this.take({ id }, extraMs, `the reply to ${show(frame)}`);
  }

  /** Sends with a new id; the reply has to look like this. */
  async ask<T extends ServerType>(frame: Pattern, wanted: TypedPattern<T>): Promise<FrameOf<T>> {
    const reply = await this.request(frame);
    if (matches(wanted, reply)) return reply as FrameOf<T>;
    throw new Deviation(`${describePattern(wanted)} to ${show(frame)}`, show(reply));
  }

  /** Sends what has to be refused with this code. */
  async refused(frame: Pattern, code: ErrorCode, wanted: Pattern = {}): Promise<ErrorFrame> {
    return this.ask(frame, { ...wanted, type: 'error', code });
  }

  /** A busy server may say `unavailable`: it is asked again, as its `retryable` says, while the time lasts. */
  async join(room: string, fields: object = {}): Promise<JoinedFrame> {
    const { clock, timeoutMs } = this.#parts;
    const until = clock.now() + timeoutMs;
    for (;;) {
      const reply = await this.request({ type: 'join', room, ...fields });
      if (reply.type === 'joined') return reply;
      const again = reply.type === 'error' && reply.code === 'unavailable' && clock.now() < until;
      if (!again) throw new Deviation(`joined to a join of ${room}`, show(reply));
    }
  }

  async publish(room: string, data: unknown, key?: string): Promise<OkPublishFrame> {
    const reply = await this.ask({ type: 'publish', room, data, ...(key && { key }) }, { type: 'ok', room });
    return variant<OkPublishFrame>(reply, 'epoch');
  }

  async history(room: string, fields: object = {}): Promise<OkHistoryFrame> {
    const reply = await this.ask({ type: 'history', room, ...fields }, { type: 'ok', room });
    return variant<OkHistoryFrame>(reply, 'messages');
  }

  async presence(room: string): Promise<OkPresenceFrame> {
    const reply = await this.ask({ type: 'presence', room }, { type: 'ok', room });
    return variant<OkPresenceFrame>(reply, 'version');
  }

  /** The connection still works: asks for a pong. */
  async alive(): Promise<void> {
    await this.ask({ type: 'ping' }, { type: 'pong' });
  }

  /** Takes the first frame of this kind that nobody took, or waits for it. */
  take<T extends ServerType>(wanted: TypedPattern<T>, extraMs?: number): Promise<FrameOf<T>>;
  take(wanted: Pattern, extraMs?: number, what?: string): Promise<ServerFrame>;
  take(wanted: Pattern, extraMs = 0, what = describePattern(wanted)): Promise<ServerFrame> {
    const { deviation } = this.witness;
    if (deviation !== undefined) return Promise.reject(deviation);
    const found = this.#untaken.find((frame) => matches(wanted, frame));
    if (found !== undefined) {
      this.#untaken = this.#untaken.filter((frame) => frame !== found);
      return Promise.resolve(found);
    }
    if (this.end !== undefined) return Promise.reject(new Deviation(what, sayEnd(this.end)));
    return this.#wait(wanted, this.#parts.timeoutMs + extraMs, what);
  }

  /** Frames of this kind that nobody took. */
  left(wanted: Pattern): ServerFrame[] {
    return this.#untaken.filter((frame) => matches(wanted, frame));
  }

  /** Nothing of this kind is there that nobody took, nor comes within `ms`. */
  async none(wanted: Pattern, ms: number): Promise<void> {
    const until = this.#parts.clock.now() + ms;
    do {
      const [found] = this.left(wanted);
      if (found) throw new Deviation(`no ${describePattern(wanted)}`, show(found));
      await new Promise<void>((resolve) => void this.#parts.clock.after(Math.min(ms, 50), resolve));
      if (this.witness.deviation) throw this.witness.deviation;
    } while (this.#parts.clock.now() < until);
  }

  /** The end of the connection, which the server has to bring about. */
  async closedBy(code: number, extraMs = 0): Promise<WireEnd> {
    const ms = this.#parts.timeoutMs + extraMs;
    const end = await within(this.#parts.clock, ms, this.ended);
    if (end === undefined) throw new Deviation(`close ${code}`, `an open connection after ${ms} ms`);
    if (end.code !== code) throw new Deviation(`close ${code}`, sayEnd(end));
    return end;
  }

  /** As a pulled cable. */
  async drop(): Promise<void> {
    this.#wire.terminate();
    await this.ended;
  }

  async close(): Promise<void> {
    this.#wire.close();
    await this.ended;
  }

  #received(text: string): void {
    const frame = this.witness.read(text);
    if (frame === undefined) {
      this.#fault();
      return;
    }
    this.frames.push(frame);
    const at = this.#waiters.findIndex(({ pattern }) => matches(pattern, frame));
    const [waiter] = at < 0 ? [] : this.#waiters.splice(at, 1);
    if (waiter === undefined) this.#untaken.push(frame);
    else waiter.settle(frame);
    this.#fault();
  }

  /** Whoever waits is told at once of a broken promise, not when the time is over. */
  #fault(): void {
    if (this.witness.deviation !== undefined) this.#failWaiters(this.witness.deviation, '');
  }

  #failWaiters(deviation: Deviation | undefined, came: string): void {
    const waiters = this.#waiters;
    this.#waiters = [];
    for (const waiter of waiters) {
      waiter.settle(deviation ?? new Deviation(describePattern(waiter.pattern), came));
    }
  }

  #wait(pattern: Pattern, ms: number, what: string): Promise<ServerFrame> {
    return new Promise((resolve, reject) => {
      const timer = this.#parts.clock.after(ms, () => {
        this.#waiters = this.#waiters.filter((one) => one !== waiter);
        reject(new Deviation(what, `nothing like it in ${ms} ms; ${this.#last()}`));
      });
      const waiter: Waiter = {
        pattern,
        settle: (frame) => {
          timer.cancel();
          if (frame instanceof Deviation) reject(frame);
          else resolve(frame);
        },
      };
      this.#waiters.push(waiter);
    });
  }

  #last(): string {
    const last = this.frames.slice(-FRAMES_SHOWN).map((frame) => show(frame));
    return last.length === 0 ? 'no frame at all' : `the last frames were ${last.join(' ')}`;
  }
}

/** The reply in the variant that has this field; the others are answers to something else. */
function variant<T>(reply: object, field: string): T {
  if (field in reply) return reply as T;
  throw new Deviation(`an ok with ${field}`, show(reply));
}

export function sayEnd(end: WireEnd): string {
  if (end.refused !== undefined) return end.refused.problem;
  return `close ${end.code}${end.reason === '' ? '' : ` (${show(end.reason)})`}`;
}

/** Undefined where it did not happen in time. */
export async function within<T>(clock: Clock, ms: number, event: Promise<T>): Promise<T | undefined> {
  let cancel = (): void => {};
  const late = new Promise<undefined>((resolve) => {
    const timer = clock.after(ms, () => resolve(undefined));
    cancel = () => timer.cancel();
  });
  try {
    return await Promise.race([event, late]);
  } finally {
    cancel();
  }
}
