/**
 * From one frame to every member's socket. A frame is made once per room; all
 * frames a room received in one turn of the event loop become one buffer, and
 * one write per socket. The order within a room is the order of the calls,
 * whatever the kind of frame.
 */
import type { Clock } from '../core/clock.ts';
import type { Hub } from '../core/hub.ts';
import type { Subscription } from '../core/session.ts';

/** Whether a member gets a frame; without one, every member does. */
export type Audience = (subscription: Subscription) => boolean;

interface Queued {
  readonly frame: Buffer;
  readonly audience: Audience | undefined;
}

export class FanOut {
  readonly #hub: Hub;
  readonly #clock: Clock;
  readonly #rooms = new Map<string, Queued[]>();
  #scheduled = false;

  constructor(hub: Hub, clock: Clock) {
    this.#hub = hub;
    this.#clock = clock;
  }

  append(room: string, frame: Buffer, audience?: Audience): void {
    const queued = this.#rooms.get(room);
    if (queued) queued.push({ frame, audience });
    else this.#rooms.set(room, [{ frame, audience }]);
    if (this.#scheduled) return;
    this.#scheduled = true;
    this.#clock.afterTurn(() => {
      this.#scheduled = false;
      this.flushAll();
    });
  }

  /** Writes what the room has waiting. Called before a member is added, whose reply already contains it. */
  flush(room: string): void {
    const queued = this.#rooms.get(room);
    if (!queued) return;
    this.#rooms.delete(room);
    const members = this.#hub.members(room);
    if (members.size === 0) return;
    if (queued.every((item) => !item.audience)) {
      const frames = joined(queued);
      for (const { session } of members) session.connection.write(frames);
    } else {
      this.#flushSelected(queued, members);
    }
  }

  flushAll(): void {
    for (const room of this.#rooms.keys()) this.flush(room);
  }

  /** Members who get the same selection share one buffer. */
  #flushSelected(queued: readonly Queued[], members: Iterable<Subscription>): void {
    const selections = new Map<string, Buffer>();
    for (const subscription of members) {
      const chosen = queued.filter((item) => !item.audience || item.audience(subscription));
      if (chosen.length === 0) continue;
      const key = chosen.length === queued.length ? 'all' : chosen.map((item) => queued.indexOf(item)).join();
      let frames = selections.get(key);
      if (!frames) {
        frames = joined(chosen);
        selections.set(key, frames);
      }
      subscription.session.connection.write(frames);
    }
  }
}

function joined(queued: readonly Queued[]): Buffer {
  const [only] = queued;
  if (queued.length === 1 && only) return only.frame;
  return Buffer.concat(queued.map((item) => item.frame));
}
