/**
 * Beats for every connection once per interval, spread evenly over it: a beat
 * pings, drops who was silent for two, and finds who is too old. One timer for all
 * connections: a timer each would cost memory for every idle client and fire in
 * bursts after a storm.
 *
 * Connections have an age at all because a proxy that is reloaded keeps its old
 * process until the last of its tunnels ends: without one that is never.
 */
import type { Clock, Random, Timer } from '../core/clock.ts';

export interface HeartbeatSettings {
  readonly pingIntervalMs: number;
  /** 0 = no limit. */
  readonly connectionAgeMaxS: number;
}

interface Beating {
  beat(): void;
}

const SLOTS = 25;
/** So that those who came together, after a storm or a deploy, do not go together. */
const AGE_SPREAD = 0.25;
/** 68 years: the largest number that costs no memory of its own. */
const NEVER_S = 2_147_483_647;

export class WsHeartbeat<T extends Beating> {
  readonly #clock: Clock;
  readonly #random: Random;
  readonly #settings: HeartbeatSettings;
  readonly #tooOld: (connection: T) => void;
  /** Each connection with the second from which on it is too old. */
  readonly #slots: Map<T, number>[] = Array.from({ length: SLOTS }, () => new Map());
  readonly #slotOf = new Map<T, number>();
  readonly #startedAtMs: number;
  #added = 0;
  #next = 0;
  #timer: Timer | undefined;

  /** `tooOld` is called at every beat of a connection that is, until it is removed. */
  constructor(clock: Clock, random: Random, settings: HeartbeatSettings, tooOld: (connection: T) => void) {
    this.#clock = clock;
    this.#random = random;
    this.#settings = settings;
    this.#tooOld = tooOld;
    this.#startedAtMs = clock.now();
  }

  start(): void {
    this.#timer = this.#clock.every(this.#settings.pingIntervalMs / SLOTS, () => this.#beat());
  }

  stop(): void {
    this.#timer?.cancel();
  }

  add(connection: T): void {
    // In turn, not by the time of arrival: thousands that come within one second must not be pinged within one turn.
    const slot = this.#added % SLOTS;
    this.#added += 1;
    this.#slots[slot]?.set(connection, this.#dueS());
    this.#slotOf.set(connection, slot);
  }

  remove(connection: T): void {
    const slot = this.#slotOf.get(connection);
    if (slot === undefined) return;
    this.#slots[slot]?.delete(connection);
    this.#slotOf.delete(connection);
  }

  #beat(): void {
    const nowS = this.#livedS;
    for (const [connection, untilS] of this.#slots[this.#next] ?? []) {
      connection.beat();
      if (untilS <= nowS) this.#tooOld(connection);
    }
    this.#next = (this.#next + 1) % SLOTS;
  }

  get #livedS(): number {
    return (this.#clock.now() - this.#startedAtMs) / 1000;
  }

  #dueS(): number {
    const { connectionAgeMaxS } = this.#settings;
    if (connectionAgeMaxS === 0) return NEVER_S;
    const share = 1 + AGE_SPREAD * (2 * this.#random.fraction() - 1);
    // Rounded up: nobody is sent away sooner.
    return Math.ceil(this.#livedS + connectionAgeMaxS * share);
  }
}
