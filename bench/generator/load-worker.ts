/**
 * The work of one worker process: opens connections, publishes at a pace,
 * counts everything that comes and checks what the sampled connections got.
 * It decides nothing; the bench tells it what to do (orders.ts).
 */
import { Connection, type Endpoint } from './connection.ts';
import { addFaults, DeliveryCheck, type DeliveryFaults, noFaults } from './delivery-check.ts';
import { newTimes, packTimes, record, type Times } from './histogram.ts';
import { nowUs, payloadOf } from './marker.ts';
import { Napper } from './nap.ts';
import type {
  Connected,
  ConnectionPlan,
  ConnectOrder,
  Counted,
  Orders,
  Published,
  PublishOrder,
  Sampled,
  SlowEnd,
} from './orders.ts';
import { pace } from './pacer.ts';
import type { Wire } from './wire.ts';

/** Loopback addresses have 28,000 ports each towards one endpoint; the next address is used well before. */
const PORTS_PER_ADDRESS = 20_000;

interface Sample {
  readonly connection: Connection;
  readonly check: DeliveryCheck;
  told: boolean;
  closeCode: number;
  /** It stopped reading once: how late it is says nothing of the others. */
  isSlow: boolean;
}

export class LoadWorker implements Orders {
  readonly #wireOf: (peer: string) => Wire;
  #connections: Connection[] = [];
  #samples: Sample[] = [];
  #paused: Sample[] = [];
  #numbers = new Map<number, number>();
  readonly #napper = new Napper();
  #isDrain = false;
  #phaseUs = 0;
  #times: Times = newTimes();
  /** Totals at the beginning of the phase. */
  #before = { messages: 0, bytes: 0, sampled: 0, markers: 0, faults: noFaults() };
  #errors = 0;
  #firstError: string | undefined;
  #closed: Record<string, number> = {};

  constructor(wireOf: (peer: string) => Wire) {
    this.#wireOf = wireOf;
  }

  async connect(order: ConnectOrder): Promise<Connected> {
    const wire = this.#wireOf(order.peer);
    // How long joining takes is measured in every worker.
    this.#napper.stop();
    this.#isDrain = order.isDrain;
    const times = newTimes();
    const failures: string[] = [];
    const fromUs = nowUs();
    let next = 0;
    const opener = async (): Promise<void> => {
      for (let n = next++; n < order.plans.length; n = next++) {
        const beganUs = nowUs();
        const failure = await this.#open(wire, order, order.plans[n] as ConnectionPlan, n);
        if (failure === undefined) record(times, nowUs() - beganUs);
        else failures.push(failure);
      }
    };
    await Promise.all(Array.from({ length: Math.min(order.concurrency, order.plans.length) }, opener));
    return {
      ready: order.plans.length - failures.length,
      failed: failures.length,
      ...(failures[0] === undefined ? {} : { firstFailure: failures[0] }),
      fromUs,
      toUs: nowUs(),
      histogram: packTimes(times),
    };
  }

