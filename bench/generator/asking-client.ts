/**
 * A client of this project that asks and is answered, so light that its own
 * pauses are no part of the times it takes: it keeps nothing of what it hears,
 * and of a frame it looks at the head alone, where a reply has its id.
 */
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { CLOSE, clientFrame, PING, PONG, TEXT } from './client-frame.ts';
import type { Endpoint } from './connection.ts';
import { FrameScanner } from './frame-scanner.ts';
import { UpgradeResponse, upgradeRequest } from './handshake.ts';

/** A reply begins with its type and its id; what else a room is told has no id behind its type. */
const REPLY = /^\{"type":"(\w+)","id":(\d+)[,}]/;
const HEAD_BYTES = 48;
const ERROR_LENGTH = 300;
/** No text begins with it: nothing is merely counted. */
const NOTHING = { offset: 0, byte: 0 };

interface Asked {
  resolve(): void;
  reject(error: Error): void;
}

export class AskingClient {
  readonly #socket: Socket;
  readonly #scanner = new FrameScanner(NOTHING, {
    other: (opcode, payload) => this.#heard(opcode, payload),
  });
  readonly #asked = new Map<number, Asked>();
  #upgrade: UpgradeResponse | undefined = new UpgradeResponse();
  #nextId = 1;

  private constructor({ host, port }: Endpoint) {
    this.#socket = connect({ host, port, noDelay: true });
    this.#socket.on('data', (chunk: Buffer) => this.#read(chunk));
    this.#socket.on('error', () => undefined);
    this.#socket.on('close', () => {
      for (const { reject } of this.#asked.values()) reject(new Error('the connection was closed'));
      this.#asked.clear();
    });
    this.#socket.write(upgradeRequest(`${host}:${port}`, '/ws', 'roomcast.v1'));
  }

  /** Connected, and greeted. */
  static async hello(endpoint: Endpoint, user: string): Promise<AskingClient> {
    const client = new AskingClient(endpoint);
    await once(client.#socket, 'connect');
    await client.ask({ type: 'hello', user });
    return client;
  }

  /** Resolves once it is answered; rejects where the answer is an error. */
  ask(frame: object): Promise<void> {
    const id = this.#nextId++;
    return new Promise((resolve, reject) => {
      this.#asked.set(id, { resolve, reject });
      this.#socket.write(clientFrame(TEXT, JSON.stringify({ ...frame, id })));
    });
  }

  close(): void {
    this.#socket.destroy();
  }

  #read(chunk: Buffer): void {
    let rest = chunk;
    if (this.#upgrade) {
      const behind = this.#upgrade.push(chunk);
      if (!behind) return;
      this.#upgrade = undefined;
      rest = behind;
    }
    if (rest.length > 0) this.#scanner.push(rest, rest.length);
  }

  #heard(opcode: number, payload: Buffer): void {
    if (opcode === PING) this.#socket.write(clientFrame(PONG, payload));
    if (opcode === CLOSE) this.#socket.end();
    if (opcode !== TEXT) return;
    const [, type, id] = REPLY.exec(payload.toString('latin1', 0, HEAD_BYTES)) ?? [];
    const asked = this.#asked.get(Number(id));
    if (!asked) return;
    this.#asked.delete(Number(id));
    if (type === 'error') asked.reject(new Error(payload.toString('utf8', 0, ERROR_LENGTH)));
    else asked.resolve();
  }
}
