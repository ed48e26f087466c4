/**
 * What a connection promises of its writes, under every Node that is written to past its streams
 * (src/transport/direct-write.ts): that needs private parts of Node, so each version has to show it itself.
 */
import { spawnSync } from 'node:child_process';
import { expect, test } from 'vitest';
import { ROOT } from '../support/cli-process.ts';
import { NODE_VERSIONS, nodeProgram } from '../support/node-versions.ts';

const VITEST = 'node_modules/vitest/vitest.mjs';
const CONTRACT = 'test/transport/connection-writing.test.ts';

test.each(NODE_VERSIONS)('connections keep their promises of writing under Node %s', (version) => {
  const words = [VITEST, 'run', '--project', 'system', CONTRACT, '--reporter', 'json'];
  const { stdout, stderr } = spawnSync(nodeProgram(version), words, { cwd: ROOT, encoding: 'utf8' });
  const { numPassedTests, numFailedTests } = JSON.parse(stdout || '{}') as Record<string, number>;
  expect({ failed: numFailedTests, stderr }).toEqual({ failed: 0, stderr: '' });
  expect(numPassedTests).toBeGreaterThan(20);
});
