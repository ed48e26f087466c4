import { expect, it } from 'vitest';
import { Taken } from '../../src/cli/taken.ts';

it('gives back what was taken and is not back, and nothing else', async () => {
  const done: string[] = [];
  const does = (what: string) => async () => void done.push(what);
  const taken = new Taken();
  const [start, resume] = [does('start'), does('resume')];
  const stop = taken.taking(does('stop'), start);
  const pause = taken.taking(does('pause'), resume);
  await stop?.();
  await taken.giving(start)?.();
  await pause?.();
  await taken.giveBack();
  expect(done).toEqual(['stop', 'start', 'pause', 'resume']);
});

it('gives back what was taken half-way, and the rest although one command fails', async () => {
  const done: string[] = [];
  const taken = new Taken();
  const fails = async () => Promise.reject(new Error('no such service'));
  const start = async () => void done.push('start');
  await expect(taken.taking(fails, start)?.()).rejects.toThrow();
  await taken.taking(async () => undefined, fails)?.();
  await expect(taken.giveBack()).rejects.toThrow('no such service');
  expect(done).toEqual(['start']);
});

it('has no hook where no command was given', () => {
  const taken = new Taken();
  expect([taken.taking(undefined, undefined), taken.giving(undefined)]).toEqual([undefined, undefined]);
});
