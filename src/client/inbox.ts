/**
 * The inbox of this user: a room of its own that `hello` joins, with a read mark all devices share.
 */
import type { Position } from '../protocol/position.ts';
import type { Inbox } from './api.ts';
import type { Desk } from './desk.ts';
import { Feed } from './feed.ts';
import { Told } from './told.ts';

export class InboxSubscription extends Feed<unknown> implements Inbox {
  readonly mark: Told<number>;
  readonly #wanted: true | Position | undefined;

  constructor(desk: Desk, wanted: true | Position | undefined) {
    super();
    this.#wanted = wanted;
    if (wanted !== true) this.stream.position = wanted;
    this.mark = new Told<number>(desk, (seq) => ({ type: 'read', seq }));
  }

  /** What hello asks for. */
  get asked(): true | Position | undefined {
    return this.#wanted && (this.position ?? true);
  }

  read(seq: number): Promise<void> {
    return this.mark.set(Math.max(seq, this.mark.value ?? 0));
  }
}