  async phase(): Promise<void> {
    if (this.#isDrain && this.#connections.length > 0) this.#napper.start();
    this.#phaseUs = nowUs();
    this.#times = newTimes();
    this.#before = this.#totals();
    this.#errors = 0;
    this.#firstError = undefined;
    this.#closed = {};
  }

  async publish(order: PublishOrder): Promise<Published> {
    const counts = order.streams.map(() => 0);
    const total = Math.round(order.perSecond * order.seconds);
    let refused = 0;
    const one = (n: number, atUs: number): void => {
      const index = n % order.streams.length;
      const { stream, connection, room } = order.streams[index] as (typeof order.streams)[number];
      const number = (this.#numbers.get(stream) ?? 0) + 1;
      const publisher = this.#connections[connection];
      if (publisher?.publish(room, payloadOf(stream, number, atUs, order.payloadBytes)) !== true) {
        refused += 1;
        return;
      }
      this.#numbers.set(stream, number);
      counts[index] = (counts[index] as number) + 1;
    };
    const paced = await pace(order.perSecond, total, one);
    return { counts, refused, ...paced };
  }

  async count(): Promise<Counted> {
    const { messages, bytes } = this.#totals();
    let open = 0;
    for (const connection of this.#connections) if (connection.isOpen) open += 1;
    return {
      atUs: nowUs(),
      messages: messages - this.#before.messages,
      bytes: bytes - this.#before.bytes,
      open,
    };
  }

  async sample(): Promise<Sampled> {
    const now = this.#totals();
    const { faults: old } = this.#before;
    return {
      histogram: packTimes(this.#times),
      messages: now.sampled - this.#before.sampled,
      markers: now.markers - this.#before.markers,
      faults: {
        missing: now.faults.missing - old.missing,
        duplicates: now.faults.duplicates - old.duplicates,
        disordered: now.faults.disordered - old.disordered,
      },
      errors: this.#errors,
      ...(this.#firstError === undefined ? {} : { firstError: this.#firstError }),
      closed: this.#closed,
    };
  }

  /** Begin a phase afterwards: those that are paused leave the totals of the sample. */
  async pause(count: number): Promise<void> {
    this.#paused = this.#samples.slice(-count);
    for (const sample of this.#paused) {
      sample.isSlow = true;
      sample.connection.pause();
    }
  }

  async resume(): Promise<void> {
    for (const { connection } of this.#paused) connection.resume();
  }

  async slow(last: Readonly<Record<number, number>>): Promise<readonly SlowEnd[]> {
    return this.#paused.map(({ connection, check, told, closeCode }) => ({
      open: connection.isOpen,
      closeCode,
      told,
      missing: check.faults.missing,
      duplicates: check.faults.duplicates,
      behind: check.behind(last),
    }));
  }

  async othersBehind(last: Readonly<Record<number, number>>): Promise<number> {
    return this.#samples.reduce((sum, { check, isSlow }) => (isSlow ? sum : sum + check.behind(last)), 0);
  }

  async disconnect(): Promise<void> {
    this.#napper.stop();
    this.#isDrain = false;
    for (const connection of this.#connections) connection.destroy();
    this.#connections = [];
    this.#samples = [];
    this.#paused = [];
    this.#numbers = new Map();
    await this.phase();
  }

  /** Opens one connection; the reason where that failed. */
  #open(wire: Wire, order: ConnectOrder, plan: ConnectionPlan, n: number): Promise<string | undefined> {
    const { host, port } = order.endpoints[plan.endpoint] as (typeof order.endpoints)[number];
    const address = Math.floor(n / PORTS_PER_ADDRESS);
    const endpoint: Endpoint =
      address === 0 ? { host, port } : { host, port, from: `127.0.0.${1 + address}` };
    return new Promise((resolve) => {
      const timer = setTimeout(() => {
        connection.destroy();
        resolve(`not joined within ${order.timeoutMs} ms`);
      }, order.timeoutMs);
      let isReady = false;
      const connection = new Connection(wire, plan, endpoint, {
        ready: () => {
          isReady = true;
          clearTimeout(timer);
          resolve(undefined);
        },
        ended: (reason, code) => {
          clearTimeout(timer);
          if (!isReady) resolve(reason);
          else this.#ended(sample, code);
        },
        error: (text) => this.#complain(text),
        ...(plan.sampled
          ? {
              marker: (stream, number, sentUs) => this.#seen(sample, stream, number, sentUs),
              told: () => void (sample.told = true),
            }
          : {}),
      });
      // At once rather than when ready: streams name connections by their place in the plan.
      this.#connections.push(connection);
      const check = new DeliveryCheck(order.published);
      const sample: Sample = { connection, check, told: false, closeCode: 0, isSlow: false };
      if (plan.sampled) this.#samples.push(sample);
    });
  }

  #seen(sample: Sample, stream: number, number: number, sentUs: number): void {
    sample.check.see(stream, number);
    if (!sample.isSlow && sentUs >= this.#phaseUs) record(this.#times, nowUs() - sentUs);
  }

  #ended(sample: Sample, code: number): void {
    sample.closeCode = code;
    this.#closed[code] = (this.#closed[code] ?? 0) + 1;
  }

  #complain(text: string): void {
    this.#errors += 1;
    this.#firstError ??= text;
  }

  #totals() {
    const totals = { messages: 0, bytes: 0, sampled: 0, markers: 0, faults: noFaults() as DeliveryFaults };
    for (const connection of this.#connections) {
      totals.messages += connection.messages;
      totals.bytes += connection.bytes;
    }
    for (const { connection, check, isSlow } of this.#samples) {
      if (isSlow) continue;
      totals.sampled += connection.messages;
      totals.markers += check.seen;
      addFaults(totals.faults, check.faults);
    }
    return totals;
  }
}
