/**
 * The load of one measurement. One worker publishes, so that it waits for no
 * reader of its own process (for the processor it may: its lag is measured); one is the witness, with the connections that are read
 * closely and timed; the others drain the rest. Publishers are members like all
 * others; every member's deliveries are counted.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { addFaults, noFaults } from './delivery-check.ts';
import { mergeTimes, type Times } from './histogram.ts';
import { STREAMS_MAX } from './marker.ts';
import type { ConnectionPlan, Counted, Published, Sampled, SlowEnd, StreamPlan } from './orders.ts';
import { WorkerProcess } from './worker-process.ts';

/** Every frame of one connection in this many is read and checked. */
const SAMPLE_EVERY = 50;
const POLL_MS = 50;
/** Places of the workers. */
const PUBLISHER = 0;
const WITNESS = 1;
const FIRST_DRAIN = 2;

export interface RoomsPlan {
  readonly rooms: number;
  /** Per room, publishers included. */
  readonly members: number;
  /** Of the members of each room. */
  readonly publishers: number;
}

export interface ConnectOptions {
  /** Connections that may be opening at a time. */
  readonly concurrency?: number;
  readonly timeoutMs?: number;
  /** Endpoint of member `n` of a room; publishers come first. Without it members go round all endpoints. */
  readonly endpointOf?: (n: number) => number;
  readonly sampleEvery?: number;
  /** Number of the first room, or of the first member of each, to open more connections beside those that are there. */
  readonly firstRoom?: number;
  readonly firstMember?: number;
}

export interface ConnectReport {
  readonly seconds: number;
  readonly perSecond: number;
  readonly times: Times;
}

export class Load {
  readonly #publisher: WorkerProcess;
  readonly #witness: WorkerProcess;
  readonly #drains: readonly WorkerProcess[];
  readonly #all: readonly WorkerProcess[];
  #streams: StreamPlan[] = [];
  #membersOf: number[] = [];
  /** Connections of each worker so far. */
  readonly #opened: number[];
  /** Newest number of each stream. */
  readonly last: Record<number, number> = {};

  /** One drain per generator core. */
  constructor(cores: readonly number[]) {
    this.#publisher = new WorkerProcess(cores);
    this.#witness = new WorkerProcess(cores);
    this.#drains = Array.from({ length: Math.max(1, cores.length) }, () => new WorkerProcess(cores));
    this.#all = [this.#publisher, this.#witness, ...this.#drains];
    this.#opened = this.#all.map(() => 0);
  }

  /** Opens all connections and joins them to their rooms. Rejects where one could not. */
  async connect(
    peer: string,
    endpoints: readonly { readonly host: string; readonly port: number }[],
    { rooms, members, publishers }: RoomsPlan,
    options: ConnectOptions = {},
  ): Promise<ConnectReport> {
    const plans: ConnectionPlan[][] = this.#all.map(() => []);
    const {
      endpointOf = (n: number) => n % endpoints.length,
      sampleEvery = SAMPLE_EVERY,
      firstRoom = 0,
      firstMember = 0,
    } = options;
    let opened = 0;
    for (let room = firstRoom; room < firstRoom + rooms; room += 1) {
      for (let n = 0; n < members; n += 1) {
        // Not the publishers: whoever writes is a poor witness of how late it reads.
        const sampled = n >= publishers && opened % sampleEvery === 0;
        const worker =
          n < publishers ? PUBLISHER : sampled ? WITNESS : FIRST_DRAIN + (opened % this.#drains.length);
        const plan = plans[worker] as ConnectionPlan[];
        if (n < publishers) {
          if (this.#streams.length === STREAMS_MAX) throw new Error(`more than ${STREAMS_MAX} publishers`);
          this.#streams.push({
            stream: this.#streams.length,
            connection: (this.#opened[PUBLISHER] ?? 0) + plan.length,
            room: `room-${room}`,
          });
          this.#membersOf.push(members);
        }
        plan.push({
          endpoint: endpointOf(n),
          user: `user-${room}-${firstMember + n}`,
          rooms: [`room-${room}`],
          sampled,
        });
        if (n >= publishers) opened += 1;
      }
    }
    plans.forEach((plan, n) => {
      this.#opened[n] = (this.#opened[n] ?? 0) + plan.length;
    });
    const { concurrency = 200, timeoutMs = 30_000 } = options;
    const connected = await Promise.all(
      this.#all.map((worker, n) =>
        worker.ask('connect', {
          peer,
          endpoints,
          plans: plans[n] as ConnectionPlan[],
          concurrency: Math.max(1, Math.ceil((concurrency * (plans[n]?.length ?? 0)) / (rooms * members))),
          timeoutMs,
          isDrain: n >= FIRST_DRAIN,
          published: this.last,
        }),
      ),
    );
    const failed = connected.find((one) => one.failed > 0);
    if (failed)
      throw new Error(`${failed.failed} connections failed, the first with: ${failed.firstFailure}`);
    const fromUs = Math.min(...connected.map((one) => one.fromUs));
    const seconds = (Math.max(...connected.map((one) => one.toUs)) - fromUs) / 1e6;
    return {
      seconds,
      perSecond: (rooms * members) / seconds,
      times: mergeTimes(connected.map((one) => one.histogram)),
    };
  }

