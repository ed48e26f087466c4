/** A thousand members in a hundred rooms over two nodes for a minute: nothing lost, nothing twice, one order for all. */
import { expect, test } from 'vitest';
import {
  brokenPromises,
  type Membership,
  type Published,
  type Received,
} from '../support/history-checker.ts';
import { nodeForTest } from '../support/node-for-test.ts';
import { startRedis } from '../support/redis-server.ts';
import { TestClient } from '../support/test-client.ts';

const MEMBERS = 1000;
const ROOMS = 100;
const PUBLISHERS = 10;
const SECONDS = 60;
/** Per publisher: 200 messages/s in all, 2,000 deliveries/s. */
const PUBLISH_EVERY_MS = 50;

test('1,000 members, 100 rooms, 10 publishers, 60 s, two nodes: the checker finds no broken promise', async () => {
  const redis = await startRedis();
  try {
    const nodes = await Promise.all(
      ['a', 'b'].map((name) => nodeForTest({ REDIS_URL: redis.url, NODE_NAME: name })),
    );
    await Promise.all(nodes.map((node) => node.ready()));
    const urlOf = (n: number) => nodes[n % 2]?.url ?? '';
    const roomOf = (n: number) => `room-${n % ROOMS}`;

    const memberships: Membership[] = [];
    const members: TestClient[] = [];
    for (let n = 0; n < MEMBERS; n += 1) {
      const client = await TestClient.open(urlOf(Math.floor(n / ROOMS)));
      const joined = await client.join(roomOf(n), { presence: 'count' });
      memberships.push({ room: roomOf(n), member: `m${n}`, joinedSeq: joined['seq'] as number });
      members.push(client);
    }
    const publishers = await Promise.all(
      Array.from({ length: PUBLISHERS }, (_, n) => TestClient.hello(urlOf(n), `publisher-${n}`)),
    );
    for (const publisher of publishers) {
      for (let room = 0; room < ROOMS; room += 1) await publisher.join(roomOf(room), { presence: 'none' });
    }

    const published: Published[] = [];
    const acknowledged: Promise<void>[] = [];
    const until = performance.now() + SECONDS * 1000;
    await Promise.all(
      publishers.map(async (client, who) => {
        for (let number = 0; performance.now() < until; number += 1) {
          const room = roomOf(number * 7 + who);
          const id = `${who}-${number}`;
          acknowledged.push(
            client.publish(room, id).then((ok) => {
              const position = { epoch: ok['epoch'] as string, seq: ok['seq'] as number };
              published.push({
                room,
                publisher: `${who}`,
                number,
                id,
                ...(ok.type === 'ok' && { ok: position }),
              });
            }),
          );
          await new Promise((resolve) => setTimeout(resolve, PUBLISH_EVERY_MS));
        }
      }),
    );
    await Promise.all(acknowledged);
    expect(published.every((publish) => publish.ok)).toBe(true);

    const topOf = new Map<string, number>();
    for (const { room, ok } of published) topOf.set(room, Math.max(topOf.get(room) ?? 0, ok?.seq ?? 0));
    await Promise.all(
      members.map(async (member, n) => {
        const top = topOf.get(roomOf(n)) ?? 0;
        if (member.position(roomOf(n)).seq >= top) return;
        await member.find((frame) => frame.type === 'message' && frame['seq'] === top);
      }),
    );
    const received: Received[] = members.flatMap((member, n) =>
      member.of('message', roomOf(n)).map((frame) => ({
        room: roomOf(n),
        member: `m${n}`,
        epoch: member.position(roomOf(n)).epoch,
        seq: frame['seq'] as number,
        id: frame['data'] as string,
      })),
    );
    expect(brokenPromises(published, received, memberships)).toEqual([]);
    expect(members.flatMap((member) => member.violations)).toEqual([]);
    expect(members.flatMap((member) => member.of('reset'))).toEqual([]);
    console.log(`${published.length} publishes, ${received.length} deliveries checked`);
    expect(received).toHaveLength(published.length * (MEMBERS / ROOMS));
  } finally {
    await redis.stop();
  }
});
