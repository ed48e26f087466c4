/** Replies that are large beside what asks for them: they wait until the connection took what it was sent before. */
import { afterEach, expect, it } from 'vitest';
import { LargeReplies } from '../../src/node/large-replies.ts';
import { createFakeClock } from '../support/fake-clock.ts';
import { createSession } from '../support/fake-connection.ts';
import { gate } from '../support/gate.ts';
import { type Client, createNodeFixture, type NodeFixture } from '../support/node-fixture.ts';

const LIMIT_BYTES = 4_000;
const ROOMS = ['a', 'b', 'c'];

let fixture: NodeFixture | undefined;

async function member(limitOutboxStallMs = 0): Promise<NodeFixture & { ann: Client }> {
  fixture = createNodeFixture({ settings: { limitOutboxBytes: LIMIT_BYTES, limitOutboxStallMs } });
  const ann = await fixture.hello('ann');
  for (const room of ROOMS) {
    await ann.join(room, { presence: 'none', state: { is: 's'.repeat(3_000) } });
    for (let n = 0; n < 5; n += 1) await ann.publish(room, 'x'.repeat(1_000));
  }
  return { ...fixture, ann };
}

afterEach(() => expect(fixture?.violations() ?? []).toEqual([]));

/** Asks for it often in one turn of a peer that does not read, then lets it take what came, again and again. */
async function asked(type: 'history' | 'presence'): Promise<{ most: number; replies: number }> {
  const { ann, settle } = await member();
  ann.connection.stuck = true;
  for (let n = 0; n < 30; n += 1) ann.say({ type, id: `q${n}`, room: ROOMS[n % 3] });
  let most = 0;
  for (let round = 0; round < 60; round += 1) {
    await settle();
    most = Math.max(most, ann.connection.queuedBytes);
    ann.connection.drain();
    ann.connection.stuck = true;
  }
  return { most, replies: ann.connection.frames.filter(({ id }) => String(id).startsWith('q')).length };
}

it('pages of history are given one by one to who does not take them, over all rooms, and all in the end', async () => {
  // A thousand questions of 45 bytes in one packet were gigabytes of answers in one turn.
  const { most, replies } = await asked('history');
  expect(replies).toBe(30);
  expect(most).toBeLessThan(LIMIT_BYTES + 6_000);
});

it('so are lists of members', async () => {
  const { most, replies } = await asked('presence');
  expect(replies).toBe(30);
  expect(most).toBeLessThan(LIMIT_BYTES + 3_500);
});

it('a list of members does not wait behind a page of another room while the connection takes what it is sent', async () => {
  const { ann, settle, store } = await member();
  const held = gate();
  store.before('history', () => held.opened);
  ann.say({ type: 'history', id: 'h', room: 'a' }, { type: 'presence', id: 'p', room: 'b' });
  await settle();
  expect([ann.connection.reply('h'), ann.connection.reply('p')?.type]).toEqual([undefined, 'ok']);
  held.open();
  await settle();
  expect(ann.connection.reply('h')).toMatchObject({ type: 'ok' });
});

it('who asks and takes nothing is closed as if it were paused, and who takes a little is not', async () => {
  const { ann, settle, advance } = await member(10_000);
  ann.connection.stuck = true;
  for (let n = 0; n < 30; n += 1) ann.say({ type: 'history', id: `q${n}`, room: ROOMS[n % 3] });
  await settle();
  for (let second = 0; second < 30; second += 1) {
    ann.connection.progress += 1;
    await advance(1000);
  }
  expect(ann.connection.closedWith).toBeUndefined();
  await advance(11_000);
  expect(ann.connection.closedWith).toMatchObject({ code: 4009 });
});

it('nothing is read for a connection that is gone while its questions waited', async () => {
  const { ann, settle, store } = await member();
  ann.connection.stuck = true;
  for (const room of ROOMS) ann.say({ type: 'history', id: room, room });
  await settle();
  const reads = () => store.calls.filter((call) => call.startsWith('history')).length;
  const before = reads();
  ann.drop();
  await settle();
  expect(reads()).toBe(before);
});

it('nobody is waited for who took everything, and nothing is said to who is gone', async () => {
  const replies = new LargeReplies(createFakeClock(), { limitOutboxBytes: LIMIT_BYTES });
  const [taking, leaving] = [createSession('taking'), createSession('leaving')];
  const said: string[] = [];
  for (const session of [taking, leaving]) {
    session.connection.stuck = true;
    session.connection.queuedBytes = LIMIT_BYTES + 1;
    void replies.say(session, () => said.push(session.user));
  }
  expect([replies.waiting.size, said]).toEqual([2, []]);
  taking.connection.drain();
  leaving.closed = true;
  leaving.connection.gone();
  await expect.poll(() => replies.waiting.size).toBe(0);
  expect(said).toEqual(['taking']);
});