  /** Of the generator's processes. */
  get pids(): readonly number[] {
    return this.#all.map((worker) => worker.pid);
  }

  async phase(): Promise<void> {
    await Promise.all(this.#all.map((worker) => worker.ask('phase')));
  }

  /** Publishes evenly over all streams. */
  async publish(order: { perSecond: number; seconds: number; payloadBytes: number }): Promise<Published> {
    const published = await this.#publisher.ask('publish', { ...order, streams: this.#streams });
    published.counts.forEach((count, n) => {
      this.last[n] = (this.last[n] ?? 0) + count;
    });
    return published;
  }

  /** Deliveries that `published` ought to cause. */
  owed(published: Published): number {
    return published.counts.reduce((sum, count, n) => sum + count * (this.#membersOf[n] ?? 0), 0);
  }

  async count(): Promise<Counted[]> {
    return Promise.all(this.#all.map((worker) => worker.ask('count')));
  }

  async delivered(): Promise<number> {
    return (await this.count()).reduce((sum, one) => sum + one.messages, 0);
  }

  async open(): Promise<number> {
    return (await this.count()).reduce((sum, one) => sum + one.open, 0);
  }

  /** Waits until `owed` messages came, or none for `quietMs`, at most `maxMs`. Resolves to what came. */
  async settle(owed: number, maxMs: number, quietMs = maxMs): Promise<number> {
    const until = performance.now() + maxMs;
    let before = -1;
    let changedAt = performance.now();
    for (;;) {
      const delivered = await this.delivered();
      const now = performance.now();
      if (delivered !== before) changedAt = now;
      before = delivered;
      if (delivered >= owed || now > until || now - changedAt > quietMs) return delivered;
      await delay(POLL_MS);
    }
  }

  async sample(): Promise<{ times: Times } & Omit<Sampled, 'histogram'>> {
    const sampled = await Promise.all(this.#all.map((worker) => worker.ask('sample')));
    const faults = noFaults();
    const closed: Record<string, number> = {};
    for (const one of sampled) {
      addFaults(faults, one.faults);
      for (const [code, count] of Object.entries(one.closed)) closed[code] = (closed[code] ?? 0) + count;
    }
    const firstError = sampled.find((one) => one.firstError !== undefined)?.firstError;
    return {
      times: mergeTimes(sampled.map((one) => one.histogram)),
      messages: sampled.reduce((sum, one) => sum + one.messages, 0),
      markers: sampled.reduce((sum, one) => sum + one.markers, 0),
      errors: sampled.reduce((sum, one) => sum + one.errors, 0),
      ...(firstError === undefined ? {} : { firstError }),
      faults,
      closed,
    };
  }

  /** The last `count` sampled members stop reading. */
  async pause(count: number): Promise<void> {
    await this.#witness.ask('pause', count);
  }

  async resume(): Promise<void> {
    await this.#witness.ask('resume');
  }

  /** Messages that sampled members are owed and have not got, but for those who had stopped reading. */
  async othersBehind(): Promise<number> {
    return this.#witness.ask('othersBehind', this.last);
  }

  /** How those who had stopped reading ended. */
  async slow(): Promise<readonly SlowEnd[]> {
    return this.#witness.ask('slow', this.last);
  }

  stop(): void {
    for (const worker of this.#all) worker.stop();
  }
}
