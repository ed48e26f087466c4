/** The embedded server conforms, directly and behind HAProxy; the direct run is the command as people call it. */
import { expect, test } from 'vitest';
import { CliProcess } from '../support/cli-process.ts';
import { startHaproxy } from '../support/haproxy.ts';
import { nodeForTest } from '../support/node-for-test.ts';
import { expectConformance, SHORT } from './whole-suite.ts';

const WHOLE_SUITE_MS = 120_000;
const ONE_NODE = [/another node/, /^worked session: (10|11)\./, /unknown_outcome/];

test('directly, by the command', { timeout: WHOLE_SUITE_MS }, async () => {
  const node = await nodeForTest({ ...SHORT, REDIS_MODE: 'off' });
  const drain = `kill -TERM ${node.child.pid}`;
  const command = CliProcess.roomcast(
    'conformance',
    '--url',
    node.url,
    '--parallel',
    '8',
    '--drain',
    drain,
    '--json',
  );
  expect(await command.exited, command.out.join('\n')).toBe(0);
  const told = command.out.map(
    (line) => JSON.parse(line) as { check?: string; outcome?: string; failed?: number },
  );
  const sums = told.at(-1);
  expect(sums?.failed).toBe(0);
  expect(told.filter(({ outcome }) => outcome === 'ok').length).toBeGreaterThan(75);
  const drained = told.find(({ check }) => check?.includes('8. drain'));
  expect(drained?.outcome).toBe('ok');
  expect(await node.exited).toBe(0);
});

test('behind HAProxy', { timeout: WHOLE_SUITE_MS }, async () => {
  const node = await nodeForTest({ ...SHORT, REDIS_MODE: 'off', TRUSTED_PROXIES: '127.0.0.1' });
  const proxy = await startHaproxy(node.port);
  try {
    const drain = async () => void node.child.kill('SIGTERM');
    await expectConformance({ urls: [proxy.url], hooks: { drain }, skipped: ONE_NODE });
  } finally {
    await proxy.stop();
  }
});
