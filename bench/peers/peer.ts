/**
 * What the bench needs of a server to measure it: whether it can run here, how
 * to start it on given cores, and its wire. One file per peer; each is set up
 * as its own documentation advises for this work, and says so in `setup`.
 */
import type { Wire } from '../generator/wire.ts';

export interface StartOptions {
  readonly nodes: number;
  /** `redis://127.0.0.1:port` of a Redis of its own, for peers with `usesRedis`. */
  readonly redisUrl: string;
  readonly redisPort: number;
  /** Cores of the server processes; empty: not pinned. */
  readonly cores: readonly number[];
}

export interface RunningNode {
  readonly host: string;
  readonly port: number;
  readonly pid: number;
}

export interface RunningPeer {
  readonly nodes: readonly RunningNode[];
  /** The longest that the event loop of a node stood still in the last 10 to 20 s, where the server tells. */
  worstStallMs?(): Promise<number>;
  stop(): Promise<void>;
}

export interface Peer {
  readonly name: string;
  /** One line for readers of the results: what it is and how it was set up. */
  readonly setup: string;
  readonly usesRedis: boolean;
  /** More than one room, each with its own members. */
  readonly hasRooms: boolean;
  /** More than one node. */
  readonly clusters: boolean;
  /** Is this project: its rosters can be asked for, and it answers `/ready`. */
  readonly hasPresence: boolean;
  readonly wire: Wire;
  /** Installs or builds what is missing. The reason where it cannot run here, with what would help. */
  prepare(): Promise<string | undefined>;
  /** After `prepare`: names and versions of what runs. */
  version(): string;
  start(options: StartOptions): Promise<RunningPeer>;
}
