/**
 * How many connections each address has, and whether it may have one more.
 * Loopback is exempt: there it is a proxy or a bench on this machine, which
 * stands for many. An address without connections is forgotten.
 */
import { isIP } from 'node:net';

export class AddressLimit {
  readonly #max: number;
  readonly #connections = new Map<string, number>();

  /** 0 = no limit. */
  constructor(max: number) {
    this.#max = max;
  }

  /** Addresses that have connections now. */
  get size(): number {
    return this.#connections.size;
  }

  isReached(address: string): boolean {
    if (this.#max === 0 || isLoopback(address)) return false;
    return (this.#connections.get(address) ?? 0) >= this.#max;
  }

  opened(address: string): void {
    this.#connections.set(address, (this.#connections.get(address) ?? 0) + 1);
  }

  closed(address: string): void {
    const left = (this.#connections.get(address) ?? 1) - 1;
    if (left > 0) this.#connections.set(address, left);
    else this.#connections.delete(address);
  }
}

function isLoopback(address: string): boolean {
  const bare = address.startsWith('::ffff:') ? address.slice('::ffff:'.length) : address;
  return bare === '::1' || (isIP(bare) === 4 && bare.startsWith('127.'));
}
