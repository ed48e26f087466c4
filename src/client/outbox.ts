/**
 * What was given to be published and is not safely stored yet. Pure: time is passed in, and sending is
 * somebody else's. It keeps order, keys and three bounds: messages, bytes and age, the last because the
 * server forgets a key after 120 s and a repeat after that would be a second message.
 *
 * An entry waits, is in flight, or was stored and is held until its own copy came back: should Redis lose it
 * before that, the receipt is void and the same entry waits again, under the same key. What is held that way
 * makes room as soon as the room is needed.
 */
import type { Position } from '../protocol/position.ts';
import type { Receipt } from './api.ts';
import { RoomcastError } from './errors.ts';
import type { Stream } from './stream.ts';

export interface OutboxSettings {
  readonly outboxMessages: number;
  readonly outboxBytes: number;
  readonly publishTimeoutMs: number;
}

export interface Entry {
  /** A room, or `@` and the user whose inbox it is. */
  readonly target: string;
  /** A copy, as JSON would have it. */
  readonly data: unknown;
  readonly bytes: number;
  readonly key: string;
  readonly since: number;
  readonly resolve: (receipt: Receipt) => void;
  readonly reject: (error: RoomcastError) => void;
  status: 'waiting' | 'sent' | 'stored';
  /** Whether some server may have it. */
  everSent?: boolean;
  retryAt: number;
  /** Once it was stored, and from then on its promise is settled. */
  receipt?: Position;
}

export type NewEntry = Pick<Entry, 'target' | 'data' | 'bytes' | 'key' | 'since' | 'resolve' | 'reject'>;

export class Outbox {
  readonly #settings: OutboxSettings;
  /** In the order of publishing. */
  readonly #entries = new Set<Entry>();
  #bytes = 0;

  constructor(settings: OutboxSettings) {
    this.#settings = settings;
  }

  get size(): number {
    return this.#entries.size;
  }

  /** Throws `outbox_full`. */
  add(entry: NewEntry): void {
    const { outboxMessages, outboxBytes } = this.#settings;
    const full = (): boolean => this.size >= outboxMessages || this.#bytes + entry.bytes > outboxBytes;
    if (full()) this.take(({ status }) => status === 'stored');
    if (full()) throw new RoomcastError('outbox_full', 'too much waits', true);
    this.#bytes += entry.bytes;
    this.#entries.add({ ...entry, status: 'waiting', retryAt: 0 });
  }

  /** What may be sent now, in order. Behind one that has to wait, its whole target waits: order before speed. */
  due(now: number): Entry[] {
    const held = new Set<string>();
    return [...this.#entries].filter(({ status, target, retryAt }) => {
      if (status !== 'waiting' || held.has(target)) return false;
      if (retryAt > now) held.add(target);
      return retryAt <= now;
    });
  }

  /** The connection is gone: what it had not answered waits for the next. */
  disconnected(): void {
    for (const entry of this.#entries) {
      if (entry.status === 'sent') entry.status = 'waiting';
      entry.retryAt = 0;
    }
  }

  /** Looks at the held receipts of a target again, all of them older than its `joined` where that just came. Those that are void wait to be sent. */
  review(target: string, stream: Pick<Stream, 'judge'>, joined?: boolean): void {
    for (const entry of this.#entries) {
      if (entry.target !== target || entry.status !== 'stored') continue;
      const verdict = stream.judge(entry.receipt as Position, joined);
      if (verdict === 'seen') this.remove(entry);
      if (verdict === 'void') entry.status = 'waiting';
    }
  }

  /** Too old to be tried on: removed. */
  expire(now: number): Entry[] {
    return this.take(({ since }) => now - since >= this.#settings.publishTimeoutMs);
  }

  /** Removes those picked. */
  take(picks: (entry: Entry) => boolean): Entry[] {
    const taken = [...this.#entries].filter(picks);
    for (const entry of taken) this.remove(entry);
    return taken;
  }

  remove(entry: Entry): void {
    if (this.#entries.delete(entry)) this.#bytes -= entry.bytes;
  }
}
