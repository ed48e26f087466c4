/**
 * Keeps one connection to the server: opens it, says when it may be spoken on, watches that it lives, and
 * opens the next when it ended, at the pace the server asked for. What is said on it is not its concern.
 *
 * Timers of a page in the background fire late, so none of them decides alone: silence is first answered
 * with a `ping`, and only a peer that leaves that unanswered is let go. Coming back (network, page) is an
 * event, not a poll.
 */
import type { ClosingFrame, ServerFrame, WelcomeFrame } from '../protocol/messages.ts';
import type { ClientOptions, ClientState, StateChange } from './api.ts';
import { type BackoffSettings, reconnectAfter, reconnectDelayMs } from './backoff.ts';
import { after, fraction, now, onWake } from './environment.ts';
import { RoomcastError } from './errors.ts';
import { endSocket, openSocket, type WebSocketConstructor, type WebSocketLike } from './socket.ts';
import { tokenOf } from './token.ts';

export interface LinkSettings extends BackoffSettings {
  readonly token?: ClientOptions['token'];
  readonly connectTimeoutMs: number;
  /** A connection that lived this long was a success; a shorter one must not reset the growing pauses. */
  readonly stableMs: number;
}

export interface LinkEvents {
  /** The socket is open: say hello, and what shall follow it. */
  opened(token: string | undefined): void;
  receive(frame: ServerFrame): void;
  /** The connection is gone; told before the state changes. */
  gone(): void;
  changed(change: StateChange): void;
  report(error: RoomcastError): void;
}

/** An awaited reply that is this late raises the question whether anybody is there. */
const REPLY_SILENCE_MS = 5000;
/** What the protocol has where no `welcome` has said otherwise. */
const PING_INTERVAL_MS = 25_000;
const SPREAD = { minMs: 0, maxMs: 2000 };
/** The code of RFC 6455 for "it broke without a close frame". */
const BROKEN = 1006;

const NOTHING = (): void => {};

export class Link {
  state: ClientState = 'closed';
  welcome: WelcomeFrame | undefined;
  /** There may be sent on it: from hello on, `welcome` is not waited for. */
  socket: WebSocketLike | undefined;
  readonly #url: string;
  readonly #webSocket: WebSocketConstructor;
  readonly #settings: LinkSettings;
  readonly #events: LinkEvents;
  #dialed: WebSocketLike | undefined;
  #cancelTimer = NOTHING;
  #endWake: (() => void) | undefined;
  #failures = 0;
  /** Infinity until `welcome`. */
  #welcomedAt = Infinity;
  #heardAt = 0;
  #probedAt: number | undefined;
  /** Of the last connection, until the next begins; where it announced nothing, what its close code means. */
  #closing: (Pick<ClosingFrame, 'reconnect'> & Partial<ClosingFrame>) | undefined;
  #closingAt = 0;

  constructor(url: string, WebSocket: WebSocketConstructor, settings: LinkSettings, events: LinkEvents) {
    this.#url = url;
    this.#webSocket = WebSocket;
    this.#settings = settings;
    this.#events = events;
  }

