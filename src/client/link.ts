/**
 * Keeps one connection to the server: opens it, says when it may be spoken on, watches that it lives, and
 * opens the next when it ended, at the pace the server asked for. What is said on it is not its concern.
 *
 * Timers of a page in the background fire late, so none of them decides alone: silence is first answered
 * with a `ping`, and only a peer that leaves that unanswered is let go. Coming back (network, page) is an
 * event, not a poll.
 */
import type { ServerFrame, WelcomeFrame } from '../protocol/messages.ts';
import type { ClientState, StateChange } from './api.ts';
import { type BackoffSettings, type Ending, reconnectDelayMs } from './backoff.ts';
import type { Environment } from './environment.ts';
import { RoomcastError } from './errors.ts';
import { openSocket, type Socket, type WebSocketConstructor } from './socket.ts';

export interface LinkSettings extends BackoffSettings {
  readonly url: string;
  readonly WebSocket: WebSocketConstructor;
  readonly token: (() => string | Promise<string>) | undefined;
  readonly connectTimeoutMs: number;
  /** A connection that lived this long was a success; a shorter one must not reset the growing pauses. */
  readonly stableMs: number;
}

export interface LinkEvents {
  /** The socket is open: say hello, and what shall follow it. */
  opened(token: string | undefined): void;
  frame(frame: ServerFrame): void;
  /** The connection is gone; told before the state changes. */
  lost(): void;
  changed(change: StateChange): void;
  failed(error: RoomcastError): void;
  /** Whether a reply is awaited: silence is then looked into sooner. */
  expecting(): boolean;
}

/** How often silence is looked at. */
const WATCH_MS = 5000;
const PING_INTERVAL_MS = 25_000;
/** An awaited reply that is this late raises the question whether anybody is there. */
const EXPECTING_SILENCE_MS = 5000;
/** Below WATCH_MS, so that the look after the question already decides. */
const PONG_TIMEOUT_MS = 4000;
/** Those of the protocol, until `welcome` says otherwise. */
const SPREAD = { minMs: 0, maxMs: 2000 };

export class Link {
  state: ClientState = 'closed';
  welcome: WelcomeFrame | undefined;
  /** Whether frames may be sent: from hello on, `welcome` is not waited for. */
  open = false;
  readonly #settings: LinkSettings;
  readonly #events: LinkEvents;
  readonly #environment: Environment;
  /** Counts attempts: what an earlier one still has to say is not listened to. */
  #attempt = 0;
  #socket: Socket | undefined;
  #cancelTimer: () => void = () => undefined;
  #endWake: (() => void) | undefined;
  #failures = 0;
  #welcomedAt: number | undefined;
  #heardAt = 0;
  #probedAt: number | undefined;
  #closing: { readonly frame: Ending['closing']; readonly reason: string; readonly at: number } | undefined;
  /** The next attempt was paced by the server, so coming back does not shorten the wait. */
  #paced = false;

  constructor(settings: LinkSettings, events: LinkEvents, environment: Environment) {
    this.#settings = settings;
    this.#events = events;
    this.#environment = environment;
  }

  get bufferedBytes(): number {
    return this.#socket?.bufferedBytes ?? 0;
  }

  send(text: string): void {
    this.#socket?.send(text);
  }

  connect(): void {
    if (this.state !== 'closed' && this.state !== 'waiting') return;
    this.#endWake ??= this.#environment.onWake(() => this.#wake());
    this.#begin();
  }

  close(code = 1000, reason = ''): void {
    this.#discard((socket) => socket.close());
    this.#endWake?.();
    this.#endWake = undefined;
    this.#failures = 0;
    if (this.state !== 'closed') this.#change({ state: 'closed', code, reason });
  }

  /** As if the network had taken it. */
  drop(): void {
    if (this.state === 'connecting' || this.state === 'connected') this.#end(1006, 'dropped');
  }

