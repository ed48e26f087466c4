/**
 * Nodes that follow one room of simulated servers over links that fail, one
 * random step after the other, each drives a `RoomStream` as the relay does. A
 * watcher per node is told what members would be told and checks every promise
 * of the protocol against the truth of the servers. A run is repeated exactly by
 * giving the same choices again.
 */
import { type Need, RoomStream, type StreamLimits } from '../../src/core/room-stream.ts';
import type { Entry, ReadResult } from '../../src/core/entry.ts';
import type { Position } from '../../src/protocol/position.ts';
import { type Moment, Names, payloadOf, SimulatedServer } from './simulated-store.ts';
import { StreamWatcher } from './stream-watcher.ts';

/** Uniform in 0..below-1. */
export type Choose = (below: number) => number;

export interface SimulationOptions {
  readonly choose: Choose;
  readonly nodes: number;
  /** Messages a server keeps. */
  readonly keep: number;
  readonly readLimit: number;
  readonly limits: StreamLimits;
}

interface Read {
  readonly generation: number;
  readonly since: Position | null;
  readonly server: SimulatedServer;
  answer: { readonly result: ReadResult; readonly moment: Moment } | 'failed' | undefined;
}

/** What travels to a node on its subscription link, in order. */
type InFlight =
  | { readonly kind: 'message'; readonly epoch: string; readonly entry: Entry }
  | { readonly kind: 'unreadable' }
  /** A message that vanishes although the link stays up. */
  | { readonly kind: 'nothing' }
  | { readonly kind: 'subscribed' };

/** `broken`: nothing more comes in, but the node has not noticed. */
type LinkState = 'up' | 'broken' | 'down';

class SimulatedNode {
  readonly watcher: StreamWatcher;
  readonly stream: RoomStream;
  server: SimulatedServer;
  link: LinkState = 'down';
  inFlight: InFlight[] = [];
  /** A message vanished and no other came since: only the next one, or a look at the head, shows it. */
  deaf = false;
  reads: Read[] = [];
  retries: number[] = [];

  constructor(names: Names, server: SimulatedServer, options: SimulationOptions) {
    this.server = server;
    this.watcher = new StreamWatcher(names, options.readLimit);
    this.stream = new RoomStream(options.limits, this.watcher);
  }

  subscribe(): void {
    this.link = 'up';
    this.deaf = false;
    this.inFlight = [{ kind: 'subscribed' }];
  }

  /** Nothing more arrives; a part of what is on its way still does. */
  breakLink(arriving: number): void {
    this.link = 'broken';
    this.inFlight.length = Math.min(arriving, this.inFlight.length);
  }

  noticeLoss(server: SimulatedServer): void {
    this.link = 'down';
    this.inFlight = [];
    this.server = server;
    this.stream.suspect();
  }

  receive(): void {
    const next = this.inFlight.shift();
    if (next) this.deaf = next.kind === 'nothing';
    if (next?.kind === 'nothing') return;
    if (next?.kind === 'message') this.#need(this.stream.heard(next.epoch, next.entry));
    else if (next) {
      this.stream.suspect();
      this.read();
    }
  }

  read(): void {
    const generation = this.stream.readIssued();
    this.reads.push({ generation, since: this.stream.cursor, server: this.server, answer: undefined });
  }

  /** As the relay does with a room that is silent for long. */
  checkHead(): void {
    this.deaf = false;
    this.stream.suspect();
    this.read();
  }

  retry(place: number): void {
    const [generation] = this.retries.splice(place, 1);
    if (generation !== undefined && this.stream.isCurrent(generation)) this.read();
  }

  /** The commands link is another connection: answers come whenever they come. */
  settle(place: number): void {
    const read = this.reads[place];
    if (!read?.answer) return;
    this.reads.splice(place, 1);
    if (read.answer === 'failed') {
      this.retries.push(read.generation);
      return;
    }
    const { result, moment } = read.answer;
    this.watcher.answering(result, moment, this.stream.isCurrent(read.generation));
    this.#need(this.stream.readAnswered(read.generation, result));
    this.watcher.answered(this.stream.live);
  }

  /** What must hold at any moment, whatever happens next. */
  inspect(names: Names): void {
    const { live, cursor, ring } = this.stream;
    if (live && this.link === 'down') throw new Error('live without a link');
    if (!live || !cursor) return;
    const top = this.server.top;
    if (this.link === 'up' && this.inFlight.length === 0 && !this.deaf && cursor.seq !== top) {
      throw new Error(`live at ${cursor.seq} of ${top}, with nothing on its way`);
    }
    // What a joiner would be given from memory ends where the room is, and is what has these positions.
    for (const since of [cursor.seq - 1, cursor.seq - 3, 0]) {
      const kept = ring.after({ epoch: cursor.epoch, seq: since });
      if (!kept) continue;
      if (kept.length !== cursor.seq - since)
        throw new Error(`the ring ends at ${since + kept.length}, the room at ${cursor.seq}`);
      for (const entry of kept) {
        if (names.payloadAt({ epoch: cursor.epoch, seq: entry.seq }) === payloadOf(entry)) continue;
        throw new Error(`the ring holds something else at ${entry.seq}`);
      }
    }
  }

  #need(need: Need): void {
    if (need === 'read') this.read();
  }
}

export class RelaySimulation {
  readonly #options: SimulationOptions;
  readonly #names = new Names();
  readonly #servers: [SimulatedServer, SimulatedServer];
  readonly #nodes: SimulatedNode[] = [];
  steps = 0;

