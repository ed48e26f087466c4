import { beforeEach, describe, expect, it } from 'vitest';
import { BrokerError } from '../../../src/broker/broker.ts';
import { READS_IN_FLIGHT_MAX, READS_WAITING_MAX, ReadQueue } from '../../../src/broker/redis/read-queue.ts';
import { createFakeClock, type FakeClock } from '../../support/fake-clock.ts';

const DEADLINE_MS = 2_000;

describe('the queue of reads', () => {
  let clock: FakeClock;
  let usable: boolean;
  let tell: (usable: boolean) => void;
  /** In flight at the far end, in the order of sending. */
  let flying: { readonly name: string; resolve(reply: unknown): void; reject(error: BrokerError): void }[];
  let most: number;
  let queue: ReadQueue;

  beforeEach(() => {
    clock = createFakeClock();
    usable = true;
    flying = [];
    most = 0;
    tell = () => undefined;
    queue = new ReadQueue({
      clock,
      deadlineMs: DEADLINE_MS,
      commands: {
        get usable() {
          return usable;
        },
        runBuffers: (_script, [name = '']) =>
          new Promise((resolve, reject) => {
            flying.push({ name, resolve, reject });
            most = Math.max(most, flying.length);
          }),
        onUsable: (listener) => {
          tell = listener;
        },
      },
    });
  });

  function ask(name: string): { end: unknown } {
    const seen: { end: unknown } = { end: undefined };
    queue.run('read', [name], []).then(
      (reply) => {
        seen.end = reply;
      },
      (error: unknown) => {
        seen.end = (error as BrokerError).code;
      },
    );
    return seen;
  }

  async function settled(): Promise<void> {
    for (let hop = 0; hop < 10; hop += 1) await Promise.resolve();
  }

  async function answerAll(): Promise<void> {
    while (flying.length > 0) {
      const read = flying.shift();
      read?.resolve(`answer ${read.name}`);
      await settled();
    }
  }

  it('has at most 64 in flight, and answers all in the end', async () => {
    const asked = Array.from({ length: 300 }, (_, index) => ask(String(index)));
    expect(flying).toHaveLength(READS_IN_FLIGHT_MAX);
    await answerAll();
    expect(most).toBe(READS_IN_FLIGHT_MAX);
    expect(asked.map(({ end }) => end)).toEqual(asked.map((_, index) => `answer ${index}`));
  });

  it('has fewer in flight where answers are slow, one at the least, and more again where they are not', async () => {
    const asked = Array.from({ length: 300 }, (_, index) => ask(String(index)));
    clock.advance(DEADLINE_MS * 0.3);
    for (const read of flying.splice(0)) read.resolve('slow');
    await settled();
    expect(flying).toHaveLength(1);
    most = 0;
    await answerAll();
    expect(most).toBe(READS_IN_FLIGHT_MAX);
    expect(asked.every(({ end }) => end !== undefined && end !== 'unavailable')).toBe(true);
  });

  it('begins anew with one where the link was lost under those in flight', async () => {
    // 64 answers of megabytes each did not arrive in time, and would not on the next link either.
    for (let index = 0; index < 100; index += 1) ask(String(index));
    usable = false;
    for (const read of flying.splice(0)) read.reject(new BrokerError('unknown_outcome', 'lost'));
    await settled();
    usable = true;
    tell(true);
    expect(flying.map(({ name }) => name)).toHaveLength(1);
  });

  it('sends a read again whose answer was lost with the link, before what came later', async () => {
    const first = ask('first');
    usable = false;
    flying.shift()?.reject(new BrokerError('unknown_outcome', 'lost'));
    await settled();
    ask('second');
    expect(flying).toEqual([]);
    usable = true;
    tell(true);
    expect(flying.map(({ name }) => name)).toEqual(['first', 'second']);
    await answerAll();
    expect(first.end).toBe('answer first');
  });

  it('refuses what waited beyond its deadline', async () => {
    usable = false;
    const late = ask('late');
    clock.advance(DEADLINE_MS);
    usable = true;
    tell(true);
    await settled();
    expect(late.end).toBe('unavailable');
    expect(flying).toEqual([]);
  });

  it('refuses everything at once while down, and what was lost too', async () => {
    const flown = ask('flown');
    usable = false;
    const waiting = ask('waiting');
    queue.down('away');
    flying.shift()?.reject(new BrokerError('unknown_outcome', 'lost'));
    await settled();
    const fresh = ask('fresh');
    await settled();
    expect([flown.end, waiting.end, fresh.end]).toEqual(Array(3).fill('unavailable'));
    usable = true;
    queue.up();
    ask('again');
    expect(flying.map(({ name }) => name)).toEqual(['again']);
  });

  it('passes a refusal on as `unavailable`', async () => {
    const refused = ask('refused');
    flying.shift()?.reject(new BrokerError('unavailable', 'BUSY'));
    await settled();
    expect(refused.end).toBe('unavailable');
  });

  it('does not repeat a script that raised an error: the link works, and it would raise it again', async () => {
    // An ACL that lacks a command, a key of another type: each such read was sent without an end, before all others.
    const raised = ask('raised');
    flying.shift()?.reject(new BrokerError('unknown_outcome', 'ERR … script: 1234, on @user_script:3.'));
    await settled();
    expect(raised.end).toBe('unavailable');
    expect(flying).toEqual([]);
  });

  it('is bounded', async () => {
    usable = false;
    for (let index = 0; index < READS_WAITING_MAX; index += 1) ask('waiting');
    const over = ask('over');
    await settled();
    expect(over.end).toBe('unavailable');
  });
});