  #begin(): void {
    this.#cancelTimer();
    this.#attempt += 1;
    const attempt = this.#attempt;
    this.#change({ state: 'connecting' });
    if (attempt !== this.#attempt) return; // A listener thought otherwise.
    this.#limit('no token in time');
    const { token } = this.#settings;
    if (token === undefined) return this.#dial(attempt, undefined);
    new Promise<string>((resolve) => resolve(token())).then(
      (given) => this.#dial(attempt, given),
      (error: unknown) => {
        if (attempt !== this.#attempt) return;
        this.#events.failed(new RoomcastError('unauthorized', `no token: ${String(error)}`, true));
        this.#end(1006, 'no token');
      },
    );
  }

  #dial(attempt: number, token: string | undefined): void {
    if (attempt !== this.#attempt) return;
    this.#limit('no welcome in time');
    const own = (run: () => void): void => {
      if (attempt === this.#attempt) run();
    };
    this.#socket = openSocket(this.#settings.WebSocket, this.#settings.url, {
      opened: () =>
        own(() => {
          this.open = true;
          this.#events.opened(token);
        }),
      text: (text) => own(() => this.#receive(text)),
      closed: (code, reason) => own(() => this.#end(code, reason)),
    });
  }

  #limit(reason: string): void {
    this.#cancelTimer();
    this.#cancelTimer = this.#environment.after(this.#settings.connectTimeoutMs, () =>
      this.#end(1006, reason),
    );
  }

  #receive(text: string): void {
    const now = this.#environment.now();
    this.#heardAt = now;
    this.#probedAt = undefined;
    const frame = readFrame(text);
    if (frame?.type === 'welcome') {
      this.welcome = frame;
      this.#welcomedAt = now;
      this.#watch();
      this.#change({ state: 'connected' });
    }
    if (frame?.type === 'closing') this.#closing = { frame, reason: frame.reason, at: now };
    if (frame) this.#events.frame(frame);
  }

  #end(code: number, reason: string): void {
    const now = this.#environment.now();
    const closing = this.#closing;
    this.#failures = this.#wasStable(now) ? 1 : this.#failures + 1;
    this.#discard((socket) => socket.abandon());
    const said = closing?.reason ?? reason;
    const delayMs = reconnectDelayMs(
      {
        code,
        closing: closing?.frame,
        sinceClosingMs: closing && now - closing.at,
        failures: this.#failures,
        spread: this.welcome?.reconnect ?? SPREAD,
      },
      this.#settings,
      this.#environment.fraction(),
    );
    if (delayMs === undefined) return this.close(code, said);
    this.#paced = closing?.frame?.afterMs !== undefined;
    this.#cancelTimer = this.#environment.after(delayMs, () => this.#begin());
    this.#change({ state: 'waiting', retryInMs: Math.round(delayMs), code, reason: said });
  }

  #wasStable(now: number): boolean {
    return this.#welcomedAt !== undefined && now - this.#welcomedAt >= this.#settings.stableMs;
  }

  /** Lets go of the present attempt, whatever its stage. */
  #discard(end: (socket: Socket) => void): void {
    this.#attempt += 1;
    this.#cancelTimer();
    const socket = this.#socket;
    this.#socket = undefined;
    this.#welcomedAt = undefined;
    this.#probedAt = undefined;
    this.#closing = undefined;
    this.open = false;
    if (socket) end(socket);
    this.#events.lost();
  }

  /** One look at the silence, and the next one planned. */
  #watch(): void {
    this.#cancelTimer();
    const { now, after } = this.#environment;
    const pingIntervalMs = this.welcome?.pingIntervalMs || PING_INTERVAL_MS;
    const allowedMs = this.#events.expecting() ? EXPECTING_SILENCE_MS : 2 * pingIntervalMs;
    if (this.#probedAt !== undefined && now() - this.#probedAt >= PONG_TIMEOUT_MS) {
      return this.#end(1006, 'the server does not answer');
    }
    if (this.#probedAt === undefined && now() - this.#heardAt > allowedMs) this.#probe();
    this.#cancelTimer = after(Math.min(WATCH_MS, pingIntervalMs), () => this.#watch());
  }

  #probe(): void {
    this.#probedAt = this.#environment.now();
    this.send('{"type":"ping"}');
  }

  /** The network or the page is back: what was waited for may be possible now, what looked alive may be dead. */
  #wake(): void {
    if (this.state === 'waiting' && !this.#paced) this.#begin();
    if (this.state !== 'connected' || this.#probedAt !== undefined) return;
    this.#probe();
    this.#watch();
  }

  #change(change: StateChange): void {
    this.state = change.state;
    this.#events.changed(change);
  }
}

/** A frame of the server, or undefined for what PROTOCOL says to ignore. Its fields are trusted: the server is ours. */
function readFrame(text: string): ServerFrame | undefined {
  try {
    const value = JSON.parse(text) as ServerFrame | null;
    return typeof value?.type === 'string' ? value : undefined;
  } catch {
    // Something else answers there: it never says welcome, and that is reported.
    return undefined;
  }
}
