/**
 * One room's members as a node keeps them from what it hears, and the promises of that:
 * changes form a chain without a hole, versions only grow, nobody joins twice or leaves
 * while absent, and the replica equals the store wherever their versions are equal.
 */
import type { PresenceChange } from '../../../src/broker/presence.ts';
import { fail } from './run-log.ts';

export interface Snapshot {
  readonly version: number;
  /** User -> state. */
  readonly members: ReadonlyMap<string, string>;
}

export class PresenceReplica {
  readonly #room: string;
  /** It misses some of what is announced, and must notice by the chain. */
  readonly #lossy: boolean;
  #version = 0;
  #members = new Map<string, string>();
  /** The highest version ever heard, whatever was lost since. */
  #highest = 0;

  constructor(room: string, lossy: boolean) {
    this.#room = room;
    this.#lossy = lossy;
  }

  /** @returns whether the chain is broken, and a snapshot has to mend it before the next change. */
  hear(change: PresenceChange): boolean {
    const { previous, version } = change;
    if (version <= this.#highest) fail(`${this.#room}: version ${version} after ${this.#highest}`);
    if (version <= previous) fail(`${this.#room}: version ${version} follows ${previous}`);
    this.#highest = version;
    // A snapshot was taken behind it.
    if (version <= this.#version) return false;
    if (previous !== this.#version) {
      if (!this.#lossy)
        fail(`${this.#room}: ${version} follows ${previous}, but ${this.#version} was the last`);
      return true;
    }
    this.#version = version;
    if (change.kind === 'left') {
      for (const user of change.users) {
        if (!this.#members.delete(user)) fail(`${this.#room}: ${user} left while absent`);
      }
      return false;
    }
    const { user, state } = change.member;
    if (this.#members.has(user) !== (change.kind === 'updated')) {
      fail(`${this.#room}: ${user} ${change.kind} while ${this.#members.has(user) ? 'present' : 'absent'}`);
    }
    this.#members.set(user, state);
    return false;
  }

  mend(snapshot: Snapshot): void {
    this.#version = snapshot.version;
    this.#members = new Map(snapshot.members);
  }

  check(snapshot: Snapshot): void {
    if (snapshot.version !== this.#version) {
      if (this.#lossy) return;
      fail(`${this.#room}: the store is at ${snapshot.version}, the chain ends at ${this.#version}`);
    }
    const [held, stored] = [describe(this.#members), describe(snapshot.members)];
    if (held !== stored) fail(`${this.#room} at ${this.#version}: heard ${held}, stored ${stored}`);
  }
}

function describe(members: ReadonlyMap<string, string>): string {
  return [...members]
    .map(([user, state]) => `${user}=${state}`)
    .toSorted()
    .join(' ');
}
