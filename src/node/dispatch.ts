/**
 * From the text of one connection to use cases, in order: parse, find the
 * session, and per room wait for what must come first. Every request with an
 * `id` gets exactly one reply, whatever happens to it.
 */
import type { Clock, Timer } from '../core/clock.ts';
import type { Connection } from '../core/connection.ts';
import type { Logger } from '../core/logger.ts';
import { PerMinute } from '../core/rate-limit.ts';
import type { FrameKind } from '../core/room-queue.ts';
import type { Session } from '../core/session.ts';
import { CLOSE } from '../protocol/codes.ts';
import { encodeFrame } from '../protocol/encode.ts';
import type { ClientFrame } from '../protocol/messages.ts';
import { type Parsed, parseText } from '../protocol/parse.ts';
import { Refusal, refusalOf } from './refusal.ts';
import { closeWith, type RequestId, sendError } from './replies.ts';
import { type RoomFrame, type RoomRequests, roomOf } from './room-requests.ts';

export interface DispatchSettings {
  readonly helloTimeoutMs: number;
  readonly limitBatch: number;
  readonly limitRateSeconds: number;
  readonly limitBadFramesPerMinute: number;
  readonly limitInFlight: number;
}

export interface DispatchParts {
  readonly clock: Clock;
  readonly logger: Logger;
  readonly requests: RoomRequests;
  /** Begins the session; undefined where the connection was closed instead. */
  readonly hello: (
    connection: Connection,
    frame: Extract<ClientFrame, { type: 'hello' }>,
  ) => Session | undefined;
  readonly goodbye: (session: Session) => void;
  readonly settings: DispatchSettings;
}

/** What a client over the limit of frames under way is told to wait. */
const IN_FLIGHT_RETRY_MS = 100;

/**
 * JSON of one connection that may wait behind a join. Parsed, it is up to twenty times as much memory, and its rates and
 * sizes are looked at only when its turn comes: a join that is never answered, because its client does not read, would let
 * one connection fill the heap.
 */
const WAITING_CHARACTERS_MAX = 524_288;

/** One connection, from its upgrade to its end. */
export class Dispatcher {
  readonly #parts: DispatchParts;
  readonly #connection: Connection;
  /** Let go of with the first frame: an idle connection is to cost as little as it can. */
  #helloTimer: Timer | undefined;
  #session: Session | undefined;
  /** Here and not in the session: a hello that is not right is a bad frame like any other. */
  #badFrames: PerMinute | undefined;
  #ended = false;
  /** Of the frame that is carried out; each of a batch has its share. */
  #characters = 0;

