/**
 * What an application sees of the SDK: every option, event and method, as types. No code, so that reading
 * this page is reading the whole of it; docs/CLIENT.md tells the same as a guide.
 *
 * All durations are milliseconds. Every promise here rejects with `RoomcastError` and nothing else.
 */
import type { JsonObject } from '../protocol/fields.ts';
import type { PresenceMember } from '../protocol/presence-view.ts';
import type { JoinReason, Position } from '../protocol/position.ts';
import type { ErrorFrame, LeftFrame, MessageFrame, WelcomeFrame } from '../protocol/messages.ts';
import type { RoomcastError } from './errors.ts';
import type { WebSocketConstructor } from './socket.ts';

export interface ClientOptions {
  /** Who this is, where the server has no authentication. Without it the server invents a name, kept over reconnects. */
  readonly user?: string;
  /** A token, or what gets one: called before each connect, and again when the server says that it expires. */
  readonly token?: string | (() => string | Promise<string>);
  /** Receive the inbox: `true` from the shared read mark, a position from there. */
  readonly inbox?: true | Position;
  /** The WebSocket to use; by default the global one. Node 20 has none: pass that of `ws`. */
  readonly WebSocket?: WebSocketConstructor;
  /** Shown in the server's log: which program this is. */
  readonly client?: { readonly name: string; readonly version: string };
  /** Publishes and sends that wait for their `ok`, offline ones included. 1,000. */
  readonly outboxMessages?: number;
  /** Bytes of their data together. 1 MiB. */
  readonly outboxBytes?: number;
  /**
   * How long a publish or send is tried, reconnects included. 90,000, and at most 100,000: the server
   * remembers a key for 120 s, and a repeat after that would be a second message.
   */
  readonly publishTimeoutMs?: number;
  /** For a token, a socket and a `welcome`, together. 10,000. */
  readonly connectTimeoutMs?: number;
  /** For the reply to a request that is not kept over reconnects: signal, history, join. 15,000. */
  readonly requestTimeoutMs?: number;
  /** How reconnects are spread after the first, which the server paces (`welcome.reconnect`). */
  readonly backoff?: { readonly baseMs?: number; readonly capMs?: number; readonly stableMs?: number };
}

export type ClientState = 'connecting' | 'connected' | 'waiting' | 'closed';

export interface StateChange {
  readonly state: ClientState;
  /** With `waiting`: when the next attempt begins. */
  readonly retryInMs?: number;
  /** With `waiting` and `closed`: the close code of the connection before; 1006 where it broke without one. */
  readonly code?: number;
  readonly reason?: string;
}

export type Welcome = Omit<WelcomeFrame, 'type' | 'id'>;

export interface ClientEvents {
  state: StateChange;
  /** Whether the node has its Redis. While it is down connections stay, and publishes wait in the outbox. */
  redis: 'up' | 'down';
  /**
   * What no promise can tell: a token provider that failed, a room that could not be joined again, a message
   * that was acknowledged, lost and could not be published again, an error without a request.
   */
  error: RoomcastError;
}

/** `on` returns the function that ends the subscription. */
export interface Subscribable<Events> {
  on<Name extends keyof Events>(name: Name, listener: (event: Events[Name]) => void): () => void;
}

export interface Client extends Subscribable<ClientEvents> {
  readonly state: ClientState;
  /** The server's last `welcome`: connection, user, node, limits. Undefined before the first. */
  readonly welcome: Welcome | undefined;
  readonly redis: 'up' | 'down';
  /** Receives nothing unless the option `inbox` asked for it. */
  readonly inbox: Inbox;
  /** Connects at once: after `close()`, or without waiting for the next attempt. Otherwise does nothing. */
  connect(): void;
  /** Ends the connection for good and refuses what waits (`closed`). Rooms are kept and resumed by `connect()`. */
  close(): void;
  /** Treats the connection as lost, without a goodbye, as a pulled cable would; the usual pauses follow. */
  drop(): void;
  /** Drops the connection and resumes at once on a new one. */
  reconnect(): void;
  /**
   * The room, joined as soon as there is a connection. While it is joined, the same object again (`options` then
   * count for nothing). Throws `bad_request` where JSON cannot hold the options.
   */
  join<Data = unknown>(room: string, options?: JoinOptions): Room<Data>;
  /** Into a user's inbox: kept for them while they are offline. Waits in the outbox like `publish`; once acknowledged it is not repeated. */
  send(to: string, data: unknown, options?: PublishOptions): Promise<Receipt>;
}

export interface JoinOptions {
  /** How many of the last messages to begin with. Not with `since`. */
  readonly history?: number;
  /** Begin after this position, kept from an earlier life (`room.position`). */
  readonly since?: Position;
  /** What to receive about who is here. "full". */
  readonly presence?: 'full' | 'count' | 'none';
  /** My state in the room. */
  readonly state?: JsonObject;
}

