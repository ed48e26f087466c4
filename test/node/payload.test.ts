/** What becomes of `data` between the one who publishes it and everybody who gets it. */
import { afterEach, expect, it, vi } from 'vitest';
import { createNodeFixture, type NodeFixture } from '../support/node-fixture.ts';

const fixtures: NodeFixture[] = [];

function begin(beside?: NodeFixture): NodeFixture {
  const fixture = createNodeFixture(beside ? { beside } : { shareable: true });
  fixtures.push(fixture);
  return fixture;
}

afterEach(() => {
  vi.restoreAllMocks();
  for (const fixture of fixtures.splice(0)) expect(fixture.violations()).toEqual([]);
});

const MARK = 'once-and-only-once';

/** Counts the texts with the mark that anybody makes of a value from now on. */
function encodings(): () => number {
  const encode = JSON.stringify;
  let count = 0;
  vi.spyOn(JSON, 'stringify').mockImplementation(((...values: Parameters<typeof encode>) => {
    const text = encode(...values) as string | undefined;
    if (text?.includes(MARK)) count += 1;
    return text;
  }) as typeof encode);
  return () => count;
}

it.each([
  ['publish', { room: 'r' }, 'message'],
  ['signal', { room: 'r' }, 'signal'],
] as const)('of a %s is encoded once, for members of two nodes together', async (type, where, told) => {
  const one = begin();
  const two = begin(one);
  const members = [];
  for (const [n, fixture] of [one, one, two, two].entries()) {
    const member = await fixture.hello(`member-${n}`);
    await member.join('r');
    members.push(member);
  }
  const sender = await one.hello('sender');
  await sender.join('r');
  const text = JSON.stringify({ type, id: 1, ...where, data: { deep: [{ text: MARK }] } });

  const encoded = encodings();
  sender.text(text);
  await one.settle();
  await two.settle();
  for (const { connection } of members) {
    expect(connection.of(told, 'r').map(({ data }) => data)).toEqual([{ deep: [{ text: MARK }] }]);
  }
  expect(encoded()).toBe(1);
});

it('is not encoded again for who comes later and asks for history', async () => {
  const one = begin();
  const ann = await one.hello('ann');
  await ann.join('r');
  await ann.publish('r', MARK);
  const encoded = encodings();
  const late = await one.hello('late');
  expect(await late.join('r', { history: 1 })).toMatchObject({ messages: [{ data: MARK }] });
  expect(await ann.request({ type: 'history', room: 'r' })).toMatchObject({ messages: [{ data: MARK }] });
  expect(encoded()).toBe(0);
});

it('holds numbers as doubles: what is beyond them is null, and integers beyond 2^53 lose digits', async () => {
  const one = begin();
  const ann = await one.hello('ann');
  await ann.join('r');
  ann.text('{"type":"publish","room":"r","data":[1e400,-1e400,1e308,5e-324,1e-400,9007199254740993,-0,0.1]}');
  await one.settle();
  expect(ann.connection.messages('r')).toMatchObject([
    { data: [null, null, 1e308, 5e-324, 0, 9007199254740992, 0, 0.1] },
  ]);
});
