/**
 * A protocol client for tests: one WebSocket, a queue of what came, and waiting
 * for a frame instead of sleeping. It checks on its own what every client is
 * promised: per room, seq grows by exactly one between resets.
 */
import { WebSocket } from 'ws';

export interface Frame {
  readonly type: string;
  readonly [field: string]: unknown;
}

interface Waiter {
  readonly matches: (frame: Frame) => boolean;
  readonly resolve: (frame: Frame) => void;
}

const WAIT_MS = 10_000;

export class TestClient {
  readonly frames: Frame[] = [];
  readonly socket: WebSocket;
  readonly closed: Promise<{ code: number; reason: string }>;
  #waiters: Waiter[] = [];
  readonly #hearers: ((frame: Frame) => void)[] = [];
  #nextId = 1;
  /** Frames before it were taken by `next`. */
  #taken = 0;
  #positions = new Map<string, { epoch: string; seq: number }>();
  /** What broke the promises; tests expect it to be empty. */
  readonly violations: string[] = [];

  private constructor(socket: WebSocket) {
    this.socket = socket;
    socket.on('message', (data: Buffer) => this.#received(data.toString()));
    this.closed = new Promise((resolve) => {
      socket.on('close', (code, reason) => resolve({ code, reason: reason.toString() }));
    });
    socket.on('error', () => undefined);
  }

  static async open(url: string, protocols: string[] = []): Promise<TestClient> {
    const client = new TestClient(new WebSocket(url, protocols));
    await new Promise<void>((resolve, reject) => {
      client.socket.once('open', () => resolve());
      client.socket.once('error', reject);
    });
    return client;
  }

  /** Opens and says hello. */
  static async hello(url: string, user?: string): Promise<TestClient> {
    const client = await TestClient.open(url);
    client.send({ type: 'hello', user });
    await client.next('welcome');
    return client;
  }

  send(frame: object): void {
    this.socket.send(JSON.stringify(frame));
  }

  /** Sends with a new id and resolves to the reply, success or error. */
  request(frame: object, waitMs = WAIT_MS): Promise<Frame> {
    const id = `t${this.#nextId++}`;
    // A fresh id cannot have come already: looking through the past would cost more the longer a test runs.
    const reply = this.find((candidate) => candidate['id'] === id, waitMs, JSON.stringify(frame), false);
    this.send({ ...frame, id });
    return reply;
  }

  join(room: string, options: object = {}): Promise<Frame> {
    return this.request({ type: 'join', room, ...options });
  }

  publish(room: string, data: unknown, key?: string): Promise<Frame> {
    return this.request({ type: 'publish', room, data, key });
  }

  /** The next frame of a type that no earlier `next` returned. */
  async next(type: string, waitMs = WAIT_MS): Promise<Frame> {
    const place = this.frames.findIndex((frame, index) => index >= this.#taken && frame.type === type);
    if (place >= 0) {
      this.#taken = place + 1;
      const frame = this.frames[place];
      if (frame) return frame;
    }
    const frame = await this.find((candidate) => candidate.type === type, waitMs, type, false);
    this.#taken = this.frames.indexOf(frame) + 1;
    return frame;
  }

  /** A frame that came already or will come. */
  find(
    matches: (frame: Frame) => boolean,
    waitMs = WAIT_MS,
    what = 'a frame',
    alsoPast = true,
  ): Promise<Frame> {
    const past = alsoPast ? this.frames.find(matches) : undefined;
    if (past) return Promise.resolve(past);
    return new Promise((resolve, reject) => {
      const waiter: Waiter = {
        matches,
        resolve: (frame) => {
          clearTimeout(timer);
          resolve(frame);
        },
      };
      const timer = setTimeout(() => {
        this.#waiters = this.#waiters.filter((other) => other !== waiter);
        const last = this.frames.slice(-5).map((frame) => JSON.stringify(frame).slice(0, 200));
        reject(new Error(`waited ${waitMs} ms for ${what}; the last frames were\n${last.join('\n')}`));
      }, waitMs);
      this.#waiters.push(waiter);
    });
  }

  /** Hears every frame from now on, in the turn in which it came. */
  onFrame(hear: (frame: Frame) => void): void {
    this.#hearers.push(hear);
  }

  of(type: string, room?: string): Frame[] {
    return this.frames.filter(
      (frame) => frame.type === type && (room === undefined || frame['room'] === room),
    );
  }

  /** The data of the messages that came for a room, `joined` included, in order. */
  data(room: string): unknown[] {
    return this.frames.flatMap((frame) => {
      if (frame['room'] !== room) return [];
      if (frame.type === 'message') return [frame['data']];
      if (frame.type !== 'joined') return [];
      return (frame['messages'] as { data: unknown }[]).map((message) => message.data);
    });
  }

  /** Where this client's subscription of a room is: what it gives back as `since`. */
  position(room: string): { epoch: string; seq: number } {
    const position = this.#positions.get(room);
    if (!position) throw new Error(`never joined ${room}`);
    return position;
  }

  async close(): Promise<void> {
    this.socket.close(1000);
    await this.closed;
  }

  /** As a pulled cable: no closing handshake. */
  async drop(): Promise<void> {
    this.socket.terminate();
    await this.closed;
  }

  #received(text: string): void {
    const frame = JSON.parse(text) as Frame;
    this.frames.push(frame);
    this.#follow(frame);
    for (const hear of this.#hearers) hear(frame);
    const told = this.#waiters.filter((waiter) => waiter.matches(frame));
    this.#waiters = this.#waiters.filter((waiter) => !told.includes(waiter));
    for (const waiter of told) waiter.resolve(frame);
  }

  #follow(frame: Frame): void {
    const room = frame['room'] as string;
    const seq = frame['seq'] as number;
    const epoch = frame['epoch'] as string;
    if (frame.type === 'joined' || frame.type === 'reset' || frame.type === 'epoch') {
      this.#positions.set(room, { epoch, seq });
    } else if (frame.type === 'message') {
      const at = this.#positions.get(room);
      if (!at) this.violations.push(`message ${seq} of ${room} before joined`);
      else if (seq !== at.seq + 1) this.violations.push(`message ${seq} of ${room} after ${at.seq}`);
      if (at) this.#positions.set(room, { epoch: at.epoch, seq });
    }
  }
}
