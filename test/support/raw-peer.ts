/**
 * The other end of a WebSocket by hand, on a plain TCP socket: it can say what
 * no library would let it say, keep silent where a library answers, and not
 * read. `ws` on this side as well would make both ends right or wrong together.
 */
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { onTestFinished } from 'vitest';

export const OPCODE = { continuation: 0, text: 1, binary: 2, close: 8, ping: 9, pong: 10 } as const;

export interface FrameShape {
  readonly opcode?: number;
  readonly payload?: Buffer | string;
  readonly fin?: boolean;
  readonly masked?: boolean;
  /** The three reserved bits as a number. */
  readonly rsv?: number;
  /** Bits of the length field, more than needed for an overlong one. */
  readonly lengthBits?: 7 | 16 | 64;
  /** The length that is claimed instead of the true one. */
  readonly length?: bigint;
}

/** A frame of a client: masked text in one piece, unless said otherwise. */
export function frame(shape: FrameShape = {}): Buffer {
  const { opcode = OPCODE.text, fin = true, masked = true, rsv = 0 } = shape;
  const payload = Buffer.from(shape.payload ?? '');
  const length = shape.length ?? BigInt(payload.length);
  const bits = shape.lengthBits ?? (length < 126n ? 7 : length < 65_536n ? 16 : 64);
  const first = (fin ? 0x80 : 0) | (rsv << 4) | opcode;
  const mask = masked ? 0x80 : 0;
  const head = Buffer.alloc(bits === 7 ? 2 : bits === 16 ? 4 : 10);
  head[0] = first;
  head[1] = mask | (bits === 7 ? Number(length) : bits === 16 ? 126 : 127);
  if (bits === 16) head.writeUInt16BE(Number(length), 2);
  if (bits === 64) head.writeBigUInt64BE(length, 2);
  if (!masked) return Buffer.concat([head, payload]);
  const key = Buffer.from([0x12, 0x34, 0x56, 0x78]);
  return Buffer.concat([head, key, payload.map((byte, at) => byte ^ (key[at % 4] ?? 0))]);
}

export function closeFrame(code?: number, reason = ''): Buffer {
  const payload = Buffer.alloc(code === undefined ? 0 : 2);
  if (code !== undefined) payload.writeUInt16BE(code);
  return frame({ opcode: OPCODE.close, payload: Buffer.concat([payload, Buffer.from(reason)]) });
}

export function upgradeRequest(headers: readonly string[] = [], target = '/ws'): string {
  const lines = [
    `GET ${target} HTTP/1.1`,
    'Host: test',
    'Connection: Upgrade',
    'Upgrade: websocket',
    'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
    'Sec-WebSocket-Version: 13',
    ...headers,
  ];
  return `${lines.join('\r\n')}\r\n\r\n`;
}

export interface HttpAnswer {
  readonly status: number;
  readonly headers: ReadonlyMap<string, string>;
  readonly body: string;
}

/** Writes bytes to the port and reads until the other side closes; undefined where it closed without an answer. */
export async function exchange(port: number, bytes: string | Buffer): Promise<HttpAnswer | undefined> {
  const socket = connect(port, '127.0.0.1');
  const chunks: Buffer[] = [];
  socket.on('data', (chunk: Buffer) => chunks.push(chunk));
  socket.on('error', () => undefined);
  socket.write(bytes);
  await once(socket, 'close');
  const text = Buffer.concat(chunks).toString();
  return text === '' ? undefined : readAnswer(text);
}

function readAnswer(text: string): HttpAnswer {
  const [head = '', body = ''] = text.split('\r\n\r\n', 2);
  const [line = '', ...lines] = head.split('\r\n');
  const headers = new Map<string, string>();
  for (const header of lines) {
    const at = header.indexOf(':');
    const name = header.slice(0, at).toLowerCase();
    const value = header.slice(at + 1).trim();
    headers.set(name, headers.has(name) ? `${headers.get(name)}, ${value}` : value);
  }
  return { status: Number(line.split(' ')[1]), headers, body };
}

export interface Received {
  readonly opcode: number;
  readonly payload: Buffer;
}

export interface RawPeerOptions {
  readonly headers?: readonly string[];
  /** Written in the same segment as the upgrade request. */
  readonly behind?: Buffer;
  /** Answer pings with pongs, as a library would. */
  readonly answersPings?: boolean;
  /** Answer a close frame with one, and end. */
  readonly answersClose?: boolean;
}

export class RawPeer {
  readonly socket: Socket;
  readonly received: Received[] = [];
  readonly answer: HttpAnswer;
  /** Resolves when the TCP connection is gone. */
  readonly gone: Promise<void>;
  readonly #options: RawPeerOptions;
  #pending = Buffer.alloc(0);
  #wake: (() => void)[] = [];

