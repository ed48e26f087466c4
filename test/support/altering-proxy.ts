/**
 * A WebSocket proxy that tells lies: it passes a client's messages to a real server and the server's frames
 * back, each through a function of the test that may change, drop, repeat or reorder them. For tests that a
 * check notices. One upstream connection for each client.
 */
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { WebSocket, WebSocketServer } from 'ws';
import type { Frame } from './test-client.ts';

/** What a lie may keep about one connection: frames it held back, a count. */
export interface Memory {
  count: number;
  held: Frame | undefined;
}

export interface Lies {
  /** What the client is sent in the place of one frame of the server: texts as they are, frames as JSON. */
  readonly frame?: (frame: Frame, memory: Memory) => readonly (Frame | string | Buffer)[];
  /** Milliseconds by which a message of the client is late; later ones overtake it. */
  readonly lateMs?: (text: string) => number;
  /** What the server is sent in the place of one message of the client. */
  readonly request?: (frame: Frame, memory: Memory) => readonly Frame[];
  /** The code of a close, 1005 for none. */
  readonly close?: (code: number) => number;
  /** Any subprotocol is taken. */
  readonly anySubprotocol?: boolean;
}

export class AlteringProxy {
  readonly url: string;
  readonly #server: WebSocketServer;
  readonly #target: string;
  readonly #lies: Lies;

  private constructor(server: WebSocketServer, target: string, lies: Lies) {
    this.url = `ws://127.0.0.1:${(server.address() as AddressInfo).port}/ws`;
    this.#server = server;
    this.#target = target;
    this.#lies = lies;
    server.on('connection', (client) => this.#connected(client));
  }

  static async start(target: string, lies: Lies): Promise<AlteringProxy> {
    const server = new WebSocketServer({
      host: '127.0.0.1',
      port: 0,
      handleProtocols: (offered) => (offered.has('roomcast.v1') ? 'roomcast.v1' : false),
      verifyClient: ({ req }, verified) => {
        const offered = req.headers['sec-websocket-protocol'];
        const right = offered === undefined || offered.includes('roomcast.v1');
        verified(right || lies.anySubprotocol === true, 400);
      },
    });
    await once(server, 'listening');
    return new AlteringProxy(server, target, lies);
  }

  async stop(): Promise<void> {
    for (const client of this.#server.clients) client.terminate();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  #connected(client: WebSocket): void {
    const upstream = new WebSocket(this.#target, ['roomcast.v1'], { perMessageDeflate: false });
    const memory: Memory = { count: 0, held: undefined };
    const opened = once(upstream, 'open');
    opened.catch(() => client.terminate());
    client.on(
      'message',
      (data: Buffer, isBinary) => void this.#toServer(upstream, opened, data, isBinary, memory),
    );
    upstream.on('message', (data: Buffer) => this.#toClient(client, data.toString(), memory));
    upstream.on('close', (code) => endWith(client, this.#lies.close?.(code) ?? code));
    client.on('close', () => upstream.close());
    for (const socket of [client, upstream]) socket.on('error', () => undefined);
  }

  async #toServer(
    upstream: WebSocket,
    opened: Promise<unknown>,
    data: Buffer,
    isBinary: boolean,
    memory: Memory,
  ): Promise<void> {
    await opened.catch(() => undefined);
    const text = data.toString();
    const lateMs = this.#lies.lateMs?.(text) ?? 0;
    if (lateMs > 0) await delay(lateMs);
    const { request } = this.#lies;
    if (request === undefined || isBinary || !text.startsWith('{')) {
      upstream.send(data, { binary: isBinary }, () => undefined);
      return;
    }
    for (const frame of request(JSON.parse(text) as Frame, memory))
      upstream.send(JSON.stringify(frame), () => undefined);
  }

  #toClient(client: WebSocket, text: string, memory: Memory): void {
    const frame = JSON.parse(text) as Frame;
    for (const one of this.#lies.frame?.(frame, memory) ?? [frame]) {
      client.send(
        typeof one === 'string' || Buffer.isBuffer(one) ? one : JSON.stringify(one),
        () => undefined,
      );
    }
  }
}

function endWith(client: WebSocket, code: number): void {
  if (code === 1005) client.close();
  else if (code === 1006) client.terminate();
  else client.close(code);
}