  constructor(options: SimulationOptions) {
    this.#options = options;
    this.#servers = [
      new SimulatedServer(this.#names, options.keep),
      new SimulatedServer(this.#names, options.keep),
    ];
    for (let place = 0; place < options.nodes; place += 1) {
      this.#nodes.push(new SimulatedNode(this.#names, this.#servers[0], options));
    }
  }

  get delivered(): number {
    return this.#nodes.reduce((sum, node) => sum + node.watcher.delivered, 0);
  }

  get resets(): number {
    return this.#nodes.reduce((sum, node) => sum + node.watcher.resets, 0);
  }

  /** One thing happens: mostly traffic, sometimes a fault of a link or a read, seldom one of a server. */
  step(): void {
    this.steps += 1;
    const kind = this.#options.choose(1000);
    const node = this.#pick(this.#nodes);
    if (kind < 260) this.#publish(node.server);
    else if (kind < 560) node.receive();
    else if (kind < 700) this.#execute(node);
    else if (kind < 860) node.settle(this.#options.choose(Math.max(1, node.reads.length)));
    else if (kind < 900) node.retry(this.#options.choose(Math.max(1, node.retries.length)));
    else if (kind < 990) this.#disturbLink(node, kind);
    else this.#disturbServer(kind);
    node.inspect(this.#names);
  }

  /** All faults end and nothing new is published: what is on its way arrives. */
  finish(): void {
    const [server] = this.#servers;
    for (const node of this.#nodes) {
      if (node.server !== server || node.link === 'broken') node.noticeLoss(server);
      if (node.link === 'down') node.subscribe();
      this.#quieten(node);
      if (node.deaf) node.checkHead();
      this.#quieten(node);
      node.watcher.finished(node.stream.live, node.stream.cursor, server.moment);
    }
  }

  #quieten(node: SimulatedNode): void {
    for (let turn = 0; this.#advance(node); turn += 1) {
      if (turn > 10_000) throw new Error('the node never comes to rest');
    }
  }

  /** False once nothing is on its way to the node. */
  #advance(node: SimulatedNode): boolean {
    if (node.inFlight.length > 0) node.receive();
    else if (node.reads.length > 0) {
      while (node.reads.some((read) => !read.answer)) this.#execute(node);
      node.settle(0);
    } else if (node.retries.length > 0) node.retry(0);
    else return false;
    return true;
  }

  #publish(server: SimulatedServer): void {
    const { epoch, entry } = server.publish();
    for (const node of this.#nodes) {
      if (node.server !== server || node.link !== 'up') continue;
      // Once in a while one is of a newer release and cannot be read, or vanishes without anybody being told.
      const fate = this.#options.choose(60);
      if (fate > 57) node.inFlight.push({ kind: fate === 58 ? 'unreadable' : 'nothing' });
      else node.inFlight.push({ kind: 'message', epoch, entry });
    }
  }

  #execute(node: SimulatedNode): void {
    const waiting = node.reads.filter((read) => !read.answer);
    const read = waiting[this.#options.choose(Math.max(1, waiting.length))];
    if (!read) return;
    const result = read.server.read(read.since, this.#options.readLimit);
    read.answer = { result, moment: read.server.moment };
  }

  #disturbLink(node: SimulatedNode, kind: number): void {
    if (kind < 906) node.breakLink(this.#options.choose(node.inFlight.length + 1));
    else if (kind < 935) {
      if (node.link === 'broken' && node.inFlight.length === 0) this.#notice(node);
    } else if (kind < 966) {
      if (node.link === 'down') node.subscribe();
    } else if (kind < 978) this.#failRead(node);
    else node.stream.overflow();
  }

  #failRead(node: SimulatedNode): void {
    const read = node.reads[this.#options.choose(Math.max(1, node.reads.length))];
    if (read) read.answer = 'failed';
  }

  /** The node looks the topology up again: it may be told the other server. */
  #notice(node: SimulatedNode): void {
    node.noticeLoss(this.#pick(this.#servers));
  }

  #disturbServer(kind: number): void {
    const [first, second] =
      this.#options.choose(2) === 0 ? this.#servers : [this.#servers[1], this.#servers[0]];
    if (kind < 993) {
      // Replication catches up: what `second` had of its own is gone, as with a full resynchronisation.
      this.#stop(second);
      second.copyFrom(first);
      second.restart();
    } else if (kind < 995) {
      this.#stop(first);
      first.restart();
    } else if (kind < 997) first.loseLog();
    else if (kind < 998) {
      this.#stop(first);
      first.loseEverything();
      first.restart();
    } else this.#failOver(first, second);
  }

  /** Everybody on `from` goes to `to`, with whatever it has. Nothing is copied: a suffix may be lost. */
  #failOver(from: SimulatedServer, to: SimulatedServer): void {
    to.restart();
    for (const node of this.#nodes) {
      if (node.server !== from) continue;
      this.#cut(node);
      node.noticeLoss(to);
    }
  }

  /** A process that ends takes its connections and the unanswered reads with it. */
  #stop(server: SimulatedServer): void {
    for (const node of this.#nodes) if (node.server === server) this.#cut(node);
  }

  #cut(node: SimulatedNode): void {
    if (node.link === 'up') node.breakLink(this.#options.choose(node.inFlight.length + 1));
    for (const read of node.reads) read.answer ??= 'failed';
  }

  #pick<T>(choices: readonly T[]): T {
    const chosen = choices[this.#options.choose(choices.length)];
    if (chosen === undefined) throw new Error('nothing to pick from');
    return chosen;
  }
}
