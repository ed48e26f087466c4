/**
 * Two nodes at one store, users with several devices that open their inbox, stop
 * reading, go away and come back with or without a position, and mark what they
 * read, while links are lost, answers fail or never come, and the store loses
 * everything. Whatever happens, nothing may be skipped in silence: a device that
 * was told `recovered` has every message behind its position, and one that named
 * none begins behind nothing that nobody marked.
 */
import { BrokerError } from '../../src/broker/broker.ts';
import type { Position } from '../../src/protocol/position.ts';
import type { Call } from './fake-broker.ts';
import type { Frame } from './fake-connection.ts';
import { type Client, createNodeFixture, type NodeFixture } from './node-fixture.ts';
import { Seeded } from './seeded.ts';

export interface InboxTotals {
  readonly messages: number;
  readonly recovered: number;
  readonly marked: number;
  readonly chunked: number;
  readonly lost: number;
}

const USERS = ['bob', 'cid'];
const DEVICES_PER_USER = 3;
const SETTINGS = {
  inboxMessages: 12,
  joinMessages: 4,
  ringMessages: 3,
  limitOutboxBytes: 400,
  limitOutboxStallMs: 0,
  limitPublishPerSecond: 0,
  limitUserPerSecond: 0,
};
const CALLS: readonly Call[] = ['subscribe', 'publish', 'read', 'readMark', 'markRead'];

export async function simulateInboxes(seed: number, steps: number): Promise<InboxTotals> {
  const simulation = new InboxSimulation(seed);
  for (let step = 0; step < steps; step += 1) await simulation.step();
  await simulation.finish();
  return simulation.totals;
}

/** What was said where: positions name one message each, and marks that somebody asked for. */
class Truth {
  readonly #messages = new Map<string, unknown>();
  readonly #marks = new Map<string, number>();
  readonly violations: string[] = [];

