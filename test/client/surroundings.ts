/**
 * The world around the SDK, in the hands of a test: time stands still until it is moved, chance is what the
 * test says, and a socket does what it is told. For tests of pauses, which must be exact; what happens on
 * real sockets is tested elsewhere.
 */
import { onTestFinished } from 'vitest';
import type { WebSocketConstructor } from '../../src/client/index.ts';
import { createFakeClock, type FakeClock } from '../support/fake-clock.ts';
import { WELCOME } from '../support/wire-server.ts';

type Frame = Record<string, unknown>;

/** Stands for src/client/environment.ts: `vi.mock` hands these functions to the SDK. */
export class Surroundings {
  clock: FakeClock = createFakeClock();
  /** What chance says next; the last one stays. */
  chances = [0.5];
  readonly wakes = new Set<() => void>();

  readonly module = {
    now: () => this.clock.now(),
    after: (ms: number, run: () => void) => {
      const timer = this.clock.after(ms, run);
      return () => timer.cancel();
    },
    fraction: () => (this.chances.length > 1 ? this.chances.shift() : this.chances[0]) ?? 0,
    onWake: (run: () => void) => {
      this.wakes.add(run);
      return () => this.wakes.delete(run);
    },
    globalWebSocket: () => undefined,
  };

  /** As new, for one test. */
  begin(): void {
    this.clock = createFakeClock();
    this.chances = [0.5];
    this.wakes.clear();
    onTestFinished(() => void FakeSocket.all.splice(0));
  }

  wake(): void {
    for (const run of this.wakes) run();
  }
}

export class FakeSocket {
  static readonly all: FakeSocket[] = [];
  /** The attempt under way. */
  static get last(): FakeSocket {
    const last = FakeSocket.all.at(-1);
    if (!last) throw new Error('nothing was dialled');
    return last;
  }

  onopen: (() => void) | null = null;
  onmessage: ((event: { data: unknown }) => void) | null = null;
  onclose: ((event: { code: number; reason: string }) => void) | null = null;
  readonly sent: Frame[] = [];
  ended = false;

  constructor() {
    FakeSocket.all.push(this);
  }

  send(text: string): void {
    this.sent.push(JSON.parse(text) as Frame);
  }

  close(): void {
    this.ended = true;
  }

  terminate(): void {
    this.ended = true;
  }

  receive(frame: Frame): void {
    this.onmessage?.({ data: JSON.stringify(frame) });
  }

  /** The latest frame of a type that was sent on it. */
  latest(type: string): Frame {
    const frame = this.sent.findLast((one) => one['type'] === type);
    if (!frame) throw new Error(`sent no ${type}: ${JSON.stringify(this.sent)}`);
    return frame;
  }

  types(): unknown[] {
    return this.sent.map(({ type }) => type);
  }

  /** Opens, and welcomes whoever says hello. */
  greet(change: Frame = {}): void {
    this.onopen?.();
    const hello = this.sent.find(({ type }) => type === 'hello');
    this.receive({ ...WELCOME, id: hello?.['id'], ...change });
  }

  end(code = 1006, reason = ''): void {
    this.onclose?.({ code, reason });
  }
}

export const fakeWebSocket = FakeSocket as unknown as WebSocketConstructor;

/** Lets a token provider, and what waits behind promises, go on. */
export async function settled(): Promise<void> {
  for (let hop = 0; hop < 20; hop += 1) await Promise.resolve();
}
