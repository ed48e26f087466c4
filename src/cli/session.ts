/**
 * One conversation with a server in the documented protocol: hello, then requests with their replies. It
 * ends with its connection; starting again and resuming is follow.ts. Every frame, replies included, also
 * goes to `onFrame` in the order of arrival, because a promise continues only after the messages that came
 * in the same packet behind its reply, and a member must not see those first.
 */
import type { Clock } from '../core/clock.ts';
import { maskUrl, safeText } from '../ops/redact.ts';
import { CLOSES } from '../protocol/codes.ts';
import type { ClosingFrame, ServerFrame, WelcomeFrame } from '../protocol/messages.ts';
import { Replies, type Request } from './replies.ts';
import { openSocket, type Socket, type SocketEnd } from './socket.ts';
import { Failure } from './terminal.ts';

export interface SessionOptions {
  readonly url: string;
  readonly user?: string;
  readonly version: string;
  readonly clock: Clock;
  onFrame?(frame: ServerFrame): void;
}

export interface Ending extends SocketEnd {
  /** What the server announced before it closed, and when, by `clock.now()`. */
  readonly closing?: ClosingFrame;
  readonly closingAt?: number;
}

export interface Session {
  readonly welcome: WelcomeFrame;
  /** Resolves with the reply; rejects with `Refused`, or with `Failure` where none comes. */
  request(frame: Request): Promise<ServerFrame>;
  /** Sends without asking for a reply. */
  tell(frame: Request): void;
  /** Closes and waits until it is closed. Never rejects. */
  close(): Promise<void>;
  /** Resolves once, when the connection has ended for whatever reason. */
  readonly ended: Promise<Ending>;
}

/** Connects and says hello. Rejects with `Failure` where the server cannot be reached or is none of ours. */
export async function openSession(options: SessionOptions): Promise<Session> {
  const conversation = new Conversation(options);
  const welcome = await conversation.hello();
  return {
    welcome,
    request: (frame) => conversation.replies.request(frame),
    tell: (frame) => conversation.socket.send(JSON.stringify(frame)),
    close: async () => {
      conversation.socket.close();
      await conversation.ended;
    },
    ended: conversation.ended,
  };
}

class Conversation {
  readonly replies: Replies;
  readonly socket: Socket;
  readonly ended: Promise<Ending>;
  readonly #options: SessionOptions;
  readonly #opened: Promise<void>;
  #heardAt: number;
  #closing: ClosingFrame | undefined;
  #closingAt: number | undefined;

  constructor(options: SessionOptions) {
    this.#options = options;
    this.#heardAt = options.clock.now();
    let opened = (): void => {};
    let finish = (_ending: Ending): void => {};
    this.#opened = new Promise((resolve) => {
      opened = resolve;
    });
    this.ended = new Promise((resolve) => {
      finish = resolve;
    });
    this.socket = openSocket(options.url, {
      opened: () => opened(),
      heard: () => {
        this.#heardAt = options.clock.now();
      },
      text: (text) => this.#receive(text),
      closed: (end) => finish({ ...end, closing: this.#closing, closingAt: this.#closingAt }),
    });
    this.replies = new Replies(options.clock, (text) => this.socket.send(text));
    void this.ended.then((ending) => this.replies.fail(new Failure(sayEnd(ending))));
  }

  async hello(): Promise<WelcomeFrame> {
    const { url, user, version, clock } = this.#options;
    const shown = safeText(maskUrl(url));
    const refused = this.ended.then((ending) => {
      throw new Failure(`cannot connect to ${shown}: ${sayEnd(ending)}`);
    });
    await Promise.race([this.#opened, refused]);
    refused.catch(() => {}); // From here on the end of the connection is told by `ended` and the replies.
    try {
      const reply = await this.replies.request({
        type: 'hello',
        user,
        client: { name: 'roomcast-cli', version },
      });
      if (reply.type !== 'welcome') throw new Failure(`${shown} does not answer hello with welcome`);
      this.#watchSilence(clock, reply.pingIntervalMs);
      return reply;
    } catch (error) {
      this.socket.terminate();
      throw error;
    }
  }

  /** A server sends a ping every `pingIntervalMs`. Without this a cut cable would look like a quiet room for ever. */
  #watchSilence(clock: Clock, pingIntervalMs: number): void {
    const watch = clock.every(pingIntervalMs, () => {
      if (clock.now() - this.#heardAt > 2 * pingIntervalMs) this.socket.terminate();
    });
    void this.ended.then(() => watch.cancel());
  }

  #receive(text: string): void {
    const frame = readFrame(text);
    if (frame === undefined) return;
    if (frame.type === 'closing') {
      this.#closing = frame;
      this.#closingAt = this.#options.clock.now();
    }
    this.#options.onFrame?.(frame);
    this.replies.settle(frame);
  }
}

/** A frame of the server, or undefined for what the protocol says to ignore. Its fields are trusted, as the server is ours. */
function readFrame(text: string): ServerFrame | undefined {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return undefined; // Something else listens there; the unanswered hello says so in words.
  }
  const isFrame =
    typeof value === 'object' && value !== null && 'type' in value && typeof value.type === 'string';
  return isFrame ? (value as ServerFrame) : undefined;
}

/** Why a connection ended, for people. */
export function sayEnd(ending: Ending): string {
  if (ending.refused !== undefined) return safeText(ending.refused);
  const reason = ending.closing?.reason || ending.reason || CLOSES[ending.code]?.meaning;
  if (reason !== undefined) return `closed by the server, ${ending.code}: ${safeText(reason)}`;
  return ending.code === 1006 ? 'the connection broke' : `closed by the server, ${ending.code}`;
}
