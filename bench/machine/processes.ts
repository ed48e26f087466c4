/**
 * What processes used, from /proc: CPU time of a process with all its
 * descendants, resident memory. Linux only; elsewhere the figures are NaN and
 * shown as such.
 *
 * CPU time comes from the scheduler's own account of each task, in nanoseconds.
 * /proc/<pid>/stat has the same sum in steps of 10 ms, which over some seconds
 * of a quiet server is a tenth of all there is; it is still read, because it
 * alone knows of threads that ended.
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs';

/** USER_HZ, which the kernel fixes at 100 for all user space (proc(5)). */
const TICKS_PER_SECOND = 100;

export interface ProcessStat {
  readonly pid: number;
  readonly parent: number;
  /** user and system time of its own threads, those that ended included, in steps of 10 ms */
  readonly cpuSeconds: number;
}

const NANOSECONDS = 1e9;

/** A line of /proc/<pid>/stat. The name may hold spaces and brackets, so fields are counted from its last bracket. */
export function parseStat(text: string): ProcessStat {
  const pid = Number.parseInt(text, 10);
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
  const ticks = Number(fields[11]) + Number(fields[12]);
  return { pid, parent: Number(fields[1]), cpuSeconds: ticks / TICKS_PER_SECOND };
}

/** The first field of /proc/<pid>/task/<tid>/schedstat: time on a CPU. NaN where the kernel keeps none. */
export function parseTaskSeconds(text: string): number {
  const nanoseconds = Number.parseInt(text, 10);
  return nanoseconds / NANOSECONDS;
}

/**
 * The better of the two accounts of one process. Both err downwards only: that of the tasks lacks threads
 * that ended, that of the process what is less than a step.
 */
export function bestSeconds(ofProcess: number, ofTasks: readonly number[]): number {
  const sum = ofTasks.reduce((total, seconds) => total + seconds, 0);
  return Number.isNaN(sum) ? ofProcess : Math.max(ofProcess, sum);
}

/** VmRSS of /proc/<pid>/status in kilobytes (1,024 bytes). */
export function parseResidentKb(text: string): number {
  const match = /^VmRSS:\s+(\d+) kB$/m.exec(text);
  return match ? Number(match[1]) : Number.NaN;
}

function allStats(): ProcessStat[] {
  return readdirSync('/proc').flatMap((name) => {
    if (!/^\d+$/.test(name)) return [];
    try {
      return [parseStat(readFileSync(`/proc/${name}/stat`, 'latin1'))];
    } catch {
      // Ended between the listing and the reading: it is not one of ours, those run until they are stopped.
      return [];
    }
  });
}

/** The processes and all that they started, as long as their parents live. */
export function withDescendants(pids: readonly number[], stats: readonly ProcessStat[]): ProcessStat[] {
  const family = new Set(pids);
  for (let before = -1; before !== family.size; ) {
    before = family.size;
    for (const { pid, parent } of stats) if (family.has(parent)) family.add(pid);
  }
  return stats.filter(({ pid }) => family.has(pid));
}

function taskSeconds(pid: number): number[] {
  const folder = `/proc/${pid}/task`;
  try {
    return readdirSync(folder).map((task) =>
      parseTaskSeconds(readFileSync(`${folder}/${task}/schedstat`, 'latin1')),
    );
  } catch {
    // A thread ended meanwhile, or a kernel without this account: the process's own is used.
    return [Number.NaN];
  }
}

/** Whether there still is such a process. */
export function isRunning(pid: number): boolean {
  return process.platform !== 'linux' || existsSync(`/proc/${pid}`);
}

/** CPU seconds used so far by the processes and their descendants. */
export function cpuSeconds(pids: readonly number[]): number {
  return cpuSecondsEach(pids).reduce((sum, seconds) => sum + seconds, 0);
}

/** The same of each by itself, with its descendants. */
export function cpuSecondsEach(pids: readonly number[]): number[] {
  if (process.platform !== 'linux') return pids.map(() => Number.NaN);
  const stats = allStats();
  return pids.map((pid) =>
    withDescendants([pid], stats).reduce(
      (sum, stat) => sum + bestSeconds(stat.cpuSeconds, taskSeconds(stat.pid)),
      0,
    ),
  );
}

/** Resident kilobytes of the processes and their descendants. */
export function residentKb(pids: readonly number[]): number {
  if (process.platform !== 'linux') return Number.NaN;
  return withDescendants(pids, allStats()).reduce(
    (sum, { pid }) => sum + parseResidentKb(readFileSync(`/proc/${pid}/status`, 'latin1')),
    0,
  );
}
