/**
 * What a check works with: connections that end with it, names nobody else uses, time, and the operator's
 * hand where there is one. A lab belongs to one run of one check.
 */
import type { JoinedFrame } from '../protocol/messages.ts';
import { Deviation, must, skip } from './outcome.ts';
import { Peer } from './peer.ts';
import { type Clock, type Hooks, type OpenWire, sleep, type WireOptions } from './wire.ts';

export interface LabParts {
  /** At least one. Several are nodes of one deployment, or ways to it. */
  readonly urls: readonly string[];
  readonly open: OpenWire;
  readonly clock: Clock;
  /** Characters nobody can guess, `[0-9a-z]`, at least 12. */
  readonly token: () => string;
  readonly timeoutMs: number;
  readonly hooks: Hooks;
}

export interface Member {
  readonly peer: Peer;
  readonly user: string;
  readonly joined: JoinedFrame;
}

/** Connections made to meet a second node behind one address. */
const NODE_TRIES = 24;
/** HTTP: come back later. */
const UNAVAILABLE = 503;
const RETRY_MS = 200;

export class Lab {
  readonly #parts: LabParts;
  readonly #token: string;
  readonly #peers = new Set<Peer>();
  #names = 0;

  constructor(parts: LabParts) {
    this.#parts = parts;
    this.#token = parts.token().slice(0, 12);
  }

  get clock(): Clock {
    return this.#parts.clock;
  }

  get hooks(): Hooks {
    return this.#parts.hooks;
  }

  get timeoutMs(): number {
    return this.#parts.timeoutMs;
  }

  get urls(): readonly string[] {
    return this.#parts.urls;
  }

  /** The address of the n-th connection: they take turns. */
  url(at: number): string {
    const { urls } = this.#parts;
    return urls[at % urls.length] ?? '';
  }

  room(): string {
    this.#names += 1;
    return `conformance:${this.#token}:${this.#names}`;
  }

  user(name = 'user'): string {
    this.#names += 1;
    return `${name}-${this.#token}-${this.#names}`;
  }

  sleep(ms: number): Promise<void> {
    return sleep(this.clock, ms);
  }

  /** A connection that has not said hello. A proxy that just lost its nodes says 503 for a moment. */
  async connect(at = 0, options: Partial<WireOptions> = {}): Promise<Peer> {
    const until = this.clock.now() + this.timeoutMs;
    for (;;) {
      const peer = this.#peer(at, options);
      try {
        return await peer.opened();
      } catch (error) {
        if (peer.end?.refused?.status !== UNAVAILABLE || this.clock.now() > until) throw error;
        await this.sleep(RETRY_MS);
      }
    }
  }

  /** The same at the first attempt; undefined where nobody takes it. */
  async connectNow(at = 0): Promise<Peer | undefined> {
    return this.#peer(at, {})
      .opened()
      .catch(() => undefined);
  }

  /** Each address takes connections again after a node was taken away. */
  async everybodyBack(withinMs: number): Promise<void> {
    const until = this.clock.now() + withinMs;
    for (let at = 0; at < this.urls.length; ) {
      const peer = await this.connectNow(at);
      await peer?.close();
      if (peer !== undefined) at += 1;
      else {
        must(this.clock.now() < until, `a connection at ${this.url(at)} again`, 'refusals');
        await this.sleep(RETRY_MS);
      }
    }
  }

  #peer(at: number, options: Partial<WireOptions>): Peer {
    const { open, clock, timeoutMs } = this.#parts;
    const peer = new Peer({ url: this.url(at), open, clock, timeoutMs }, options);
    this.#peers.add(peer);
    return peer;
  }

  /** A connection that has. */
  async hello(at = 0, user = this.user(), fields: object = {}): Promise<Peer> {
    const peer = await this.connect(at);
    await peer.ask({ type: 'hello', user, ...fields }, { type: 'welcome', user });
    return peer;
  }

  /** A connection in a room, without presence frames unless asked for. */
  async member(room: string, at = 0, user = this.user(), fields: object = {}): Promise<Member> {
    const peer = await this.hello(at, user);
    const joined = await peer.join(room, { presence: 'none', ...fields });
    return { peer, user, joined };
  }

  /** Says hello to a node other than that of `peer`; skips where none is met. What it met on the way stays
   * open: a proxy that balances by connections would send the next one to the same node. */
  async elsewhere(peer: Peer, user: string): Promise<Peer> {
    for (let at = 1; at <= NODE_TRIES; at += 1) {
      const other = await this.connect(at);
      await other.ask({ type: 'hello', user }, { type: 'welcome', user });
      if (other.welcome.node !== peer.welcome.node) return other;
    }
    return skip('only one node was met; name several with --url, or a proxy in front of several');
  }

  /** The deviation that a connection of this check saw on the way. */
  deviation(): Deviation | undefined {
    return [...this.#peers].find((peer) => peer.witness.deviation !== undefined)?.witness.deviation;
  }

  /** Ends every connection that is left. */
  async end(): Promise<void> {
    const open = [...this.#peers].filter((peer) => peer.end === undefined);
    for (const peer of open) peer.wire.close();
    await Promise.all(open.map((peer) => Promise.race([peer.ended, this.sleep(this.#parts.timeoutMs)])));
    for (const peer of open) if (peer.end === undefined) peer.wire.terminate();
  }
}
