/**
 * `npm test`: brings what the tests need, runs vitest, and ends with exactly
 * one line `N passed, N failed`. Whatever keeps tests from running (a failed
 * build, a vitest that crashed, a filter that matches nothing) is counted as a
 * failure, because a run that tested nothing must never look like success.
 *
 * usage: node scripts/test.mjs [--project fast|system|full] [vitest arguments]
 */
import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { ensureBuilt } from './build.mjs';
import { ensureInstalled, ROOT } from './install.mjs';
import { ensurePrograms } from './programs.mjs';

const DEFAULT_PROJECTS = ['fast', 'system'];
const KNOWN_PROJECTS = [...DEFAULT_PROJECTS, 'full'];

/**
 * What a run may take on two cores that nothing else uses. One that takes longer says so, and one that takes
 * twice as long hangs and is stopped: a busy machine is no reason to lose the result of everything.
 */
export const RUN_MINUTES_MAX = { fast: 5, system: 12, full: 50 };
const KILL_AFTER_MS = 10_000;

/** Splits our one option from what vitest gets. Throws on a project that does not exist. */
export function parseArguments(args) {
  const rest = [];
  const projects = [];
  for (let at = 0; at < args.length; at += 1) {
    const [flag, inline] = args[at].split('=', 2);
    if (flag !== '--project') {
      rest.push(args[at]);
      continue;
    }
    if (inline === undefined) at += 1;
    const project = inline ?? args[at];
    if (!KNOWN_PROJECTS.includes(project)) {
      throw new Error(`--project takes one of ${KNOWN_PROJECTS.join(', ')}, not ${project}`);
    }
    projects.push(project);
  }
  return { projects: projects.length > 0 ? projects : DEFAULT_PROJECTS, rest };
}

/**
 * Counts vitest's JSON report. A file that broke before its tests began holds
 * no failed test, and an error outside any test fails the run without failing
 * one: each of the two is a failure here. `outcome` is the exit code or the signal of vitest.
 */
export function countResults(report, outcome) {
  const passed = report?.numPassedTests ?? 0;
  let failed = report?.numFailedTests ?? 0;
  for (const file of report?.testResults ?? []) {
    const failedInside = file.assertionResults.some((test) => test.status === 'failed');
    if (file.status === 'failed' && !failedInside) failed += 1;
  }
  const reasons = [];
  if (failed === 0 && passed === 0) reasons.push(`no test was run, vitest ended with ${outcome}`);
  else if (failed === 0 && outcome !== 0) reasons.push(`no test failed, but vitest ended with ${outcome}`);
  return { passed, failed: failed + reasons.length, reasons };
}

function readReport(path) {
  try {
    return JSON.parse(readFileSync(path, 'utf8'));
  } catch (error) {
    console.log(`vitest left no report: ${error.message}`);
    return undefined;
  }
}

/** Runs `command` to its end and resolves with its exit code, or with the signal that ended it. */
function runBounded(command, args, minutesMax) {
  const child = spawn(command, args, { cwd: ROOT, stdio: ['ignore', 1, 2] });
  const end = (signal) => {
    child.kill(signal);
    setTimeout(() => child.kill('SIGKILL'), KILL_AFTER_MS).unref();
  };
  const limit = setTimeout(() => {
    console.log(`stopped: the run took more than ${minutesMax} minutes`);
    end('SIGTERM');
  }, minutesMax * 60_000);
  // Without this a cancelled run leaves vitest, its workers and their servers behind.
  for (const signal of ['SIGTERM', 'SIGINT']) process.on(signal, () => end(signal));
  return new Promise((resolve) => {
    const done = (outcome) => {
      clearTimeout(limit);
      resolve(outcome);
    };
    child.on('error', (error) => done(error.message));
    child.on('exit', (code, signal) => done(code ?? signal));
  });
}

async function runVitest(projects, rest) {
  const folder = mkdtempSync(join(tmpdir(), 'roomcast-test-'));
  const report = join(folder, 'report.json');
  const args = [
    join(ROOT, 'node_modules/vitest/vitest.mjs'),
    'run',
    ...projects.map((name) => `--project=${name}`),
    '--reporter=default',
    '--reporter=json',
    `--outputFile.json=${report}`,
    ...rest,
  ];
  const minutesMax = Math.max(...projects.map((name) => RUN_MINUTES_MAX[name]));
  try {
    const startedMs = performance.now();
    const outcome = await runBounded(process.execPath, args, 2 * minutesMax);
    const minutes = (performance.now() - startedMs) / 60_000;
    if (minutes > minutesMax)
      console.log(`slow: ${minutes.toFixed(1)} minutes where ${minutesMax} are meant to do`);
    return countResults(readReport(report), outcome);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

async function run() {
  const failure = (reason) => ({ passed: 0, failed: 1, reasons: [reason] });
  ensureInstalled();
  let options;
  try {
    options = parseArguments(process.argv.slice(2));
  } catch (error) {
    return failure(error.message);
  }
  const { projects, rest } = options;
  if (projects.every((name) => name === 'fast')) return runVitest(projects, rest);
  if (!ensurePrograms()) return failure('a program that the tests need is missing');
  if (!ensureBuilt()) return failure('the build failed');
  return runVitest(projects, rest);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const { passed, failed, reasons } = await run();
  for (const reason of reasons) console.log(`npm test: ${reason}`);
  console.log(`${passed} passed, ${failed} failed`);
  process.exitCode = failed === 0 ? 0 : 1;
}
