/**
 * Upgrades HTTP requests to WebSockets and connects each to the node. Every
 * limit of `ws` is set here: its defaults let one connection hold megabytes
 * (LIBRARIES: maxFragments, maxBufferedChunks). Compression stays off: it costs
 * memory per connection and forbids writing ready-made frames.
 */
import type { IncomingMessage, Server } from 'node:http';
import { isIP, type Socket } from 'node:net';
import { type WebSocket, WebSocketServer } from 'ws';
import type { Clock, Random } from '../core/clock.ts';
import type { Connection } from '../core/connection.ts';
import type { Logger } from '../core/logger.ts';
import { TokenBucket } from '../core/rate-limit.ts';
import { closeWith } from '../node/replies.ts';
import { CLOSE } from '../protocol/codes.ts';
import { SUBPROTOCOL } from '../protocol/limits.ts';
import { refuseUpgrade } from './upgrade.ts';
import { WsConnection, type WsConnectionSettings } from './ws-connection.ts';
import { type HeartbeatSettings, WsHeartbeat } from './ws-heartbeat.ts';

export interface WsListenerSettings extends HeartbeatSettings, WsConnectionSettings {
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
  readonly opened: (connection: Connection) => ConnectionSink;
  readonly settings: WsListenerSettings;
}

/** Fragments of one message: clients of a JSON protocol send one; an attacker sends 65,000 of a byte each. */
const FRAGMENTS_MAX = 16;
/** Pieces in which the bytes of one frame may arrive: 64 KB in packets of 1,400 bytes are 47. */
const BUFFERED_CHUNKS_MAX = 1024;
const RETRY_AFTER_S = 2;

export class WsListener {
  readonly #parts: WsListenerParts;
  readonly #server: WebSocketServer;
  readonly #heartbeat: WsHeartbeat;
  readonly #connections = new Set<WsConnection>();
  readonly #addresses = new Map<string, number>();
  readonly #upgrades: TokenBucket;
  #draining = false;

  constructor(parts: WsListenerParts) {
    const { clock, settings } = parts;
    this.#parts = parts;
    this.#heartbeat = new WsHeartbeat(clock, settings);
    this.#upgrades = new TokenBucket(settings.limitUpgradesPerSecond, settings.limitUpgradesPerSecond, clock.now());
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
      handleProtocols: (offered: Set<string>): string | false => (offered.has(SUBPROTOCOL) ? SUBPROTOCOL : false),
    };
    this.#server = new WebSocketServer(options);
  }

  attach(http: Server): void {
    http.on('upgrade', (request: IncomingMessage, socket: Socket, head: Buffer) => this.#upgrade(request, socket, head));
    this.#heartbeat.start();
  }

  /** From now on new connections are sent to another node. */
  refuseNew(): void {
    this.#draining = true;
  }

  /** Closes what is left, with a bound: a peer that does not answer is cut off. */
  async stop(): Promise<void> {
    this.#draining = true;
    this.#heartbeat.stop();
    const gone = [...this.#connections].map((connection) => this.#end(connection));
    await Promise.all(gone);
  }

  #end(connection: WsConnection): Promise<void> {
    closeWith(connection, CLOSE.goingAway, 'the server stops');
    return new Promise((resolve) => {
      const look = this.#parts.clock.every(10, () => {
        if (this.#connections.has(connection)) return;
        look.cancel();
        force.cancel();
        resolve();
      });
      const force = this.#parts.clock.after(this.#parts.settings.closeTimeoutMs, () => connection.terminate());
    });
  }

  #upgrade(request: IncomingMessage, socket: Socket, head: Buffer): void {
    // `ws` listens for errors only once it has the socket; without this a reset before that ends the process.
    const ignore = (error: Error) => this.#parts.logger.debug({ error: error.message }, 'socket failed before the upgrade');
    socket.on('error', ignore);
    const address = socket.remoteAddress ?? '';
    const refusal = refuseUpgrade(request) ?? this.#overLimit(address);
    if (refusal) {
      refuse(socket, refusal.status, refusal.message);
      return;
    }
    socket.off('error', ignore);
    this.#server.handleUpgrade(request, socket, head, (ws) => this.#open(ws, socket, address));
  }

  #overLimit(address: string): { status: 429 | 503; message: string } | undefined {
    const { settings, clock } = this.#parts;
    if (this.#draining) return { status: 503, message: 'this node is being drained' };
    const max = settings.limitAddressConnections;
    if (max > 0 && !isLoopback(address) && (this.#addresses.get(address) ?? 0) >= max) {
      return { status: 429, message: `${max} connections from this address, the most there may be` };
    }
    if (this.#upgrades.take(clock.now()) > 0) return { status: 503, message: 'too many connections at once' };
    return undefined;
  }

  #open(ws: WebSocket, socket: Socket, address: string): void {
    const { clock, logger, random, settings } = this.#parts;
    const connection = new WsConnection(random.id(), ws, socket, clock, logger, settings);
    this.#connections.add(connection);
    this.#addresses.set(address, (this.#addresses.get(address) ?? 0) + 1);
    this.#heartbeat.add(connection);
    logger.debug({ connection: connection.id, address }, 'connection opened');
    const sink = this.#parts.opened(connection);
    ws.on('message', (data: Buffer, isBinary: boolean) => {
      connection.heardAtMs = clock.now();
      if (isBinary) closeWith(connection, CLOSE.unsupportedData, 'only text frames are spoken here');
      else sink.text(data.toString());
    });
    ws.on('pong', () => {
      connection.heardAtMs = clock.now();
    });
    // `ws` answers a violation with the right close code itself; the event is only to be heard.
    ws.on('error', (error) => logger.debug({ connection: connection.id, error: error.message }, 'connection failed'));
    ws.on('close', (code) => {
      this.#forget(connection, address);
      logger.debug({ connection: connection.id, code }, 'connection closed');
      sink.closed();
    });
  }

  #forget(connection: WsConnection, address: string): void {
    this.#connections.delete(connection);
    this.#heartbeat.remove(connection);
    const left = (this.#addresses.get(address) ?? 1) - 1;
    if (left > 0) this.#addresses.set(address, left);
    else this.#addresses.delete(address);
  }
}

const REASONS: Readonly<Record<number, string>> = {
  400: 'Bad Request',
  404: 'Not Found',
  405: 'Method Not Allowed',
  426: 'Upgrade Required',
  429: 'Too Many Requests',
  503: 'Service Unavailable',
};

function refuse(socket: Socket, status: number, message: string): void {
  const headers = [
    `HTTP/1.1 ${status} ${REASONS[status] ?? ''}`,
    'Connection: close',
    'Content-Type: text/plain; charset=utf-8',
    `Content-Length: ${Buffer.byteLength(message)}`,
  ];
  if (status === 426) headers.push('Sec-WebSocket-Version: 13');
  if (status === 429 || status === 503) headers.push(`Retry-After: ${RETRY_AFTER_S}`);
  socket.end(`${headers.join('\r\n')}\r\n\r\n${message}`, () => socket.destroySoon());
}

function isLoopback(address: string): boolean {
  const bare = address.startsWith('::ffff:') ? address.slice('::ffff:'.length) : address;
  return address === '::1' || (isIP(bare) === 4 && bare.startsWith('127.'));
}
