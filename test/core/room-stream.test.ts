import { describe, expect, it } from 'vitest';
import type { Entry, ReadResult, TermStart } from '../../src/core/entry.ts';
import { entryBytes } from '../../src/core/room-buffer.ts';
import { RoomStream, type StreamLimits } from '../../src/core/room-stream.ts';
import type { ResetReason } from '../../src/protocol/position.ts';

const LIMITS: StreamLimits = {
  ringMessages: 100,
  ringBytes: 1_000_000,
  syncMessages: 5,
  syncBytes: 1_000_000,
};

function entry(seq: number, bytes = 1): Entry {
  return { seq, ts: 0, body: Buffer.alloc(bytes) };
}

function entries(from: number, to: number): Entry[] {
  const all: Entry[] = [];
  for (let seq = from; seq <= to; seq += 1) all.push(entry(seq));
  return all;
}

/** A stream and the log of what members were told: a number is a message. */
function recorded(limits: Partial<StreamLimits> = {}) {
  const told: (number | string)[] = [];
  const stream = new RoomStream(
    { ...LIMITS, ...limits },
    {
      deliver: ({ seq }) => told.push(seq),
      epoch: ({ epoch, seq }) => told.push(`epoch ${epoch} ${seq}`),
      reset: ({ epoch, seq }, reason) => told.push(`reset ${reason} ${epoch} ${seq}`),
    },
  );
  return { stream, told, taken: () => told.splice(0) };
}

function fresh(top: number, epoch = 't1'): ReadResult {
  return { verdict: 'fresh', epoch, top, presenceVersion: 0 };
}

function range(
  from: number,
  to: number,
  parts: { epoch?: string; top?: number; terms?: TermStart[] } = {},
): ReadResult {
  const { epoch = 't1', top = to, terms = [] } = parts;
  const verdict = top > to ? 'more' : 'ok';
  return { verdict, epoch, top, entries: entries(from, to), terms, presenceVersion: 0 };
}

function broken(verdict: ResetReason, from: number, top: number, epoch = 't2'): ReadResult {
  return { verdict, epoch, top, entries: entries(from, top), presenceVersion: 0 };
}

/** Live at seq 10 of t1. */
function live(limits: Partial<StreamLimits> = {}) {
  const all = recorded(limits);
  all.stream.readAnswered(all.stream.readIssued(), fresh(10));
  expect(all.stream.live).toBe(true);
  return all;
}

describe('what is held back while a read is under way', () => {
  it('is a copy: the body may be a view of a read buffer that is used for other things', () => {
    const bodies: string[] = [];
    const stream = new RoomStream(LIMITS, {
      deliver: ({ body }) => bodies.push(body.toString()),
      epoch: () => undefined,
      reset: () => undefined,
    });
    const chunk = Buffer.from('..hello..');
    const read = stream.readIssued();
    stream.heard('t1', { seq: 11, ts: 0, body: chunk.subarray(2, 7) });
    chunk.fill(0);
    stream.readAnswered(read, fresh(10));
    expect(bodies).toEqual(['hello']);
  });
});

describe('the first read of a room', () => {
  it('finds the top; nothing before it is delivered', () => {
    const { stream, told } = live();
    expect(stream.cursor).toEqual({ epoch: 't1', seq: 10 });
    expect(told).toEqual([]);
  });

  it('is followed by what was heard while it was under way', () => {
    const { stream, told } = recorded();
    const read = stream.readIssued();
    for (const seq of [9, 10, 11, 12]) expect(stream.heard('t1', entry(seq))).toBe('none');
    expect(told).toEqual([]);
    expect(stream.readAnswered(read, fresh(10))).toBe('none');
    expect(told).toEqual([11, 12]);
    expect(stream.live).toBe(true);
  });

  it('is repeated where what was heard does not join on to it', () => {
    const { stream, told } = recorded();
    const read = stream.readIssued();
    stream.heard('t1', entry(12));
    expect(stream.readAnswered(read, fresh(10))).toBe('read');
    expect(stream.live).toBe(false);
    expect(told).toEqual([]);
  });
});

describe('a live room', () => {
  it('delivers what follows on and passes over what it has', () => {
    const { stream, told } = live();
    for (const seq of [11, 11, 10, 12]) expect(stream.heard('t1', entry(seq))).toBe('none');
    expect(told).toEqual([11, 12]);
    expect(stream.cursor).toEqual({ epoch: 't1', seq: 12 });
    expect(stream.ring.length).toBe(2);
  });

  it('stops at a hole and asks for a read; nothing is delivered before its answer', () => {
    const { stream, told } = live();
    expect(stream.heard('t1', entry(12))).toBe('read');
    expect(stream.live).toBe(false);
    const read = stream.readIssued();
    expect(stream.heard('t1', entry(13))).toBe('none');
    expect(told).toEqual([]);
    expect(stream.readAnswered(read, range(11, 12))).toBe('none');
    expect(told).toEqual([11, 12, 13]);
  });

  it.each([11, 10, 1])('stops at another epoch, whatever the number (%i)', (seq) => {
    const { stream, told } = live();
    expect(stream.heard('t2', entry(seq))).toBe('read');
    expect([stream.live, told.length]).toEqual([false, 0]);
  });
});

