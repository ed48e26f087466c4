/**
 * `for await` over messages that come by themselves. What the loop has not taken yet waits in a bounded
 * buffer: a loop that falls further behind is told so with an error, after what was kept, because a hole
 * that nobody mentions is the one thing this SDK exists to prevent.
 */
import { RoomcastError } from './errors.ts';

/** What feeds a loop: a value, or undefined for the end. */
export type Push<T> = (value: T | undefined) => void;

/** Begins with the first `next()`, as every generator: `begin` is given what to push to, and returns what ends that. */
export async function* iterate<T>(
  begin: (push: Push<T>) => () => void,
  bufferMax: number,
): AsyncGenerator<T, void, void> {
  const buffer: T[] = [];
  let over = false;
  let overflow = false;
  let wake = (): void => {};
  const end = begin((value) => {
    if (value === undefined) over = true;
    else if (buffer.length >= bufferMax) overflow = true;
    else if (!overflow) buffer.push(value);
    wake();
  });
  try {
    for (;;) {
      const next = buffer.shift();
      if (next !== undefined) yield next;
      else if (overflow) throw new RoomcastError('limit_exceeded', 'loop too slow');
      else if (over) return;
      else
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
    }
  } finally {
    end();
  }
}
