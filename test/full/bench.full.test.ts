/** The bench works: one scenario, small and short, against a real server, as a person would run it. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import type { ScenarioReport } from '../../bench/report/results.ts';

const RESULTS = 'dist.quick';
const STEM = 'rooms.roomcast-embedded';

describe('npm run bench -- rooms --quick', () => {
  let code: number | null;
  let table = '';
  let progress = '';
  let folder = '';

  beforeAll(async () => {
    rmSync(RESULTS, { recursive: true, force: true });
    const bench = spawn(
      process.execPath,
      ['scripts/bench.mjs', 'rooms', '--quick', '--peer', 'roomcast-embedded'],
      { stdio: ['ignore', 'pipe', 'pipe'] },
    );
    bench.stdout.on('data', (chunk: Buffer) => (table += chunk.toString()));
    bench.stderr.on('data', (chunk: Buffer) => (progress += chunk.toString()));
    [code] = (await once(bench, 'close')) as [number | null];
    folder = join(RESULTS, readdirSync(RESULTS)[0] ?? '');
  }, 300_000);

  test('ends well, with a table and with progress beside it', () => {
    expect(progress).toContain('generator ceiling');
    expect(code, progress).toBe(0);
    expect(table).toMatch(/^peer +rooms +asked\/s/m);
    expect(table).toMatch(/^roomcast-embedded +100 +500 /m);
  });

  test('delivers everything, once and in order, and says what it cost', () => {
    const report = JSON.parse(readFileSync(join(folder, `${STEM}.json`), 'utf8')) as ScenarioReport;
    const [quiet] = report.rows;
    expect(quiet?.median).toMatchObject({
      deliveredPercent: 100,
      missing: 0,
      duplicates: 0,
      disordered: 0,
      refused: 0,
      cpuUsPerDelivery: expect.any(Number),
      stallMs: expect.any(Number),
      generatorPercent: expect.any(Number),
    });
    expect(quiet?.range['p99Ms']).toHaveLength(2);
  });

  test('leaves the table and the charts beside the figures', () => {
    expect(readdirSync(folder).sort()).toEqual([
      `${STEM}-1.svg`,
      `${STEM}-2.svg`,
      `${STEM}.json`,
      `${STEM}.md`,
    ]);
    expect(readFileSync(join(folder, `${STEM}.md`), 'utf8')).toContain('| roomcast-embedded | 100 | 500 |');
  });
});
