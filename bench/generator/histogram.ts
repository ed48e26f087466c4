/**
 * Times in microseconds from many processes as one distribution: HDR histograms
 * with three significant digits, sent as base64 and added up, so that a
 * percentile is one of all measurements and never an average of percentiles.
 */
import * as hdr from 'hdr-histogram-js';

export type Times = hdr.Histogram;

const HIGHEST_US = 120_000_000;

export function newTimes(): Times {
  return hdr.build({
    bitBucketSize: 32,
    lowestDiscernibleValue: 1,
    highestTrackableValue: HIGHEST_US,
    numberOfSignificantValueDigits: 3,
  });
}

export function record(times: Times, us: number): void {
  times.recordValue(us < 1 ? 1 : us > HIGHEST_US ? HIGHEST_US : us);
}

export function packTimes(times: Times): string {
  return hdr.encodeIntoCompressedBase64(times);
}

/** All of them as one. */
export function mergeTimes(packed: readonly string[]): Times {
  const all = newTimes();
  for (const text of packed) {
    const one = hdr.decodeFromCompressedBase64(text);
    if (one.totalCount > 0) all.add(one);
  }
  return all;
}

/** In milliseconds; NaN where nothing was measured. */
export function percentileMs(times: Times, percentile: number): number {
  return times.totalCount === 0 ? Number.NaN : times.getValueAtPercentile(percentile) / 1000;
}
