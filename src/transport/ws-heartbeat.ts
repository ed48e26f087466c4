/**
 * Pings every connection once per interval, spread over the seconds of it, and
 * drops who was silent for two. One timer for all connections: a timer each
 * would cost memory for every idle client and fire in bursts after a storm.
 */
import type { Clock, Timer } from '../core/clock.ts';
import type { WsConnection } from './ws-connection.ts';

export interface HeartbeatSettings {
  readonly pingIntervalMs: number;
}

const SLOTS = 25;

export class WsHeartbeat {
  readonly #clock: Clock;
  readonly #settings: HeartbeatSettings;
  readonly #slots: Set<WsConnection>[] = Array.from({ length: SLOTS }, () => new Set());
  readonly #slotOf = new Map<WsConnection, number>();
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

  add(connection: WsConnection): void {
    // The slot just served: the first ping comes a whole interval from now.
    const slot = (this.#next + SLOTS - 1) % SLOTS;
    this.#slots[slot]?.add(connection);
    this.#slotOf.set(connection, slot);
  }

  remove(connection: WsConnection): void {
    const slot = this.#slotOf.get(connection);
    if (slot === undefined) return;
    this.#slots[slot]?.delete(connection);
    this.#slotOf.delete(connection);
  }

  #beat(): void {
    const silentSince = this.#clock.now() - 2 * this.#settings.pingIntervalMs;
    for (const connection of this.#slots[this.#next] ?? []) {
      if (connection.heardAtMs < silentSince) connection.terminate();
      else connection.ping();
    }
    this.#next = (this.#next + 1) % SLOTS;
  }
}
