/**
 * Open-loop pacing: message n is due at n / rate, whether or not the server is
 * keeping up. A closed loop would wait for a slow server and so measure only
 * what it could do. Looks every millisecond and hands over all that is due.
 */
import { newTimes, record } from './histogram.ts';
import { nowUs } from './marker.ts';

export interface PacerResult {
  readonly fromUs: number;
  readonly toUs: number;
  readonly lagP99Us: number;
}

/** Calls `due(n, count)` for the messages n … n + count - 1 until `total` is reached. */
export function pace(
  perSecond: number,
  total: number,
  due: (n: number, count: number) => void,
): Promise<PacerResult> {
  const lag = newTimes();
  const fromUs = nowUs();
  let sent = 0;
  return new Promise((resolve) => {
    const look = () => {
      const elapsedUs = nowUs() - fromUs;
      const owed = Math.min(total, Math.floor((elapsedUs * perSecond) / 1e6) + 1);
      if (owed > sent) {
        record(lag, elapsedUs - (sent * 1e6) / perSecond);
        due(sent, owed - sent);
        sent = owed;
      }
      if (sent < total) {
        setTimeout(look, 1);
      } else {
        resolve({ fromUs, toUs: nowUs(), lagP99Us: lag.getValueAtPercentile(99) });
      }
    };
    look();
  });
}
