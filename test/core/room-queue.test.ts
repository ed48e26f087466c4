import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type FrameKind, RoomQueue } from '../../src/core/room-queue.ts';
import { type Gate, gate, settle } from '../support/gate.ts';

/** Runs frames through a queue; each settles when the test opens its gate. */
function recorded() {
  const queue = new RoomQueue();
  const log: string[] = [];
  const gates = new Map<string, Gate>();
  return {
    queue,
    log,
    run(room: string, kind: FrameKind, name: string) {
      const own = gate();
      gates.set(name, own);
      queue.run(room, kind, () => {
        log.push(name);
        return own.opened;
      });
    },
    async finish(name: string) {
      gates.get(name)?.open();
      await settle();
    },
  };
}

describe('the queue of a room', () => {
  it('handles a frame in the turn in which it came while nothing is under way', () => {
    const { run, log } = recorded();
    run('r', 'other', 'join');
    expect(log).toEqual(['join']);
  });

  it('keeps no line for what was done at once', () => {
    const { queue } = recorded();
    const log: string[] = [];
    for (const name of ['leave', 'signal']) {
      queue.run('r', 'other', () => {
        log.push(name);
        return undefined;
      });
    }
    expect(log).toEqual(['leave', 'signal']);
    expect(queue.waiting).toBe(0);
  });

  it('lets everything sent behind a join wait for it, in order', async () => {
    const { run, finish, log, queue } = recorded();
    run('r', 'other', 'join');
    run('r', 'publish', 'publish 1');
    run('r', 'other', 'state');
    run('r', 'publish', 'publish 2');
    expect(log).toEqual(['join']);
    expect(queue.waiting).toBe(3);
    await finish('join');
    expect(log).toEqual(['join', 'publish 1']);
    await finish('publish 1');
    expect(log).toEqual(['join', 'publish 1', 'state']);
    await finish('state');
    expect(log).toEqual(['join', 'publish 1', 'state', 'publish 2']);
    expect(queue.waiting).toBe(0);
  });

  it('does not let publishes wait for each other, but a leave for all of them', async () => {
    const { run, finish, log } = recorded();
    for (const name of ['p1', 'p2', 'p3']) run('r', 'publish', name);
    run('r', 'leave', 'leave');
    expect(log).toEqual(['p1', 'p2', 'p3']);
    await finish('p3');
    await finish('p1');
    expect(log).toEqual(['p1', 'p2', 'p3']);
    await finish('p2');
    expect(log).toEqual(['p1', 'p2', 'p3', 'leave']);
  });

  it('does not let a publish pass a leave that waits', async () => {
    const { run, finish, log } = recorded();
    run('r', 'publish', 'p1');
    run('r', 'other', 'leave');
    run('r', 'publish', 'p2');
    expect(log).toEqual(['p1']);
    await finish('p1');
    await finish('leave');
    expect(log).toEqual(['p1', 'leave', 'p2']);
  });

  it('knows a leave that waits, unless what came after it may be a join', () => {
    const { run, queue } = recorded();
    expect(queue.endsWithLeave('r')).toBe(false);
    run('r', 'publish', 'p1');
    run('r', 'leave', 'leave');
    run('r', 'publish', 'p2');
    expect(queue.endsWithLeave('r')).toBe(true);
    expect(queue.endsWithLeave('other')).toBe(false);
    run('r', 'other', 'join');
    expect(queue.endsWithLeave('r')).toBe(false);
  });

  it('does not let rooms wait for each other', async () => {
    const { run, log } = recorded();
    run('a', 'other', 'join a');
    run('a', 'publish', 'publish a');
    run('b', 'other', 'join b');
    expect(log).toEqual(['join a', 'join b']);
  });

  it('begins a new line after an old one ended', async () => {
    const { run, finish, log } = recorded();
    run('r', 'other', 'join');
    await finish('join');
    run('r', 'other', 'leave');
    expect(log).toEqual(['join', 'leave']);
  });

  it('lets several in a row be done at once when what they waited for ends', async () => {
    const { run, finish, log, queue } = recorded();
    run('r', 'other', 'join');
    for (const name of ['signal 1', 'signal 2', 'signal 3']) {
      queue.run('r', 'other', () => {
        log.push(name);
        return undefined;
      });
    }
    run('r', 'publish', 'publish');
    await finish('join');
    expect(log).toEqual(['join', 'signal 1', 'signal 2', 'signal 3', 'publish']);
  });

  it('agrees with a model: nothing starts before what it must wait for, nothing waits for more', async () => {
    const frame = fc.record({
      room: fc.constantFrom('a', 'b'),
      kind: fc.constantFrom<FrameKind>('publish', 'leave', 'other'),
      atOnce: fc.boolean(),
    });
    const step = fc.oneof(frame, fc.nat(20));
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 60 }), async (steps) => {
        const queue = new RoomQueue();
        const frames: { room: string; kind: string; started: boolean; done: boolean; gate: Gate }[] = [];
        for (const item of steps) {
          if (typeof item === 'number') {
            const running = frames.filter((known) => known.started && !known.done);
            const chosen = running[item % Math.max(1, running.length)];
            if (!chosen) continue;
            chosen.done = true;
            chosen.gate.open();
            await settle();
          } else {
            const own = { ...item, started: false, done: false, gate: gate() };
            frames.push(own);
            const task = () => {
              own.started = true;
              if (!item.atOnce) return own.gate.opened;
              own.done = true;
              return undefined;
            };
            queue.run(item.room, item.kind, task, 10);
          }
          frames.forEach((own, place) => {
            const before = frames.slice(0, place).filter((other) => other.room === own.room);
            const blocked = before.some(
              (other) =>
                !other.done && (!other.started || other.kind !== 'publish' || own.kind !== 'publish'),
            );
            expect(own.started).toBe(!blocked);
          });
          const waiting = frames.filter((own) => !own.started).length;
          expect([queue.waiting, queue.waitingCharacters]).toEqual([waiting, 10 * waiting]);
        }
      }),
      { numRuns: 100 },
    );
  });
});
