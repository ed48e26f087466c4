/**
 * Requests that wait for their one reply. Answers are given by callback, in the turn in which the frame
 * came: a promise would go on only after the frames behind it were handled, and a member must not see a
 * room's first message before its `joined`.
 */
import type { JoinedFrame, OkFrame, ServerFrame, WelcomeFrame } from '../protocol/messages.ts';
import { type RoomcastError, serverError } from './errors.ts';

export type Reply = OkFrame | JoinedFrame | WelcomeFrame;

/** Where there is an error, it is the answer. */
export type Answer = (error: RoomcastError | undefined, reply?: Reply) => void;

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

  /** Whether the frame was the reply to one of these; most frames are not. */
  receive(frame: ServerFrame): boolean {
    const { id } = frame as { readonly id?: unknown };
    const pending = this.#pending.get(id);
    if (!pending) return false;
    this.#pending.delete(id);
    pending.answer(frame.type === 'error' ? serverError(frame) : undefined, frame as Reply);
    return true;
  }

  /** Ends those whose time is over. */
  expire(now: number, error: RoomcastError): void {
    for (const [id, { answer, deadline }] of this.#pending) {
      if (deadline > now) continue;
      this.#pending.delete(id);
      answer(error);
    }
  }
}