  claim(room: string, epoch: string, seq: number, data: unknown): void {
    const name = `${room} ${epoch}:${seq}`;
    if (!this.#messages.has(name)) this.#messages.set(name, data);
    else if (this.#messages.get(name) !== data) this.violations.push(`${name} names two messages`);
  }

  asked(room: string, { epoch, seq }: Position): void {
    const name = `${room} ${epoch}`;
    this.#marks.set(name, Math.max(seq, this.#marks.get(name) ?? 0));
  }

  highestMark(room: string, epoch: string): number {
    return this.#marks.get(`${room} ${epoch}`) ?? 0;
  }
}

class Device {
  readonly user: string;
  readonly #truth: Truth;
  #client: Client | undefined;
  /** What the present connection asked for. */
  #wanted: true | Position = true;
  #looked = 0;
  position: Position | undefined;
  readonly counts = { messages: 0, recovered: 0, marked: 0, chunked: 0, lost: 0 };

  constructor(user: string, truth: Truth) {
    this.user = user;
    this.#truth = truth;
  }

  get room(): string {
    return `@${this.user}`;
  }

  get client(): Client | undefined {
    return this.#client;
  }

  open(node: NodeFixture, resume: boolean): void {
    this.#client = node.connect();
    this.#wanted = (resume && this.position) || true;
    this.#looked = 0;
    this.position = undefined;
    this.#client.say({ type: 'hello', user: this.user, inbox: this.#wanted });
  }

  drop(): void {
    this.look();
    this.#client?.drop();
    this.#client = undefined;
  }

  mark(random: Seeded): void {
    const { position } = this;
    if (!this.#client || !position) return;
    const seq = random.between(Math.max(0, position.seq - 3), position.seq);
    this.#truth.asked(this.room, { epoch: position.epoch, seq });
    this.#client.say({ type: 'read', seq, epoch: position.epoch });
  }

  /** Follows what came since the last look, as a client would. */
  look(): void {
    const frames = this.#client?.connection.frames ?? [];
    for (; this.#looked < frames.length; this.#looked += 1) {
      const frame = frames[this.#looked];
      if (frame?.['room'] === this.room) this.#follow(frame);
    }
  }

  #follow(frame: Frame): void {
    const { type, epoch, seq, data } = frame as unknown as Position & { type: string; data: unknown };
    if (type === 'joined') this.#joined(frame);
    else if (type === 'epoch' || type === 'reset') this.position = { epoch, seq };
    else if (type === 'message' && this.position) {
      this.#truth.claim(this.room, this.position.epoch, seq, data);
      this.position = { epoch: this.position.epoch, seq };
      this.counts.messages += 1;
    }
  }

  #joined(frame: Frame): void {
    const { epoch, seq } = frame as unknown as Position;
    const messages = frame['messages'] as { seq: number; data: unknown }[];
    const start = seq - messages.length;
    const { violations } = this.#truth;
    const told = `${this.room} joined ${JSON.stringify({ ...frame, messages: messages.length })}`;
    if (this.position) violations.push(`${told} a second time`);
    if (frame['recovered'] === false) this.counts.lost += 1;
    else if (this.#wanted !== true) {
      this.counts.recovered += 1;
      if (start !== this.#wanted.seq || epoch !== this.#wanted.epoch)
        violations.push(`${told} from ${JSON.stringify(this.#wanted)}`);
    } else if (start > this.#truth.highestMark(this.room, epoch))
      violations.push(`${told}: nobody marked so far`);
    else if (start > 0) this.counts.marked += 1;
    if (frame['recovered'] === false && messages.length > 0) violations.push(`${told} with messages`);
    this.position = { epoch, seq };
    for (const message of messages) this.#truth.claim(this.room, epoch, message.seq, message.data);
    this.counts.messages += messages.length;
    if (messages.length === 0) this.counts.chunked += 1;
  }
}

class InboxSimulation {
  readonly #random: Seeded;
  readonly #truth = new Truth();
  readonly #nodes: readonly NodeFixture[];
  readonly #devices: readonly Device[];
  #sent = 0;

  constructor(seed: number) {
    this.#random = new Seeded(seed);
    const first = createNodeFixture({ settings: SETTINGS, shareable: true, seed });
    this.#nodes = [first, createNodeFixture({ settings: SETTINGS, beside: first })];
    this.#devices = Array.from(
      { length: USERS.length * DEVICES_PER_USER },
      (_, n) => new Device(USERS[n % USERS.length] ?? '', this.#truth),
    );
  }

  get totals(): InboxTotals {
    const totals = { messages: 0, recovered: 0, marked: 0, chunked: 0, lost: 0 };
    for (const { counts } of this.#devices) {
      for (const name of Object.keys(totals) as (keyof InboxTotals)[]) totals[name] += counts[name];
    }
    return totals;
  }

  async step(): Promise<void> {
    const random = this.#random;
    const device = random.pick(this.#devices);
    const kind = random.between(0, 99);
    const connection = device.client?.connection;
    if (!connection) device.open(random.pick(this.#nodes), random.chance(0.7));
    else if (kind < 12) device.drop();
    else if (kind < 22) device.mark(random);
    else if (kind < 30) connection.stuck = true;
    else if (kind < 38) connection.drain();
    else if (kind < 70) await this.#send(random.between(1, 6));
    else if (kind < 86) await this.#pass(random.pick([1, 10, 100, 400, 2500, 12_000]));
    else this.#fault(random.pick(this.#nodes));
    if (random.chance(0.7)) await this.#nodes[0]?.settle();
    for (const one of this.#devices) one.look();
  }

  async finish(): Promise<void> {
    for (const node of this.#nodes) this.#heal(node);
    for (const { client } of this.#devices) client?.connection.drain();
    await this.#pass(70_000);
    await this.#send(1, USERS);
    await this.#pass(1000);
    const { violations } = this.#truth;
    for (const node of this.#nodes) violations.push(...node.violations());
    for (const device of this.#devices) {
      device.look();
      const top = await this.#nodes[0]?.store.broker.read(device.room, null, 1);
      const { position, client } = device;
      if (!client || !top) continue;
      if (position?.epoch !== top.epoch || position.seq !== top.top)
        violations.push(
          `${device.room} is at ${JSON.stringify(position)}, the inbox at ${top.epoch}:${top.top}`,
        );
      const [last] = client.connection.of('status').slice(-1);
      if (last?.['redis'] === 'down') violations.push(`${device.room} was never told "up"`);
    }
    if (violations.length > 0) throw new Error(violations.slice(0, 5).join('\n'));
  }

  async #send(count: number, to: readonly string[] = [this.#random.pick(USERS)]): Promise<void> {
    const sender = await this.#random.pick(this.#nodes).hello('ann');
    for (let n = 0; n < count; n += 1) {
      for (const user of to)
        sender.say({ type: 'send', to: user, data: (this.#sent += 1), key: `k${this.#sent}` });
    }
    await this.#nodes[0]?.settle();
    sender.drop();
  }

  #fault(node: NodeFixture): void {
    const { store } = node;
    const random = this.#random;
    switch (random.between(0, 7)) {
      case 0:
        return store.loseLink();
      case 1:
        return store.goDown();
      case 2:
        return store.delayEvents();
      case 3:
        return this.#losesAll();
      case 4:
        return this.#fails(node, random.pick(CALLS));
      default:
        return this.#heal(node);
    }
  }

  /** As a Redis that restarts without its data: no link outlives it. */
  #losesAll(): void {
    if (!this.#random.chance(0.3)) return;
    for (const { store } of this.#nodes) store.loseLink();
    this.#nodes[0]?.store.empty();
    for (const { store } of this.#nodes) store.relink(false);
  }

  #fails({ store }: NodeFixture, call: Call): void {
    const unanswered = (call === 'publish' || call === 'markRead') && this.#random.chance(0.5);
    const fail = () => {
      throw new BrokerError(unanswered ? 'unknown_outcome' : 'unavailable', 'not now');
    };
    if (unanswered) store.after(call, fail);
    else store.before(call, fail);
  }

  #heal({ store }: NodeFixture): void {
    for (const call of CALLS) {
      store.before(call, undefined);
      store.after(call, undefined);
    }
    store.deliver();
    store.comeUp();
    if (!store.linked) store.relink();
  }

  async #pass(ms: number): Promise<void> {
    await this.#nodes[0]?.advance(ms);
  }
}