export interface PublishOptions {
  /** Idempotency key, 1–64 characters. Two publishes with one key within 2 minutes are one message. */
  readonly key?: string;
}

/** Where a message was stored. A receipt: never a position to begin from. */
export interface Receipt extends Position {
  /** The server had it already: this was a repeat. */
  readonly duplicate?: boolean | undefined;
}

export type Message<Data = unknown> = Omit<MessageFrame, 'type' | 'data'> & {
  readonly epoch: string;
  readonly data: Data;
};

export interface Signal<Data = unknown> {
  readonly room: string;
  readonly from: { readonly user: string; readonly connection: string };
  readonly data: Data;
}

export type Member = PresenceMember;

/** What changed since the last such event; after a reconnect everything that changed meanwhile. */
export interface PresenceChange {
  readonly count: number;
  readonly joined: readonly Member[];
  readonly left: readonly { readonly user: string; readonly reason?: string }[];
  readonly updated: readonly Member[];
}

export interface Reset {
  readonly reason: JoinReason;
  /** The next message is the one after this. */
  readonly position: Position;
  /** Where this client was before; with reason "too_far" `history({after: previous.seq})` has what lies between. */
  readonly previous: Position | undefined;
}

export interface FeedEvents<Data = unknown> {
  /** Every message once, in order. */
  message: Message<Data>;
  /** A reconnect was resumed, and this many missed messages were delivered just before. A long inbox says 0, and all follow. */
  recovered: { readonly messages: number };
  /** Continuity broke: messages between `previous` and `position` may be missing. */
  reset: Reset;
}

export type RoomStatus = 'joining' | 'live' | 'catching-up' | 'left';

export interface RoomEvents<Data = unknown> extends FeedEvents<Data> {
  signal: Signal;
  presence: PresenceChange;
  status: RoomStatus;
  /** The room is over for this object: kicked, not allowed, or left by `leave()` ("left"). */
  left: { readonly reason: LeftFrame['reason'] | 'left'; readonly error: RoomcastError | undefined };
  /** Redis lost a message that had been acknowledged, and it was published again under the same key. */
  republished: { readonly key: string; readonly lost: Position; readonly position: Position };
}

export interface IterationOptions {
  /** Messages that may wait for the loop; one more ends it with `limit_exceeded`. 1,000. */
  readonly buffer?: number;
}

export interface Joined<Data = unknown> {
  readonly position: Position;
  /** What `history` or `since` asked for; the same were given to `message`. */
  readonly messages: readonly Message<Data>[];
}

export interface Room<Data = unknown> extends Subscribable<RoomEvents<Data>>, AsyncIterable<Message<Data>> {
  readonly name: string;
  /** While the client is closed as without a connection: "catching-up", or "joining" before the first `joined`. */
  readonly status: RoomStatus;
  /**
   * Where this subscription is: ahead of what a loop has still to take. What `since` of a later life wants is the
   * `epoch` and `seq` of the last message that was handled. Undefined before the first `joined`.
   */
  readonly position: Position | undefined;
  /**
   * The first join. Rejects where the server refuses it for good, and with `closed` where the client is closed before
   * it: the room is joined with the next `connect` all the same, which `status` says. Need not be awaited.
   */
  readonly joined: Promise<Joined<Data>>;
  /** By user. Empty with presence "count" or "none", and in a room too large to list. */
  readonly members: ReadonlyMap<string, Member>;
  /** Users present, as the server counts them. */
  readonly count: number;
  /** Resolves once stored. Kept over reconnects, under one key, for `publishTimeoutMs`. */
  publish(data: Data, options?: PublishOptions): Promise<Receipt>;
  /** Ephemeral, never kept: rejects with `offline` where there is no connection. */
  signal(
    data: unknown,
    options?: { readonly to?: { readonly user: string } | { readonly connection: string } },
  ): Promise<void>;
  /** The last one wins; told until the server has it, and again where it is gone with its user. */
  setState(state: JsonObject): Promise<void>;
  history(options?: {
    readonly before?: number;
    readonly after?: number;
    readonly limit?: number;
  }): Promise<Page<Data>>;
  leave(): Promise<void>;
  /** What `for await` of the room does, with a buffer of another size. */
  iterate(options?: IterationOptions): AsyncIterableIterator<Message<Data>>;
}

export interface Page<Data = unknown> extends Position {
  readonly room: string;
  /** Ascending. Their positions are receipts. */
  readonly messages: readonly Message<Data>[];
  readonly more: boolean;
}

export interface Inbox<Data = unknown> extends Subscribable<FeedEvents<Data>>, AsyncIterable<Message<Data>> {
  readonly position: Position | undefined;
  /**
   * Everything up to `seq` is handled, on every device of this user. Told until the server has it, the highest
   * wins; a reset ends it (`bad_request`), for it was about messages that are gone.
   */
  read(seq: number): Promise<void>;
  iterate(options?: IterationOptions): AsyncIterableIterator<Message<Data>>;
}

export type ServerErrorCode = ErrorFrame['code'];
