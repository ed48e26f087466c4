/** The columns that the tables of several scenarios share. */
import type { Column } from './scenario.ts';

export const RATE_COLUMNS: readonly Column[] = [
  { key: 'publishedPerSecond', title: 'publishes/s', digits: 0 },
  { key: 'deliveredPerSecond', title: 'delivered/s', digits: 0 },
  { key: 'inTimePercent', title: 'in time %', digits: 1 },
  { key: 'p50Ms', title: 'p50 ms', digits: 1 },
  { key: 'p95Ms', title: 'p95 ms', digits: 1 },
  { key: 'p99Ms', title: 'p99 ms', digits: 1 },
  { key: 'cpuUsPerDelivery', title: 'CPU µs/delivery', digits: 2 },
  { key: 'redisUsPerPublish', title: 'Redis CPU µs/publish', digits: 1 },
  { key: 'generatorPercent', title: 'generator %', digits: 0 },
  { key: 'missing', title: 'missing', digits: 0 },
  { key: 'duplicates', title: 'duplicates', digits: 0 },
  { key: 'disordered', title: 'out of order', digits: 0 },
];
