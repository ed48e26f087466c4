/**
 * The longest that the event loop of a node stood still while something is measured. A node tells the worst of
 * its last 10 to 20 s, so it is asked once a second: nothing of a long measurement is missed, and what is told may
 * also be of the seconds before, in which members connected and the rate was warmed up to.
 */
import type { RunningPeer } from '../peers/peer.ts';

const ASK_EVERY_MS = 1000;

export interface StallWatch {
  /** Asks no more; where the measurement failed. */
  stop(): void;
  /** Milliseconds; NaN where the server does not tell. Rejects where a node could not be asked. */
  end(): Promise<number>;
}

export function watchStalls({ worstStallMs }: Pick<RunningPeer, 'worstStallMs'>): StallWatch {
  if (!worstStallMs) return { stop: () => undefined, end: () => Promise.resolve(Number.NaN) };
  let worst = 0;
  let failure: unknown;
  const ask = async (): Promise<void> => {
    try {
      worst = Math.max(worst, await worstStallMs());
    } catch (error) {
      failure ??= error;
    }
  };
  const timer = setInterval(() => void ask(), ASK_EVERY_MS);
  const stop = () => clearInterval(timer);
  return {
    stop,
    async end() {
      stop();
      await ask();
      if (failure !== undefined) throw failure;
      return worst;
    },
  };
}
