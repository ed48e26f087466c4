/**
 * Requests that wait for their one reply. Answers are given by callback, in the turn in which the frame
 * came: a promise would go on only after the frames behind it were handled, and a member must not see a
 * room's first message before its `joined`.
 */
import type { ErrorFrame, JoinedFrame, OkFrame, WelcomeFrame } from '../protocol/messages.ts';
import { RoomcastError, serverError } from './errors.ts';

export type Reply = OkFrame | JoinedFrame | WelcomeFrame;

export type Answer = (reply: Reply | undefined, error: RoomcastError | undefined) => void;

/** As many as a node serves at once from one connection, and some. */
const PENDING_MAX = 2048;

export class Requests {
  readonly #pending = new Map<number, { readonly answer: Answer; readonly deadline: number }>();
  #last = 0;

  get waiting(): boolean {
    return this.#pending.size > 0;
  }

  /** The id to send. Throws `rate_limited` where too many wait already. */
  begin(answer: Answer, deadline: number): number {
    if (this.#pending.size >= PENDING_MAX) {
      throw new RoomcastError('rate_limited', `${PENDING_MAX} requests already wait for their replies`, true);
    }
    this.#last += 1;
    this.#pending.set(this.#last, { answer, deadline });
    return this.#last;
  }

  /** Whether the frame was the reply to one of these. */
  settle(frame: Reply | ErrorFrame): boolean {
    const id = frame.id as number;
    const pending = this.#pending.get(id);
    if (pending === undefined) return false;
    this.#pending.delete(id);
    if (frame.type === 'error') pending.answer(undefined, serverError(frame));
    else pending.answer(frame, undefined);
    return true;
  }

  /** Ends those whose time is over, or all. */
  fail(error: RoomcastError, now = Number.POSITIVE_INFINITY): void {
    for (const [id, { answer, deadline }] of [...this.#pending]) {
      if (deadline > now) continue;
      this.#pending.delete(id);
      answer(undefined, error);
    }
  }

  nextAt(): number | undefined {
    let at: number | undefined;
    for (const { deadline } of this.#pending.values()) at = Math.min(at ?? deadline, deadline);
    return at;
  }
}
