/**
 * Three projects. `fast` needs neither Redis nor a second process, `full` is
 * the long, exclusive part, and `system` is everything else, so that a test
 * file in a new folder is run rather than forgotten.
 */
import { configDefaults, defineConfig } from 'vitest/config';

const FAST = ['test/*.test.ts', 'test/{protocol,core,node,ops,support,bench}/**/*.test.ts'];
const FULL = ['test/full/**/*.test.ts'];

export default defineConfig({
  test: {
    allowOnly: false,
    testTimeout: 30_000,
    hookTimeout: 30_000,
    teardownTimeout: 10_000,
    projects: [
      {
        extends: true,
        test: { name: 'fast', include: FAST, sequence: { groupOrder: 0 } },
      },
      {
        // Each of these files may start several nodes and a Redis of its own:
        // more than two at once and the timings under test measure the machine.
        extends: true,
        test: {
          name: 'system',
          include: ['test/**/*.test.ts'],
          exclude: [...configDefaults.exclude, ...FAST, ...FULL],
          maxWorkers: 2,
          sequence: { groupOrder: 1 },
        },
      },
      {
        extends: true,
        test: {
          name: 'full',
          include: FULL,
          fileParallelism: false,
          testTimeout: 600_000,
          hookTimeout: 120_000,
          sequence: { groupOrder: 2 },
        },
      },
    ],
  },
});
