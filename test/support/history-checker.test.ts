import { describe, expect, test } from 'vitest';
import { brokenPromises, type Membership, type Published, type Received } from './history-checker.ts';

const published: Published[] = [1, 2, 3].map((seq) => ({
  room: 'r',
  publisher: 'p',
  number: seq,
  id: `m${seq}`,
  ok: { epoch: 'e', seq },
}));
const memberships: Membership[] = ['a', 'b'].map((member) => ({ room: 'r', member, joinedSeq: 0 }));
const received: Received[] = ['a', 'b'].flatMap((member) =>
  [1, 2, 3].map((seq) => ({ room: 'r', member, epoch: 'e', seq, id: `m${seq}` })),
);

describe('the history checker', () => {
  test('finds nothing in a history that keeps every promise', () => {
    expect(brokenPromises(published, received, memberships)).toEqual([]);
  });

  test.each<[string, (r: Received[]) => Received[], RegExp]>([
    ['a message dropped in the middle', (r) => r.filter((_, i) => i !== 1), /contiguity: a got 3 .* after 1/],
    ['the last message dropped', (r) => r.filter((_, i) => i !== 5), /lost: m3 .* b never got it/],
    ['two messages swapped', (r) => [r[1], r[0], ...r.slice(2)] as Received[], /contiguity|order/],
    ['a message delivered twice', (r) => [r[0], ...r] as Received[], /contiguity/],
    [
      'two members told different messages at one place',
      (r) => r.map((x, i) => (i === 4 ? { ...x, id: 'm9' } : x)),
      /agreement/,
    ],
    [
      'a message nobody published',
      (r) => r.map((x) => (x.seq === 3 ? { ...x, id: 'm9' } : x)),
      /invented|agreement/,
    ],
  ])('bites on %s', (_, mutate, expected) => {
    expect(brokenPromises(published, mutate([...received]), memberships).join('\n')).toMatch(expected);
  });

  test('bites on a publisher whose messages changed places', () => {
    const swapped = published.map((p) => ({ ...p, number: 4 - p.number }));
    expect(brokenPromises(swapped, received, memberships).join('\n')).toMatch(/order: a got/);
  });
});
