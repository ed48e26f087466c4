/**
 * A server of our protocol that says only what a test tells it to. It stands in for a real node where the
 * test is about the client: what it sends, what it makes of odd answers, how it comes back after a cut.
 */
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { type WebSocket, WebSocketServer } from 'ws';

type Frame = Record<string, unknown>;

const WAIT_MS = 10_000;

export const WELCOME = {
  type: 'welcome',
  connection: '0190a000-0000-7000-8000-000000000001',
  user: 'anon-1',
  node: 'test',
  server: 'roomcast/0.0.0',
  protocol: 1,
  pingIntervalMs: 25_000,
  limits: {
    payloadBytes: 32768,
    roomsPerConnection: 200,
    publishPerSecond: 1000,
    batch: 64,
    historyMessages: 100,
  },
  reconnect: { minMs: 0, maxMs: 0 },
};

/** What a client sees as a `joined` of an empty room. */
export const JOINED = { type: 'joined', room: 'lobby', epoch: 'e.1', seq: 0, messages: [] };

export class WireConnection {
  readonly socket: WebSocket;
  /** The close code with which the connection ended. */
  readonly closed: Promise<number>;
  readonly #received: Frame[] = [];
  #wake = (): void => {};

  constructor(socket: WebSocket) {
    this.socket = socket;
    socket.on('message', (data: Buffer) => {
      // A client may send a batch.
      this.#received.push(...[JSON.parse(data.toString('utf8')) as Frame | Frame[]].flat());
      this.#wake();
    });
    this.closed = once(socket, 'close').then(([code]) => {
      this.#wake();
      return Number(code);
    });
  }

  /** The next frame from the client, which has to be of this type. */
  async next(type: string): Promise<Frame> {
    const deadline = setTimeout(() => this.#wake(), WAIT_MS);
    while (this.#received.length === 0) {
      const late = await new Promise<boolean>((resolve) => {
        this.#wake = () => resolve(this.#received.length === 0);
      });
      if (late) throw new Error(`the client sent no ${type}`);
    }
    clearTimeout(deadline);
    const frame = this.#received.shift();
    if (frame?.['type'] !== type)
      throw new Error(`the client sent ${JSON.stringify(frame)} instead of ${type}`);
    return frame;
  }

  /** Frames sent in one call leave in one TCP segment, as a busy node's do. */
  send(...frames: Frame[]): void {
    const raw = (this.socket as unknown as { _socket: { cork(): void; uncork(): void } })._socket;
    raw.cork();
    for (const frame of frames) this.socket.send(JSON.stringify(frame));
    raw.uncork();
  }

  /** Answers `hello` with `welcome` and returns the hello. */
  async welcome(change: Frame = {}): Promise<Frame> {
    const hello = await this.next('hello');
    const user = hello['user'] ?? WELCOME.user;
    this.send({ ...WELCOME, user, id: hello['id'], ...change });
    return hello;
  }

  /** Answers `join` with `joined`, followed by further frames in the same segment, and returns the join. */
  async joined(change: Frame = {}, ...more: Frame[]): Promise<Frame> {
    const join = await this.next('join');
    this.send({ ...JOINED, id: join['id'], ...change }, ...more);
    return join;
  }
}

export class WireServer {
  readonly url: string;
  readonly #server: WebSocketServer;
  readonly #arrived: WireConnection[] = [];
  #wake = (): void => {};

  private constructor(server: WebSocketServer) {
    this.#server = server;
    this.url = `ws://127.0.0.1:${(server.address() as AddressInfo).port}/ws`;
    server.on('connection', (socket) => {
      this.#arrived.push(new WireConnection(socket));
      this.#wake();
    });
  }

  static async start(port = 0): Promise<WireServer> {
    const server = new WebSocketServer({ host: '127.0.0.1', port, path: '/ws' });
    await once(server, 'listening');
    return new WireServer(server);
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  async connection(): Promise<WireConnection> {
    const deadline = setTimeout(() => this.#wake(), WAIT_MS);
    while (this.#arrived.length === 0) {
      const late = await new Promise<boolean>((resolve) => {
        this.#wake = () => resolve(this.#arrived.length === 0);
      });
      if (late) throw new Error('no client connected');
    }
    clearTimeout(deadline);
    const connection = this.#arrived.shift();
    if (connection === undefined) throw new Error('no client connected');
    return connection;
  }

  /** Ends all connections by force. */
  async stop(): Promise<void> {
    for (const socket of this.#server.clients) socket.terminate();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}
