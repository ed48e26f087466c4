/** The columns that the tables of several scenarios share. */
import type { Column } from './scenario.ts';

/** Of servers that tell how long their event loop stood still. */
export const STALL_COLUMN: Column = { key: 'stallMs', title: 'worst stall ms', digits: 0, hasRange: true };

export const RATE_COLUMNS: readonly Column[] = [
  { key: 'publishedPerSecond', title: 'publishes/s', digits: 0 },
  { key: 'deliveredPerSecond', title: 'delivered/s', digits: 0, hasRange: true },
  { key: 'inTimePercent', title: 'in time %', digits: 1 },
  { key: 'deliveredPercent', title: 'delivered %', digits: 1 },
  { key: 'p50Ms', title: 'p50 ms', digits: 1 },
  { key: 'p95Ms', title: 'p95 ms', digits: 1 },
  { key: 'p99Ms', title: 'p99 ms', digits: 1, hasRange: true },
  { key: 'maxMs', title: 'max ms', digits: 0 },
  { key: 'cpuUsPerDelivery', title: 'CPU µs/delivery', digits: 2, hasRange: true },
  { key: 'withRedisUsPerDelivery', title: 'with Redis', digits: 2 },
  { key: 'redisUsPerPublish', title: 'Redis CPU µs/publish', digits: 1 },
  { key: 'generatorPercent', title: 'generator %', digits: 0 },
  { key: 'generatorLagMs', title: 'publisher lag ms', digits: 1 },
  { key: 'refused', title: 'refused', digits: 0 },
  { key: 'missing', title: 'missing', digits: 0 },
  { key: 'duplicates', title: 'duplicates', digits: 0 },
  { key: 'disordered', title: 'out of order', digits: 0 },
];

export const LATENCY_COLUMNS: readonly Column[] = [
  { key: 'p50Ms', title: 'p50 ms', digits: 2, hasRange: true },
  { key: 'p95Ms', title: 'p95 ms', digits: 2 },
  { key: 'p99Ms', title: 'p99 ms', digits: 2, hasRange: true },
  { key: 'maxMs', title: 'max ms', digits: 1 },
];