describe('a read of what was missed', () => {
  it('announces a new term right before its first message', () => {
    const { stream, told } = live();
    stream.heard('t2', entry(13));
    const terms = [{ epoch: 't2', start: 13 }];
    stream.readAnswered(stream.readIssued(), range(11, 14, { epoch: 't2', terms }));
    expect(told).toEqual([11, 12, 'epoch t2 12', 13, 14]);
    expect(stream.cursor).toEqual({ epoch: 't2', seq: 14 });
  });

  it('announces every term where one began and ended without a message', () => {
    const { stream, told } = live();
    stream.suspect();
    const terms = [
      { epoch: 't2', start: 11 },
      { epoch: 't3', start: 11 },
      { epoch: 't4', start: 12 },
    ];
    stream.readAnswered(stream.readIssued(), range(11, 12, { epoch: 't4', terms }));
    expect(told).toEqual(['epoch t2 10', 'epoch t3 10', 11, 'epoch t4 11', 12]);
  });

  it('goes on with the messages of the new term that were heard meanwhile', () => {
    const { stream, told } = live();
    stream.suspect();
    const read = stream.readIssued();
    stream.heard('t2', entry(12));
    stream.readAnswered(read, range(11, 11, { epoch: 't2', terms: [{ epoch: 't2', start: 11 }] }));
    expect(told).toEqual(['epoch t2 10', 11, 12]);
  });

  it('in pages is read on from the last entry, and what was heard before each page is dropped with it', () => {
    const { stream, taken } = live();
    stream.suspect();
    const first = stream.readIssued();
    stream.heard('t1', entry(15));
    expect(stream.readAnswered(first, range(11, 12, { top: 15 }))).toBe('read');
    expect(stream.live).toBe(false);
    expect(taken()).toEqual([11, 12]);
    const second = stream.readIssued();
    expect(stream.bufferedBytes).toBe(0);
    stream.heard('t1', entry(16));
    expect(stream.readAnswered(second, range(13, 15))).toBe('none');
    expect(taken()).toEqual([13, 14, 15, 16]);
  });

  it.each(['lost', 'diverged', 'trimmed'] as const)(
    'that cannot be told resets as %s, then gives all that is kept',
    (reason) => {
      const { stream, told } = live();
      stream.heard('t1', entry(11));
      stream.suspect();
      const read = stream.readIssued();
      stream.heard('t2', entry(8));
      stream.heard('t2', entry(9));
      expect(stream.readAnswered(read, broken(reason, 6, 8))).toBe('none');
      expect(told).toEqual([11, `reset ${reason} t2 5`, 6, 7, 8, 9]);
      expect(stream.live).toBe(true);
    },
  );

  it('that resets empties the ring: positions of before the break must not be served from it', () => {
    const { stream } = live();
    stream.heard('t1', entry(11));
    stream.suspect();
    stream.readAnswered(stream.readIssued(), broken('diverged', 11, 10, 't1'));
    expect(stream.ring.length).toBe(0);
    expect(stream.cursor).toEqual({ epoch: 't1', seq: 10 });
    expect(stream.ring.after({ epoch: 't1', seq: 10 })).toBeUndefined();
  });
});

describe('a page that is not the last', () => {
  it('does not make the room live, also where nothing was heard meanwhile', () => {
    const { stream } = live();
    stream.suspect();
    expect(stream.readAnswered(stream.readIssued(), range(11, 12, { top: 15 }))).toBe('read');
    expect(stream.live).toBe(false);
  });
});

describe('a lost link', () => {
  it('frees what was held back: the read after it contains all of that', () => {
    const { stream } = live();
    stream.suspect();
    stream.heard('t1', entry(11));
    expect(stream.bufferedBytes).toBeGreaterThan(0);
    stream.suspect();
    expect(stream.bufferedBytes).toBe(0);
  });
});

describe('an answer that came too late', () => {
  it('is thrown away after the link was lost', () => {
    const { stream, told } = live();
    stream.suspect();
    const read = stream.readIssued();
    stream.suspect();
    expect(stream.isCurrent(read)).toBe(false);
    expect(stream.readAnswered(read, range(11, 12))).toBe('none');
    expect([stream.live, told.length]).toEqual([false, 0]);
  });

  it('is thrown away where a newer read was issued, whichever is answered first', () => {
    const { stream, told } = live();
    stream.suspect();
    const older = stream.readIssued();
    const newer = stream.readIssued();
    expect([stream.isCurrent(older), stream.isCurrent(newer)]).toEqual([false, true]);
    stream.readAnswered(newer, range(11, 12));
    stream.readAnswered(older, range(11, 11));
    expect(told).toEqual([11, 12]);
  });

  it('is thrown away once the room is live', () => {
    const { stream, told } = live();
    stream.suspect();
    const read = stream.readIssued();
    stream.readAnswered(read, range(11, 11));
    expect(stream.isCurrent(read)).toBe(false);
    expect(stream.readAnswered(read, range(11, 11))).toBe('none');
    expect(told).toEqual([11]);
  });
});