  private constructor(socket: Socket, answer: HttpAnswer, rest: Buffer, options: RawPeerOptions) {
    this.socket = socket;
    this.answer = answer;
    this.#options = options;
    this.gone = new Promise((resolve) => socket.once('close', () => resolve()));
    socket.on('data', (chunk: Buffer) => this.#read(chunk));
    socket.on('close', () => this.#changed());
    this.#read(rest);
  }

  /** Connects and upgrades; gone at the latest with the test. */
  static async open(port: number, options: RawPeerOptions = {}): Promise<RawPeer> {
    const socket = connect(port, '127.0.0.1');
    socket.on('error', () => undefined);
    onTestFinished(() => void socket.destroy());
    socket.write(
      Buffer.concat([Buffer.from(upgradeRequest(options.headers)), options.behind ?? Buffer.alloc(0)]),
    );
    let bytes = Buffer.alloc(0);
    for (;;) {
      const [chunk] = (await once(socket, 'data')) as [Buffer];
      bytes = Buffer.concat([bytes, chunk]);
      const end = bytes.indexOf('\r\n\r\n');
      if (end < 0) continue;
      const answer = readAnswer(bytes.subarray(0, end + 4).toString());
      if (answer.status !== 101) throw new Error(`the upgrade was answered ${bytes.toString()}`);
      return new RawPeer(socket, answer, bytes.subarray(end + 4), options);
    }
  }

  write(...bytes: Buffer[]): void {
    this.socket.write(Buffer.concat(bytes));
  }

  say(...frames: object[]): void {
    this.write(...frames.map((one) => frame({ payload: JSON.stringify(one) })));
  }

  /** What came as text, parsed. */
  get texts(): Record<string, unknown>[] {
    return this.received
      .filter(({ opcode }) => opcode === OPCODE.text)
      .map(({ payload }) => JSON.parse(payload.toString()) as Record<string, unknown>);
  }

  /** The code of the close frame that came, 1005 for one without, undefined before there is one. */
  get closeCode(): number | undefined {
    const closed = this.received.find(({ opcode }) => opcode === OPCODE.close);
    if (!closed) return undefined;
    return closed.payload.length >= 2 ? closed.payload.readUInt16BE() : 1005;
  }

  /** Resolves once the condition holds, looked at after everything that comes. */
  async until(holds: (peer: RawPeer) => boolean, what: string, waitMs = 5000): Promise<void> {
    let isLate = false;
    const deadline = setTimeout(() => {
      isLate = true;
      this.#changed();
    }, waitMs);
    try {
      while (!holds(this)) {
        if (isLate || this.socket.closed) throw new Error(`no ${what}; ${this.#lately()}`);
        await new Promise<void>((resolve) => this.#wake.push(resolve));
      }
    } finally {
      clearTimeout(deadline);
    }
  }

  async text(type: string): Promise<Record<string, unknown>> {
    await this.until((peer) => peer.texts.some((text) => text['type'] === type), type);
    return this.texts.find((text) => text['type'] === type) ?? {};
  }

  async closed(): Promise<number | undefined> {
    await this.until((peer) => peer.closeCode !== undefined || peer.socket.closed, 'close');
    return this.closeCode;
  }

  /** Of texts that are no JSON, too: what a test sends may be anything. */
  #lately(): string {
    const last = this.received
      .slice(-3)
      .map(({ opcode, payload }) => `${opcode}: ${payload.toString('utf8', 0, 200)}`);
    return `got ${this.received.length} frames, ${this.#pending.length} bytes of the next, close ${this.closeCode}; the last ${JSON.stringify(last)}`;
  }

  #read(chunk: Buffer): void {
    this.#pending = Buffer.concat([this.#pending, chunk]);
    for (let next = this.#take(); next; next = this.#take()) {
      this.received.push(next);
      if (next.opcode === OPCODE.ping && this.#options.answersPings !== false) {
        this.write(frame({ opcode: OPCODE.pong, payload: next.payload }));
      }
      if (next.opcode === OPCODE.close && this.#options.answersClose !== false) {
        this.socket.end(frame({ opcode: OPCODE.close, payload: next.payload }));
      }
    }
    this.#changed();
  }

  /** The next whole frame of the server: never masked, never fragmented. */
  #take(): Received | undefined {
    const bytes = this.#pending;
    if (bytes.length < 2) return undefined;
    const opcode = bytes.readUInt8(0) & 0x0f;
    const short = bytes.readUInt8(1);
    if (short >= 0x80 || (bytes.readUInt8(0) & 0xf0) !== 0x80)
      throw new Error('the server sent a frame that is masked or fragmented');
    const at = short < 126 ? 2 : short === 126 ? 4 : 10;
    if (bytes.length < at) return undefined;
    const length =
      short < 126 ? short : short === 126 ? bytes.readUInt16BE(2) : Number(bytes.readBigUInt64BE(2));
    if (bytes.length < at + length) return undefined;
    this.#pending = bytes.subarray(at + length);
    return { opcode, payload: Buffer.from(bytes.subarray(at, at + length)) };
  }

  #changed(): void {
    const wake = this.#wake;
    this.#wake = [];
    for (const one of wake) one();
  }
}
