/**
 * What was given to be published and is not safely stored yet. Pure: time is passed in, and sending is
 * somebody else's. It keeps order, keys and three bounds: messages, bytes and age, the last because the
 * server forgets a key after 120 s and a repeat after that would be a second message.
 *
 * An entry waits, is in flight, or was acknowledged and is held until its own copy came back: should Redis
 * lose it before that, the receipt is void and the same entry waits again, under the same key.
 */
import type { Position } from '../protocol/position.ts';
import type { Receipt } from './api.ts';
import { RoomcastError } from './errors.ts';

export interface OutboxSettings {
  readonly messagesMax: number;
  readonly bytesMax: number;
  readonly ageMaxMs: number;
}

export interface Entry {
  /** A room, or `@` and the user whose inbox it is. */
  readonly target: string;
  readonly json: string;
  readonly bytes: number;
  readonly key: string;
  readonly since: number;
  /** Rejecting an entry whose promise was already kept changes nothing: a promise settles once. */
  readonly resolve: (receipt: Receipt) => void;
  readonly reject: (error: RoomcastError) => void;
  status: 'waiting' | 'sent' | 'stored';
  /** Whether some server may have it. */
  everSent: boolean;
  attempts: number;
  retryAt: number;
  receipt: Position | undefined;
}

export type NewEntry = Pick<Entry, 'target' | 'json' | 'bytes' | 'key' | 'resolve' | 'reject'>;

export class Outbox {
  readonly #settings: OutboxSettings;
  /** In the order of publishing. */
  readonly #entries = new Set<Entry>();
  /** Of entries whose promise is still open; the stored ones are dropped first and refuse nobody. */
  #open = 0;
  #bytes = 0;
  #heldBytes = 0;

  constructor(settings: OutboxSettings) {
    this.#settings = settings;
  }

  get size(): number {
    return this.#open;
  }

  /** Throws `outbox_full`. */
  add(entry: NewEntry, now: number): void {
    const { messagesMax, bytesMax } = this.#settings;
    if (this.#open >= messagesMax || this.#bytes + entry.bytes > bytesMax) {
      throw new RoomcastError(
        'outbox_full',
        `${this.#open} publishes (${this.#bytes} bytes) already wait for the server`,
        true,
      );
    }
    this.#open += 1;
    this.#bytes += entry.bytes;
    this.#entries.add({
      ...entry,
      since: now,
      status: 'waiting',
      everSent: false,
      attempts: 0,
      retryAt: 0,
      receipt: undefined,
    });
  }

  /** What may be sent now, in order. Behind one that has to wait, its whole target waits: order before speed. */
  due(now: number): Entry[] {
    const held = new Set<string>();
    return [...this.#entries].filter((entry) => {
      if (entry.status !== 'waiting' || held.has(entry.target)) return false;
      if (entry.retryAt > now) held.add(entry.target);
      return entry.retryAt <= now;
    });
  }

  sent(entry: Entry): void {
    entry.status = 'sent';
    entry.everSent = true;
  }

  /** The server has it. `hold` until its own copy came back. */
  stored(entry: Entry, receipt: Position, hold: boolean): void {
    if (!this.#entries.has(entry)) return;
    if (!hold) return this.remove(entry);
    if (entry.receipt === undefined) this.#close(entry);
    entry.receipt = receipt;
    entry.status = 'stored';
    this.#heldBytes += entry.bytes;
    // Beyond the bound a void receipt is not repaired any more: the oldest are the least likely to be.
    for (const oldest of this.#entries) {
      if (
        this.#entries.size - this.#open <= this.#settings.messagesMax &&
        this.#heldBytes <= this.#settings.bytesMax
      )
        return;
      if (oldest.status === 'stored') this.remove(oldest);
    }
  }

  retry(entry: Entry, at: number): void {
    entry.status = 'waiting';
    entry.attempts += 1;
    entry.retryAt = at;
  }

  remove(entry: Entry): void {
    if (!this.#entries.delete(entry)) return;
    if (entry.receipt === undefined) this.#close(entry);
    if (entry.status === 'stored') this.#heldBytes -= entry.bytes;
  }

  /** The connection is gone: what it had not answered waits for the next. */
  disconnected(): void {
    for (const entry of this.#entries) {
      if (entry.status === 'sent') entry.status = 'waiting';
      entry.retryAt = 0;
    }
  }

  /** Looks at the held receipts of a target again. Those that are void wait to be sent. */
  review(target: string, judge: (receipt: Position) => 'seen' | 'void' | 'open'): void {
    if (this.#entries.size === this.#open) return;
    for (const entry of [...this.#entries]) {
      if (entry.target !== target || entry.status !== 'stored' || entry.receipt === undefined) continue;
      const verdict = judge(entry.receipt);
      if (verdict === 'seen') this.remove(entry);
      if (verdict !== 'void') continue;
      entry.status = 'waiting';
      this.#heldBytes -= entry.bytes;
    }
  }

  /** Its own copy came: whatever the receipt's epoch was, this one is safe. */
  seen(target: string, key: string): void {
    if (this.#entries.size === this.#open) return;
    for (const entry of [...this.#entries]) {
      if (entry.status === 'stored' && entry.target === target && entry.key === key) this.remove(entry);
    }
  }

  /** Too old to be tried on, removed. Held receipts among them just end. */
  expire(now: number): Entry[] {
    return this.#take((entry) => now - entry.since >= this.#settings.ageMaxMs);
  }

  /** Everything for a target, or everything, removed. */
  clear(target?: string): Entry[] {
    return this.#take((entry) => target === undefined || entry.target === target);
  }

  /** When something here next needs looking at; undefined while nothing does. */
  nextAt(now: number): number | undefined {
    let at: number | undefined;
    for (const entry of this.#entries) {
      let next = entry.since + this.#settings.ageMaxMs;
      if (entry.status === 'waiting' && entry.retryAt > now) next = Math.min(next, entry.retryAt);
      at = Math.min(at ?? next, next);
    }
    return at;
  }

  #take(picks: (entry: Entry) => boolean): Entry[] {
    const taken = [...this.#entries].filter(picks);
    for (const entry of taken) this.remove(entry);
    return taken.filter((entry) => entry.receipt === undefined);
  }

  #close(entry: Entry): void {
    this.#open -= 1;
    this.#bytes -= entry.bytes;
  }
}
