/**
 * `for await` over messages that come by themselves. What the loop has not taken yet waits in a bounded
 * buffer: a loop that falls further behind is told so with an error, after what was kept, because a hole
 * that nobody mentions is the one thing this SDK exists to prevent.
 */
import { RoomcastError } from './errors.ts';

/** What feeds a loop: a value, or undefined for the end. */
export type Push<T> = (value: T | undefined) => void;

/** Begins with the first `next()`, as every generator: `begin` is given what to push to, and returns what ends that. */
export async function* iterate<T extends object>(
  begin: (push: Push<T>) => () => void,
  bufferMax: number,
): AsyncGenerator<T, void, void> {
  const buffer: T[] = [];
  /** Why nothing more is taken. */
  let over: 'ended' | RoomcastError | undefined;
  let wake = (): void => {};
  const end = begin((value) => {
    if (over) return;
    if (!value) over = 'ended';
    else if (buffer.length < bufferMax) buffer.push(value);
    else over = new RoomcastError('limit_exceeded', 'too slow');
    wake();
  });
  try {
    for (;;) {
      const next = buffer.shift();
      if (next) yield next;
      else if (over === 'ended') return;
      else if (over) throw over;
      else
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
    }
  } finally {
    end();
  }
}
