import { describe, expect, it } from 'vitest';
import { decodeHistory, decodeRead, readArguments } from '../../../src/broker/redis/read-reply.ts';

/** As ioredis gives a reply whose strings stay bytes. */
function bytes(value: unknown): unknown {
  return Array.isArray(value) ? value.map(bytes) : Buffer.from(String(value));
}

function entry(seq: number, format = '1'): unknown {
  return [`${seq}-${seq + 1_000}`, ['d', `${format}body${seq}`]];
}

function decoded(...reply: unknown[]): unknown {
  const read = decodeRead(bytes(reply));
  if (read === 'absent') return read;
  const { result } = read;
  const seqs = 'entries' in result ? result.entries.map(({ seq }) => seq) : undefined;
  return [result.verdict, result.epoch, result.top, seqs, read.unreadable];
}

describe('the reply to a read', () => {
  it('is told with its entries, terms and versions', () => {
    const read = decodeRead(bytes(['ok', 'e.t3', '5', [entry(4), entry(5)], 't2:4;t3:5;', '77']));
    expect(read).toEqual({
      unreadable: 0,
      result: {
        verdict: 'ok',
        epoch: 'e.t3',
        top: 5,
        presenceVersion: 77,
        entries: [4, 5].map((seq) => ({ seq, ts: seq + 1_000, body: Buffer.from(`body${seq}`) })),
        terms: [
          { epoch: 'e.t2', start: 4 },
          { epoch: 'e.t3', start: 5 },
        ],
      },
    });
  });

  it('is fresh or absent where no position was given or no room is there', () => {
    expect(decoded('fresh', 'e.t', '9', [], '', '0')).toEqual(['fresh', 'e.t', 9, undefined, 0]);
    expect(decoded('absent')).toBe('absent');
  });

  it('becomes a reset behind the last entry that cannot be read', () => {
    const entries = [entry(4), entry(5, '2'), entry(6), entry(7)];
    expect(decoded('ok', 'e.t', '7', entries, '', '0')).toEqual(['trimmed', 'e.t', 7, [6, 7], 1]);
    // More is kept above 7, so nothing of it reaches the top.
    expect(decoded('more', 'e.t', '9', entries, '', '0')).toEqual(['trimmed', 'e.t', 9, [], 1]);
    expect(decoded('lost', 'e.t', '7', entries, '', '0')).toEqual(['lost', 'e.t', 7, [6, 7], 1]);
  });

  it('of a release that knows another verdict is an error, not an answer', () => {
    expect(() => decodeRead(bytes(['perhaps', 'e.t', '7', [], '', '0']))).toThrow(TypeError);
    expect(() => decodeRead(null)).toThrow(TypeError);
  });

  it('to history leaves out what cannot be read', () => {
    const page = decodeHistory(bytes(['e.t', '9', [entry(4), entry(5, '2')], '1']));
    expect(page).toMatchObject({
      result: { epoch: 'e.t', seq: 9, entries: [{ seq: 4 }], more: true },
      unreadable: 1,
    });
    expect(decodeHistory(bytes(['absent']))).toBe('absent');
  });
});

describe('the arguments of a read', () => {
  it('split the epoch of a position', () => {
    expect(readArguments({ epoch: 'abc.def', seq: 7 }, 10)).toEqual(['abc', 'def', '7', '10']);
    expect(readArguments(null, 10)).toEqual(['', '', '', '10']);
  });

  it('turn every other epoch into one that never was', () => {
    for (const epoch of ['', '.', 'abc', 'a.b.c', 'a.', '.b', 'a b.c', 'a:1;.b', 'é.é']) {
      expect(readArguments({ epoch, seq: 7 }, 10)).toEqual(['-', '-', '7', '10']);
    }
  });
});
