/**
 * Open-loop pacing: message n is due at n / rate, whether or not the server is
 * keeping up. A closed loop would wait for a slow server and so measure only
 * what it could do. Each message is told when it was due: latency counts from
 * there, so that a publisher that was held up adds its delay instead of hiding it
 * ("coordinated omission").
 */
import { newTimes, record } from './histogram.ts';
import { nowUs } from './marker.ts';
import { sleepExactly } from './nap.ts';

/** Looking more often than this would cost the generator more than it gains in exactness. */
const LOOK_EVERY_US = 500;
/** A timer fires up to a millisecond late; what is nearer than this is slept for. */
const TIMER_US = 3000;

export interface PacerResult {
  readonly fromUs: number;
  readonly toUs: number;
  readonly lagP99Us: number;
}

/** When message `n` (from 0) is due, on the clock of `fromUs`. */
export function dueUs(fromUs: number, perSecond: number, n: number): number {
  return fromUs + Math.floor((n * 1e6) / perSecond);
}

/** Calls `due(n, atUs)` for every message until `total` is reached. */
export function pace(
  perSecond: number,
  total: number,
  due: (n: number, atUs: number) => void,
): Promise<PacerResult> {
  const lag = newTimes();
  const fromUs = nowUs();
  let sent = 0;
  return new Promise((resolve) => {
    const look = () => {
      const now = nowUs();
      for (let atUs = dueUs(fromUs, perSecond, sent); sent < total && atUs <= now; ) {
        record(lag, now - atUs);
        due(sent, atUs);
        sent += 1;
        atUs = dueUs(fromUs, perSecond, sent);
      }
      if (sent === total) {
        resolve({ fromUs, toUs: nowUs(), lagP99Us: lag.getValueAtPercentile(99) });
        return;
      }
      const waitUs = Math.max(LOOK_EVERY_US, dueUs(fromUs, perSecond, sent) - nowUs());
      if (waitUs > TIMER_US) {
        setTimeout(look, (waitUs - TIMER_US) / 1000);
      } else {
        sleepExactly(waitUs / 1000);
        // Between two sleeps the loop reads what came: publishers are members too.
        setImmediate(look);
      }
    };
    look();
  });
}
