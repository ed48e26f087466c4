/**
 * A reader and a writer of one room, and what must hold between them whatever happens to their connections:
 * everything that was acknowledged arrives, each message once, in the order of its positions.
 */
import { expect } from 'vitest';
import type { Client, Message, Receipt } from '../../src/client/index.ts';

export class Witness {
  readonly seen: Message<number>[] = [];
  readonly resets: string[] = [];
  readonly receipts: Receipt[] = [];
  readonly #room;
  #next = 0;

  constructor(writer: Client, reader: Client, room: string) {
    this.#room = writer.join<number>(room);
    const read = reader.join<number>(room);
    read.on('message', (message) => this.seen.push(message));
    read.on('reset', ({ reason }) => this.resets.push(reason));
  }

  /** Resolves once the server acknowledged it. */
  async publish(): Promise<void> {
    const n = this.#next;
    this.#next += 1;
    this.receipts[n] = await this.#room.publish(n);
  }

  /** Publishes one after the other, several under way at a time, until `until` says enough. */
  async stream(until: () => boolean, everyMs: number): Promise<void> {
    const publishes: Promise<void>[] = [];
    const failures: unknown[] = [];
    while (!until() && failures.length === 0) {
      publishes.push(this.publish().catch((error: unknown) => void failures.push(error)));
      await new Promise((resolve) => setTimeout(resolve, everyMs));
    }
    await Promise.all(publishes);
    expect(failures).toEqual([]);
  }

  async expectExactlyOnce(waitMs = 10_000): Promise<void> {
    await expect.poll(() => this.seen.length, { timeout: waitMs }).toBeGreaterThanOrEqual(this.#next);
    const numbers = Array.from({ length: this.#next }, (_, n) => n);
    expect(this.resets).toEqual([]);
    expect(this.seen.map(({ seq }) => seq)).toEqual(numbers.map((n) => n + 1));
    expect(this.seen.map(({ data }) => data).sort((a, b) => a - b)).toEqual(numbers);
    // Every receipt names the place where its message was seen.
    expect(this.receipts.map(({ seq }) => this.seen[seq - 1]?.data)).toEqual(numbers);
  }
}
