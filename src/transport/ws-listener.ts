/**
 * Upgrades HTTP requests to WebSockets and connects each to the node. Every
 * limit of `ws` is set here: its defaults let one connection hold megabytes
 * (16,384 fragments a message, 262,144 chunks). Compression stays off: it costs
 * memory per connection and forbids writing ready-made frames.
 */
import type { IncomingMessage, Server } from 'node:http';
import type { Socket } from 'node:net';
import { type Server as WsServer, WebSocketServer } from 'ws';
import type { Clock, Random } from '../core/clock.ts';
import type { Connection } from '../core/connection.ts';
import type { Logger } from '../core/logger.ts';
import { TokenBucket } from '../core/rate-limit.ts';
import { closeWith } from '../node/replies.ts';
import { CLOSE, type CloseCode } from '../protocol/codes.ts';
import { SUBPROTOCOL } from '../protocol/limits.ts';
import { AddressLimit } from './address-limit.ts';
import type { AddressOf } from './client-address.ts';
import { refuseUpgrade, sendRefusal, type UpgradeRefusal } from './upgrade.ts';
import { DirectWrite, type DirectWriteSettings } from './direct-write.ts';
import { WsConnection, type WsConnectionParts, type WsConnectionSettings } from './ws-connection.ts';
import { type HeartbeatSettings, WsHeartbeat } from './ws-heartbeat.ts';
import { type SocketEvents, WsSocket } from './ws-socket.ts';

export interface WsListenerSettings extends DirectWriteSettings, HeartbeatSettings, WsConnectionSettings {
  readonly closeTimeoutMs: number;
  readonly limitFrameBytes: number;
  readonly limitAddressConnections: number;
  readonly limitUpgradesPerSecond: number;
}

/** What a connection's text and end are told to. */
export interface ConnectionSink {
  text(text: string): void;
  closed(): void;
}

export interface WsListenerParts {
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly turn: WsConnectionParts['turn'];
  readonly outbox: WsConnectionParts['outbox'];
  readonly opened: (connection: Connection) => ConnectionSink;
  /** Whose connection it is, for the limit per address. Default: the other end of the socket. */
  readonly addressOf?: AddressOf;
  /** Whether who is too old is closed now: they have to find a node that serves them. Default: yes. */
  readonly mayRenew?: () => boolean;
  /** Origins of pages that may connect. Default: all. */
  readonly origins?: ReadonlySet<string> | undefined;
  readonly settings: WsListenerSettings;
}

/** Fragments of one message: clients of a JSON protocol send one; an attacker sends 65,000 of a byte each. */
const FRAGMENTS_MAX = 16;
/** Pieces in which the bytes of one frame may arrive: 64 KB in packets of 1,400 bytes are 47. */
const BUFFERED_CHUNKS_MAX = 1024;

export class WsListener {
  readonly #parts: WsListenerParts;
  readonly #server: WsServer<typeof WsSocket>;
  readonly #connectionParts: WsConnectionParts;
  readonly #heartbeat: WsHeartbeat<WsConnection>;
  readonly #connections = new Set<WsConnection>();
  readonly #addresses: AddressLimit;
  readonly #upgrades: TokenBucket;
  readonly #failedEarly = (error: Error) =>
    this.#parts.logger.debug({ error: error.message }, 'socket failed before the upgrade');
  #draining = false;
  /** Told when the last connection is gone, once `stop` waits for that. */
  #emptied: (() => void) | undefined;