describe('what is held back during a read', () => {
  it('over its number of messages is dropped and read instead, with nothing delivered out of order', () => {
    const { stream, taken } = live();
    stream.suspect();
    const read = stream.readIssued();
    for (let seq = 12; seq <= 17; seq += 1) stream.heard('t1', entry(seq));
    expect(stream.bufferedBytes).toBe(0);
    // What is heard after the overflow joins on to the answer by chance; what lies before it would be skipped.
    stream.heard('t1', entry(18));
    expect(stream.readAnswered(read, range(11, 17))).toBe('read');
    expect(taken()).toEqual([11, 12, 13, 14, 15, 16, 17]);
    expect(stream.live).toBe(false);
    expect(stream.readAnswered(stream.readIssued(), range(18, 18))).toBe('none');
    expect(taken()).toEqual([18]);
  });

  it('over its bytes is dropped and read instead', () => {
    const { stream } = live({ syncBytes: 2 * entryBytes(entry(1, 1000)) });
    stream.suspect();
    const read = stream.readIssued();
    for (const seq of [12, 13]) stream.heard('t1', entry(seq, 1000));
    expect(stream.bufferedBytes).toBe(2 * entryBytes(entry(1, 1000)));
    stream.heard('t1', entry(14, 1000));
    expect(stream.bufferedBytes).toBe(0);
    expect(stream.readAnswered(read, range(11, 11))).toBe('read');
  });

  it('is dropped on demand of the node, which means another read; nothing is dropped where nothing was held', () => {
    const { stream } = live();
    stream.suspect();
    const read = stream.readIssued();
    stream.heard('t1', entry(11));
    stream.overflow();
    expect(stream.readAnswered(read, range(11, 10))).toBe('read');
    const again = stream.readIssued();
    stream.overflow();
    expect(stream.readAnswered(again, range(11, 11))).toBe('none');
    expect(stream.live).toBe(true);
  });

  it('across a term that began meanwhile means another read: only the store knows what lies between', () => {
    const { stream, told } = live();
    stream.suspect();
    const read = stream.readIssued();
    stream.heard('t1', entry(11));
    stream.heard('t2', entry(12));
    expect(stream.readAnswered(read, range(11, 10))).toBe('read');
    expect(told).toEqual([11]);
    const terms = [{ epoch: 't2', start: 12 }];
    stream.readAnswered(stream.readIssued(), range(12, 12, { epoch: 't2', terms }));
    expect(told).toEqual([11, 'epoch t2 11', 12]);
  });
});

describe('the ring of a stream', () => {
  it('has what was delivered, from reads and from the channel alike', () => {
    const { stream } = live();
    stream.heard('t1', entry(11));
    stream.suspect();
    stream.readAnswered(stream.readIssued(), range(12, 13));
    expect(stream.ring.after({ epoch: 't1', seq: 10 })?.map((kept) => kept.seq)).toEqual([11, 12, 13]);
  });

  it('begins anew with a term, so that a position of the old one is asked of the store', () => {
    const { stream } = live();
    stream.heard('t1', entry(11));
    stream.suspect();
    stream.readAnswered(
      stream.readIssued(),
      range(12, 12, { epoch: 't2', terms: [{ epoch: 't2', start: 12 }] }),
    );
    expect(stream.ring.after({ epoch: 't1', seq: 10 })).toBeUndefined();
    expect(stream.ring.after({ epoch: 't2', seq: 11 })?.map((kept) => kept.seq)).toEqual([12]);
  });

  it('takes what was read for a joiner, up to the cursor, and nothing that would leave a hole or is of another epoch', () => {
    const { stream } = live();
    const kept = () => stream.ring.after({ epoch: 't1', seq: 6 })?.map(({ seq }) => seq);
    stream.backfill('t1', entries(5, 9));
    stream.backfill('t2', entries(5, 10));
    stream.backfill('t1', []);
    expect(stream.ring.length).toBe(0);
    stream.backfill('t1', entries(7, 12));
    expect(kept()).toEqual([7, 8, 9, 10]);
    stream.heard('t1', entry(11));
    expect(kept()).toEqual([7, 8, 9, 10, 11]);
    stream.suspect();
    stream.backfill('t1', entries(1, 6));
    expect(stream.ring.length).toBe(5);
  });

  it('can be dropped at any time without harm', () => {
    const { stream, told } = live();
    stream.heard('t1', entry(11));
    stream.dropRing();
    expect([stream.ring.length, stream.ring.bytes]).toEqual([0, 0]);
    stream.heard('t1', entry(12));
    expect(told).toEqual([11, 12]);
  });
});
