/**
 * Requests that wait for their one reply. Answers are given by callback, in the turn in which the frame
 * came: a promise would go on only after the frames behind it were handled, and a member must not see a
 * room's first message before its `joined`.
 */
import type { ErrorFrame, JoinedFrame, OkFrame, WelcomeFrame } from '../protocol/messages.ts';
import { RoomcastError } from './errors.ts';

export type Reply = OkFrame | JoinedFrame | WelcomeFrame;

export type Answer = (reply: Reply | undefined, error: RoomcastError | undefined) => void;

export class Requests {
  readonly #pending = new Map<unknown, { readonly answer: Answer; readonly deadline: number }>();
  #last = 0;

  get size(): number {
    return this.#pending.size;
  }

  /** The id to send. How many there may be is for the caller to limit: `size`. */
  begin(answer: Answer, deadline: number): number {
    this.#last += 1;
    this.#pending.set(this.#last, { answer, deadline });
    return this.#last;
  }

  /** Whether the frame was the reply to one of these. */
  settle(frame: Reply | ErrorFrame): boolean {
    const pending = this.#pending.get(frame.id);
    this.#pending.delete(frame.id);
    if (frame.type === 'error') pending?.answer(undefined, RoomcastError.of(frame));
    else pending?.answer(frame, undefined);
    return pending !== undefined;
  }

  /** Ends those whose time is over. */
  fail(error: RoomcastError, now: number): void {
    for (const [id, { answer, deadline }] of this.#pending) {
      if (deadline > now) continue;
      this.#pending.delete(id);
      answer(undefined, error);
    }
  }
}
