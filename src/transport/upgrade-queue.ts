/**
 * Upgrades that wait to be carried out. After a deploy hundreds of them come with one look at the sockets, and
 * each is some tenths of a millisecond: all at once, they would keep heartbeats, timers and the rooms of those who
 * are here already waiting for as long as they take together. So a few are a piece of work of the turn
 * (node/turn.ts) like any other, and what the rest send meanwhile stays in their sockets.
 *
 * What waits are sockets, so there are never more than the process may have open.
 */
import type { IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import { Fifo } from '../core/fifo.ts';
import type { Turn, Work } from '../node/turn.ts';

/** What Node tells of a request that asks to be upgraded. */
export interface UpgradeRequest {
  readonly request: IncomingMessage;
  readonly socket: Socket;
  /** What came behind the request already. */
  readonly head: Buffer;
}

/** About a millisecond. */
const UPGRADES_PER_STEP = 4;

export class UpgradeQueue implements Work {
  listed = false;
  readonly #turn: Pick<Turn, 'add'>;
  readonly #carryOut: (upgrade: UpgradeRequest) => void;
  readonly #waiting = new Fifo<UpgradeRequest>();

  constructor(turn: Pick<Turn, 'add'>, carryOut: (upgrade: UpgradeRequest) => void) {
    this.#turn = turn;
    this.#carryOut = carryOut;
  }

  add(upgrade: UpgradeRequest): void {
    this.#waiting.push(upgrade);
    this.#turn.add(this);
  }

  step(): boolean {
    for (let left = UPGRADES_PER_STEP; left > 0; left -= 1) {
      const upgrade = this.#waiting.shift();
      if (!upgrade) return false;
      this.#carryOut(upgrade);
    }
    return this.#waiting.size > 0;
  }
}
