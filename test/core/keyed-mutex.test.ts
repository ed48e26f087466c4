import { describe, expect, it } from 'vitest';
import { KeyedMutex } from '../../src/core/keyed-mutex.ts';
import { gate } from '../support/gate.ts';

describe('the keyed mutex', () => {
  it('runs the tasks of one key one after the other, in the order of the calls', async () => {
    const mutex = new KeyedMutex();
    const log: string[] = [];
    const gates = [gate(), gate(), gate()];
    const done = gates.map((each, place) =>
      mutex.run('room', async () => {
        log.push(`begin ${place}`);
        await each.opened;
        log.push(`end ${place}`);
      }),
    );
    // Opened in the wrong order: whoever came first still goes first.
    for (const each of gates.reverse()) each.open();
    await Promise.all(done);
    expect(log).toEqual(['begin 0', 'end 0', 'begin 1', 'end 1', 'begin 2', 'end 2']);
  });

  it('does not let keys wait for each other', async () => {
    const mutex = new KeyedMutex();
    const never = gate();
    void mutex.run('a', () => never.opened);
    expect(await mutex.run('b', async () => 'through')).toBe('through');
  });

  it('goes on after a failure, which its caller alone is told', async () => {
    const mutex = new KeyedMutex();
    const failed = mutex.run('room', async () => Promise.reject(new Error('no')));
    const next = mutex.run('room', async () => 'next');
    await expect(failed).rejects.toThrow('no');
    expect(await next).toBe('next');
  });

  it('gives the result of the task, and a new turn to who comes when nobody waits', async () => {
    const mutex = new KeyedMutex();
    expect(await mutex.run('room', async () => 1)).toBe(1);
    expect(await mutex.run('room', async () => 2)).toBe(2);
  });
});