  constructor(parts: WsListenerParts) {
    const { clock, random, settings } = parts;
    this.#parts = parts;
    this.#connectionParts = { ...parts, direct: new DirectWrite(parts.logger, settings) };
    this.#heartbeat = new WsHeartbeat(clock, random, settings, (connection) => this.#renew(connection));
    this.#addresses = new AddressLimit(settings.limitAddressConnections);
    this.#upgrades = new TokenBucket(
      settings.limitUpgradesPerSecond,
      settings.limitUpgradesPerSecond,
      clock.now(),
    );
    // A constant of its own because the types of `ws` do not know `closeTimeout` yet.
    const options = {
      noServer: true,
      clientTracking: false,
      perMessageDeflate: false,
      maxPayload: settings.limitFrameBytes,
      maxFragments: FRAGMENTS_MAX,
      maxBufferedChunks: BUFFERED_CHUNKS_MAX,
      skipUTF8Validation: false,
      closeTimeout: settings.closeTimeoutMs,
      // Answered by the connection, which has to know of all that is written.
      autoPong: false,
      WebSocket: WsSocket,
      handleProtocols: (offered: Set<string>): string | false =>
        offered.has(SUBPROTOCOL) ? SUBPROTOCOL : false,
    };
    this.#server = new WebSocketServer(options);
    // What `ws` refuses by itself (a bad key) is answered like the rest.
    this.#server.on('wsClientError', (error, socket) =>
      this.#refuse(socket as Socket, { status: 400, message: error.message }),
    );
  }

  attach(http: Server): void {
    http.on('upgrade', (request: IncomingMessage, socket: Socket, head: Buffer) =>
      this.#upgrade(request, socket, head),
    );
    this.#heartbeat.start();
  }

  /** From now on new connections are sent to another node. */
  refuseNew(): void {
    this.#draining = true;
  }

  /** Closes what is left, with a bound: a peer that does not answer is cut off. */
  async stop(code: CloseCode = CLOSE.goingAway, reason = 'the server stops'): Promise<void> {
    this.#draining = true;
    this.#heartbeat.stop();
    if (this.#connections.size === 0) return;
    const gone = new Promise<void>((resolve) => {
      this.#emptied = resolve;
    });
    for (const connection of this.#connections) closeWith(connection, code, reason);
    // `ws` bounds a closing handshake, but not a socket whose peer ended its half and reads nothing of ours.
    const force = this.#parts.clock.after(this.#parts.settings.closeTimeoutMs, () => {
      for (const connection of this.#connections) connection.terminate();
    });
    await gone;
    force.cancel();
  }

  #upgrade(request: IncomingMessage, socket: Socket, head: Buffer): void {
    // `ws` listens for errors only once it has the socket; without this a reset before that ends the process.
    socket.on('error', this.#failedEarly);
    const address = this.#parts.addressOf?.(request) ?? socket.remoteAddress ?? '';
    const refusal = refuseUpgrade(request, this.#parts.origins) ?? this.#overLimit(address);
    if (refusal) {
      this.#refuse(socket, refusal);
      return;
    }
    socket.off('error', this.#failedEarly);
    this.#server.handleUpgrade(request, socket, head, (ws) => this.#open(ws, socket, address));
  }

  #refuse(socket: Socket, refusal: UpgradeRefusal): void {
    sendRefusal(socket, refusal);
    // Behind a response that its peer does not read, a refusal is never sent, and nobody else watches this socket.
    const { clock, settings } = this.#parts;
    const timer = clock.after(settings.closeTimeoutMs, () => socket.destroy());
    socket.once('close', () => timer.cancel());
  }

  #overLimit(address: string): UpgradeRefusal | undefined {
    const { settings, clock } = this.#parts;
    if (this.#draining) return { status: 503, message: 'this node is being drained' };
    if (this.#addresses.isReached(address)) {
      const max = settings.limitAddressConnections;
      return { status: 429, message: `${max} connections from this address, the most there may be` };
    }
    if (this.#upgrades.take(clock.now()) > 0) return { status: 503, message: 'too many connections at once' };
    return undefined;
  }

  #open(ws: WsSocket, socket: Socket, address: string): void {
    const { logger, random } = this.#parts;
    if (ws.extensions !== '') {
      refuseExtension(ws, logger);
      return;
    }
    const connection = new WsConnection(random.id(), ws, socket, this.#connectionParts);
    socket.on('end', () => this.#ended(connection, socket));
    this.#connections.add(connection);
    this.#addresses.opened(address);
    this.#heartbeat.add(connection);
    logger.debug({ connection: connection.id, address }, 'connection opened');
    ws.hear(new Opened(connection, address, this.#parts.opened(connection), this));
  }

  /** Where the peer ends its half, `ws` ends ours without a close, and waits for as long as the peer reads nothing. */
  #ended(connection: WsConnection, socket: Socket): void {
    connection.closing();
    const { clock, settings } = this.#parts;
    const timer = clock.after(settings.closeTimeoutMs, () => connection.terminate());
    socket.once('close', () => timer.cancel());
  }

  get logger(): Logger {
    return this.#parts.logger;
  }

  afterTurn(run: () => void): void {
    this.#parts.clock.afterTurn(run);
  }

  forget(connection: WsConnection, address: string): void {
    this.#connections.delete(connection);
    this.#heartbeat.remove(connection);
    this.#addresses.closed(address);
    if (this.#connections.size === 0) this.#emptied?.();
  }

  /** A drain has told everybody a moment of their own already. */
  #renew(connection: WsConnection): void {
    if (this.#draining || this.#parts.mayRenew?.() === false) return;
    closeWith(connection, CLOSE.drain, 'this connection is old; come back at once and resume', 'now');
  }
}

/** Takes what a WebSocket tells to its connection and to who serves it. */
class Opened implements SocketEvents {
  readonly #connection: WsConnection;
  readonly #address: string;
  readonly #sink: ConnectionSink;
  readonly #listener: Pick<WsListener, 'logger' | 'forget' | 'afterTurn'>;

  constructor(
    connection: WsConnection,
    address: string,
    sink: ConnectionSink,
    listener: Pick<WsListener, 'logger' | 'forget' | 'afterTurn'>,
  ) {
    this.#connection = connection;
    this.#address = address;
    this.#sink = sink;
    this.#listener = listener;
  }

  message(data: Buffer, isBinary: boolean): void {
    // What still comes after our close would be carried out without ever being answered.
    if (!this.#connection.isOpen) return;
    if (isBinary) closeWith(this.#connection, CLOSE.unsupportedData, 'only text frames are spoken here');
    else this.#sink.text(data.toString());
  }

  afterTurn(run: () => void): void {
    this.#listener.afterTurn(run);
  }

  pinged(payload: Buffer): void {
    this.#connection.pong(payload);
  }

  /** `ws` answers a violation with the right close code itself; this is only to be heard. */
  failed(error: Error): void {
    this.#listener.logger.debug(
      { connection: this.#connection.id, error: error.message },
      'connection failed',
    );
  }

  closing(): void {
    this.#connection.closing();
  }

  closed(code: number): void {
    this.#listener.forget(this.#connection, this.#address);
    this.#listener.logger.debug({ connection: this.#connection.id, code }, 'connection closed');
    this.#sink.closed();
    // Last: who waited for it looks whether the session is closed.
    this.#connection.gone();
  }
}

/**
 * Frames are made once for everybody, so nothing may be between them and the peer. None is ever offered; should a
 * release of `ws` negotiate one unasked, its peer would be sent what it cannot read.
 */
function refuseExtension(ws: WsSocket, logger: Logger): void {
  logger.error({ extensions: ws.extensions }, 'an extension was negotiated; the connection is refused');
  ws.on('error', (error) => logger.debug({ error: error.message }, 'connection failed'));
  ws.close(CLOSE.internal, 'no extension is spoken here');
}
