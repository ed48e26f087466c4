import { afterEach, describe, expect, it } from 'vitest';
import { type Client, createNodeFixture, type NodeFixture } from '../support/node-fixture.ts';

let fixture: NodeFixture | undefined;

async function inRoom(...users: string[]): Promise<Client[]> {
  fixture = createNodeFixture();
  const clients: Client[] = [];
  for (const user of users) {
    const client = await fixture.hello(user);
    await client.join('r', { presence: 'none' });
    clients.push(client);
  }
  return clients;
}

afterEach(() => expect(fixture?.violations() ?? []).toEqual([]));

function signals(client: Client | undefined): unknown[] {
  return (client?.connection.of('signal', 'r') ?? []).map((frame) => frame['data']);
}

describe('a signal', () => {
  it('reaches everybody in the room but the connection that sent it', async () => {
    const [ann, annToo, bob] = await inRoom('ann', 'ann', 'bob');
    expect(await ann?.request({ type: 'signal', room: 'r', data: { typing: true } })).toMatchObject({
      type: 'ok',
      room: 'r',
    });
    await fixture?.settle();
    expect([signals(ann), signals(annToo), signals(bob)]).toEqual([
      [],
      [{ typing: true }],
      [{ typing: true }],
    ]);
    expect(bob?.connection.of('signal')[0]).toMatchObject({
      room: 'r',
      from: { user: 'ann', connection: ann?.id },
    });
    expect(bob?.connection.of('signal')[0]).not.toHaveProperty('seq');
  });

  it('to a user reaches all its connections, except the one that sends it', async () => {
    const [ann, annToo, bob, cid] = await inRoom('ann', 'ann', 'bob', 'cid');
    ann?.say({ type: 'signal', room: 'r', to: { user: 'bob' }, data: 1 });
    ann?.say({ type: 'signal', room: 'r', to: { user: 'ann' }, data: 2 });
    await fixture?.settle();
    expect([signals(ann), signals(annToo), signals(bob), signals(cid)]).toEqual([[], [2], [1], []]);
  });

  it('to a connection reaches that one alone', async () => {
    const [ann, bob, bobToo] = await inRoom('ann', 'bob', 'bob');
    ann?.say({ type: 'signal', room: 'r', to: { connection: bobToo?.id }, data: 1 });
    ann?.say({ type: 'signal', room: 'r', to: { connection: ann?.id }, data: 2 });
    ann?.say({ type: 'signal', room: 'r', to: { connection: 'nobody' }, data: 3 });
    await fixture?.settle();
    expect([signals(ann), signals(bob), signals(bobToo)]).toEqual([[], [], [1]]);
  });

  it('does not reach connections that are not in the room', async () => {
    const [ann] = await inRoom('ann');
    const outside = await fixture?.hello('bob');
    ann?.say({ type: 'signal', room: 'r', to: { user: 'bob' }, data: 1 });
    await fixture?.settle();
    expect(signals(outside)).toEqual([]);
  });

  it('still reaches this node while the store is away', async () => {
    const [ann, bob] = await inRoom('ann', 'bob');
    fixture?.store.goDown();
    expect(await ann?.request({ type: 'signal', room: 'r', data: 1 })).toMatchObject({ type: 'ok' });
    expect(signals(bob)).toEqual([1]);
  });

  it('is not part of what a joiner gets later', async () => {
    const [ann] = await inRoom('ann');
    ann?.say({ type: 'signal', room: 'r', data: 1 });
    const late = await fixture?.hello('late');
    expect(await late?.join('r', { history: 10 })).toMatchObject({ messages: [] });
    expect(signals(late)).toEqual([]);
  });
});
