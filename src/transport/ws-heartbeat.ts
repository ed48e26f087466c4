/**
 * Beats for every connection once per interval, spread evenly over it: a beat
 * pings, and drops who was silent for two. One timer for all connections: a
 * timer each would cost memory for every idle client and fire in bursts after a
 * storm.
 */
import type { Clock, Timer } from '../core/clock.ts';

export interface HeartbeatSettings {
  readonly pingIntervalMs: number;
}

interface Beating {
  beat(): void;
}

const SLOTS = 25;

export class WsHeartbeat {
  readonly #clock: Clock;
  readonly #settings: HeartbeatSettings;
  readonly #slots: Set<Beating>[] = Array.from({ length: SLOTS }, () => new Set());
  readonly #slotOf = new Map<Beating, number>();
  #added = 0;
  #next = 0;
  #timer: Timer | undefined;

  constructor(clock: Clock, settings: HeartbeatSettings) {
    this.#clock = clock;
    this.#settings = settings;
  }

  start(): void {
    this.#timer = this.#clock.every(this.#settings.pingIntervalMs / SLOTS, () => this.#beat());
  }

  stop(): void {
    this.#timer?.cancel();
  }

  add(connection: Beating): void {
    // In turn, not by the time of arrival: thousands that come within one second must not be pinged within one turn.
    const slot = this.#added % SLOTS;
    this.#added += 1;
    this.#slots[slot]?.add(connection);
    this.#slotOf.set(connection, slot);
  }

  remove(connection: Beating): void {
    const slot = this.#slotOf.get(connection);
    if (slot === undefined) return;
    this.#slots[slot]?.delete(connection);
    this.#slotOf.delete(connection);
  }

  #beat(): void {
    for (const connection of this.#slots[this.#next] ?? []) connection.beat();
    this.#next = (this.#next + 1) % SLOTS;
  }
}
