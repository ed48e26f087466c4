/**
 * How the embedded broker and its presence store talk to their node: one
 * listener, told at once and in the order of the calls, and only about rooms it
 * subscribed to. With a single process there is no link to lose, so nothing is
 * queued, nothing is lost and `gap` and `linkLost` are never told.
 */
import type { BrokerEvents, Entry, Signal } from '../broker.ts';
import type { PresenceChange } from '../presence.ts';

export class EventBus {
  #listener: BrokerEvents | null = null;
  /** Bounded by the node: it subscribes to rooms that somebody here is in. */
  readonly #heard = new Set<string>();

  open(listener: BrokerEvents): void {
    this.#listener = listener;
    listener.status('up');
  }

  close(): void {
    this.#listener = null;
    this.#heard.clear();
  }

  get isOpen(): boolean {
    return this.#listener !== null;
  }

  hear(room: string): void {
    this.#heard.add(room);
  }

  ignore(room: string): void {
    this.#heard.delete(room);
  }

  hears(room: string): boolean {
    return this.#heard.has(room);
  }

  message(room: string, epoch: string, entry: Entry): void {
    if (this.#heard.has(room)) this.#listener?.message(room, epoch, entry);
  }

  presence(room: string, change: PresenceChange): void {
    if (this.#heard.has(room)) this.#listener?.presence(room, change);
  }

  signal(room: string, signal: Signal): void {
    if (this.#heard.has(room)) this.#listener?.signal(room, signal);
  }
}