  constructor(parts: DispatchParts, connection: Connection) {
    this.#parts = parts;
    this.#connection = connection;
    const ms = parts.settings.helloTimeoutMs;
    const tooLate = () => {
      if (!this.#helloTimer) return;
      this.#ended = true;
      closeWith(connection, CLOSE.noHello, `no first frame within ${ms} ms; say {"type":"hello"} first`);
    };
    // What came while this process was frozen is still in the socket; it counts.
    this.#helloTimer = parts.clock.after(ms, () => parts.clock.afterTurn(tooLate));
  }

  /** One text message was received. Never throws. */
  text(text: string): void {
    const frames = parseText(text, { batchMax: this.#parts.settings.limitBatch });
    this.#characters = text.length / frames.length;
    for (const parsed of frames) {
      if (this.#ended) return;
      this.#one(parsed);
    }
  }

  /** The socket is gone, however it went. */
  closed(): void {
    this.#heard();
    this.#ended = true;
    if (!this.#session || this.#session.closed) return;
    this.#parts.goodbye(this.#session);
  }

  #heard(): void {
    this.#helloTimer?.cancel();
    this.#helloTimer = undefined;
  }

  #one(parsed: Parsed): void {
    if (parsed.frame?.type === 'hello') {
      this.#hello(parsed.frame);
      return;
    }
    // A hello that is not right may be said again; anything else counts as preceded by an empty one.
    const faultyHello = parsed.error?.type === 'hello';
    const session = this.#session ?? (faultyHello ? undefined : this.#begin({ type: 'hello' }, parsed.frame));
    if (parsed.error) this.#refuseFrame(parsed);
    else if (session) this.#request(session, parsed.frame);
  }

  #hello(frame: Extract<ClientFrame, { type: 'hello' }>): void {
    if (!this.#session) {
      this.#begin(frame);
      return;
    }
    const message = 'this connection has said hello already; open another one to be somebody else';
    sendError(this.#connection, { id: frame.id, code: 'bad_request', message });
    this.#countBad();
  }

  /** `asked`: the frame that is answered where no session begins; the client knows nothing of a hello made up for it. */
  #begin(
    frame: Extract<ClientFrame, { type: 'hello' }>,
    asked: ClientFrame | undefined = frame,
  ): Session | undefined {
    try {
      this.#session = this.#parts.hello(this.#connection, frame);
      this.#heard();
      if (!this.#session) this.#ended = true;
    } catch (error) {
      this.#answerError(error, asked);
    }
    return this.#session;
  }

  #request(session: Session, frame: Exclude<ClientFrame, { type: 'hello' }>): void {
    switch (frame.type) {
      case 'ping':
        this.#connection.send(encodeFrame({ type: 'pong', id: frame.id }));
        return;
      case 'refresh':
        this.#unsupported(frame, 'no authentication is configured here, so there is no token to refresh');
        return;
      default:
        this.#roomRequest(session, frame);
    }
  }

  #roomRequest(session: Session, frame: RoomFrame): void {
    const full = this.#fullOf(session);
    if (full !== undefined) {
      const message = `${full} of this connection wait for a join already; wait for its reply`;
      this.#answerError(new Refusal('rate_limited', message, IN_FLIGHT_RETRY_MS), frame);
      return;
    }
    const task = () => this.#answered(session, frame);
    if (this.#parts.requests.passes(frame)) void task();
    else session.queue.run(roomOf(session, frame), kindOf(frame), task, this.#characters);
  }

  /** What is too much of what waits already; undefined where more may. */
  #fullOf({ queue }: Session): string | undefined {
    const { limitInFlight } = this.#parts.settings;
    if (limitInFlight > 0 && queue.waiting >= limitInFlight) return `${limitInFlight} frames`;
    return queue.waitingCharacters >= WAITING_CHARACTERS_MAX
      ? `frames of ${WAITING_CHARACTERS_MAX} characters`
      : undefined;
  }

  /** Settles once it is answered, and never fails. */
  #answered(session: Session, frame: RoomFrame): Promise<void> | undefined {
    try {
      return this.#parts.requests
        .handle(session, frame)
        ?.catch((error: unknown) => this.#answerError(error, frame));
    } catch (error) {
      this.#answerError(error, frame);
      return undefined;
    }
  }

  #unsupported(frame: { readonly id?: RequestId | undefined }, message: string): void {
    sendError(this.#connection, { id: frame.id, code: 'unsupported', message });
  }

  #refuseFrame(parsed: Extract<Parsed, { error: object }>): void {
    sendError(this.#connection, parsed.error);
    if (parsed.bad) this.#countBad();
  }

  #answerError(error: unknown, frame: { readonly id?: RequestId | undefined; readonly room?: string }): void {
    const { id, room } = frame;
    const refusal = refusalOf(error);
    if (!refusal) {
      const shown = error instanceof Error ? (error.stack ?? error.message) : String(error);
      this.#parts.logger.error(
        { connection: this.#connection.id, id, error: shown },
        'a request failed by a bug of ours',
      );
      sendError(this.#connection, {
        id,
        room,
        code: 'internal',
        message: 'a bug of the server; it was logged with this id',
      });
      return;
    }
    const { code, message, retryAfterMs } = refusal;
    sendError(this.#connection, { id, room, code, message, retryAfterMs });
    this.#countRefusal(refusal);
  }

  /** Over its rate in each of so many seconds in a row: the client does not listen to `rate_limited`. */
  #countRefusal(refusal: Refusal): void {
    const { limitRateSeconds } = this.#parts.settings;
    if (refusal.code !== 'rate_limited' || !this.#session || limitRateSeconds === 0) return;
    if (this.#session.refusals.note(this.#parts.clock.now()) < limitRateSeconds) return;
    this.#end(CLOSE.rateLimited, `over a rate in each of ${limitRateSeconds} seconds`);
  }

  #countBad(): void {
    const { clock, settings } = this.#parts;
    this.#badFrames ??= new PerMinute(settings.limitBadFramesPerMinute);
    if (!this.#badFrames.exceeds(clock.now())) return;
    this.#end(CLOSE.badFrames, `more than ${settings.limitBadFramesPerMinute} bad frames in a minute`);
  }

  #end(code: typeof CLOSE.rateLimited | typeof CLOSE.badFrames, reason: string): void {
    this.#ended = true;
    closeWith(this.#connection, code, reason);
  }
}

function kindOf({ type }: RoomFrame): FrameKind {
  if (type === 'leave') return 'leave';
  return type === 'publish' || type === 'send' ? 'publish' : 'other';
}