  connect(): void {
    if (this.#trying) return;
    if (!this.#endWake) this.#endWake = onWake(() => this.#wake());
    void this.#begin();
  }

  close(code = 1000, reason = ''): void {
    this.#discard(true);
    this.#endWake?.();
    this.#endWake = undefined;
    this.#failures = 0;
    if (this.state !== 'closed') this.#change({ state: 'closed', code, reason });
  }

  /** As if the network had taken it. */
  drop(reason = 'drop'): void {
    if (this.#trying) this.#end(BROKEN, reason);
  }

  get #trying(): boolean {
    // As short as it gets: `connecting` or `connected`.
    return this.state.startsWith('conn');
  }

  /** A look at the silence. With a reply awaited, less of it is allowed. */
  watch(awaiting: boolean): void {
    if (this.state !== 'connected') return;
    const silentMs = now() - (this.#probedAt ?? this.#heardAt);
    const quietMs = 2 * (this.welcome?.pingIntervalMs || PING_INTERVAL_MS);
    if (silentMs <= (awaiting || this.#probedAt ? REPLY_SILENCE_MS : quietMs)) return;
    if (this.#probedAt) this.drop('no answer');
    else this.#probe();
  }

  async #begin(): Promise<void> {
    this.#closing = undefined;
    this.#cancelTimer();
    const cancel = after(this.#settings.connectTimeoutMs, () => this.drop('no answer'));
    this.#cancelTimer = cancel;
    /** Whether this attempt was not let go of while its token was got. */
    const own = (): boolean => cancel === this.#cancelTimer;
    this.#change({ state: 'connecting' });
    try {
      const token = await tokenOf(this.#settings.token);
      if (!own()) return;
      this.#dialed = openSocket(this.#webSocket, this.#url, {
        onopen: () => {
          this.socket = this.#dialed;
          this.#events.opened(token);
        },
        onmessage: ({ data }) => this.#receive(data),
        onclose: ({ code, reason }) => this.#end(code, reason),
      });
    } catch (error) {
      if (!own()) return;
      if (error instanceof RoomcastError) {
        this.#events.report(error);
        this.drop(error.message);
      } else {
        // The WebSocket refuses the address: no later attempt would fare better.
        this.close(BROKEN, String(error));
      }
    }
  }

  #receive(data: unknown): void {
    const at = now();
    const frame = readFrame(data);
    this.#heardAt = at;
    this.#probedAt = undefined;
    if (frame?.type === 'closing') {
      this.#closing = frame;
      this.#closingAt = at;
    } else if (frame?.type === 'welcome') {
      this.#cancelTimer();
      this.welcome = frame;
      this.#welcomedAt = at;
      this.#change({ state: 'connected' });
    }
    if (frame) this.#events.receive(frame);
  }

  #end(code: number, reason: string): void {
    const at = now();
    const closing = this.#closing ?? { reconnect: reconnectAfter(code) };
    const said = closing.reason ?? reason;
    this.#closing = closing;
    this.#failures = at - this.#welcomedAt >= this.#settings.stableMs ? 1 : this.#failures + 1;
    this.#discard(false);
    // Who was told of the loss may have closed the client by then, or begun anew.
    if (!this.#trying || this.#cancelTimer !== NOTHING) return;
    const retryInMs = reconnectDelayMs(
      closing,
      at - this.#closingAt,
      this.#failures,
      this.welcome?.reconnect ?? SPREAD,
      this.#settings,
      fraction(),
    );
    if (retryInMs === undefined) return this.close(code, said);
    this.#cancelTimer = after(retryInMs, () => void this.#begin());
    this.#change({ state: 'waiting', retryInMs, code, reason: said });
  }

  /** Lets go of the present attempt, whatever its stage. */
  #discard(politely: boolean): void {
    this.#cancelTimer();
    this.#cancelTimer = NOTHING;
    if (this.#dialed) endSocket(this.#dialed, politely);
    this.#dialed = undefined;
    this.socket = undefined;
    this.#welcomedAt = Infinity;
    this.#probedAt = undefined;
    this.#events.gone();
  }

  #probe(): void {
    this.#probedAt = now();
    this.socket?.send('{"type":"ping"}');
  }

  /** The network or the page is back: what was waited for may be possible now, what looked alive may be dead. */
  #wake(): void {
    // Where the server asked for a pause it is kept.
    if (this.state === 'waiting' && this.#closing?.reconnect === 'now') this.connect();
    if (this.state === 'connected' && !this.#probedAt) this.#probe();
  }

  #change(change: StateChange): void {
    this.state = change.state;
    this.#events.changed(change);
  }
}

/** A frame of the server, or undefined for what PROTOCOL says to ignore. Its fields are trusted: the server is ours. */
function readFrame(data: unknown): ServerFrame | undefined {
  try {
    const frame = JSON.parse(data as string) as ServerFrame;
    return frame.type && frame;
  } catch {
    // Something else answers there: it never says welcome, and that is reported.
    return undefined;
  }
}
