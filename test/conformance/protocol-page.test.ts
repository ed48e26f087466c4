/**
 * docs/PROTOCOL.md is true of a running server: its worked sessions are played on two nodes, and each of its
 * examples of a client's frame is sent and answered as its section says.
 */
import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { NodeProcess } from '../support/node-process.ts';
import { type RedisServer, startRedis } from '../support/redis-server.ts';
import { SessionPlayer } from '../support/session-player.ts';
import { type Frame, TestClient } from '../support/test-client.ts';

const page = readFileSync('docs/PROTOCOL.md', 'utf8');

const sections = page.split(/^(?=#{2,3} )/m).map((text) => ({
  title: /^#+ (.*)$/m.exec(text)?.[1] ?? '',
  text,
}));

const blocks = (text: string, language: string): readonly string[] =>
  [...text.matchAll(new RegExp(`^\`\`\`${language}\\n([\\s\\S]*?)^\`\`\`$`, 'gm'))].map(
    (match) => match[1] ?? '',
  );

const sessions = sections.flatMap(({ title, text }) =>
  blocks(text, 'session').map((block) => ({
    title,
    lines: block.trim().split('\n'),
  })),
);

let redis: RedisServer;
beforeAll(async () => {
  redis = await startRedis({ aof: true });
});
afterAll(() => redis.stop());

/** Two nodes as they are by default, but for waits that would only cost time. */
async function twoNodes(prefix: string): Promise<readonly NodeProcess[]> {
  const env = {
    REDIS_URL: redis.url,
    REDIS_PREFIX: prefix,
    REDIS_DEADLINE_MS: '400',
    RETRY_BUDGET_MS: '800',
    DRAIN_NOTICE_MS: '200',
    DRAIN_SPREAD_MIN_MS: '1200',
  };
  const nodes = await Promise.all([
    NodeProcess.start({ ...env, NODE_NAME: 'one' }),
    NodeProcess.start({ ...env, NODE_NAME: 'two' }),
  ]);
  await Promise.all(nodes.map((node) => node.ready()));
  return nodes;
}

describe('the worked sessions', () => {
  let nodes: readonly NodeProcess[] = [];
  beforeAll(async () => {
    nodes = await twoNodes('sessions:');
  });
  afterAll(() => endNodes(nodes));

  test.each(sessions)('$title', async ({ title, lines }) => {
    const drains = lines.some((line) => line.endsWith(' is drained'));
    const own = drains ? await twoNodes('drained:') : nodes;
    await play(`s${Number.parseInt(title, 10)}`, lines, own);
    if (drains) await endNodes(own);
    else await Promise.all(nodes.map(takesJoins));
  });
});

/** Asked by a join: just after Redis was restarted a node may not know yet that it lost it, and say it is ready. */
async function takesJoins(node: NodeProcess): Promise<void> {
  const client = await TestClient.hello(node.url);
  await expect
    .poll(async () => (await client.join('probe')).type, { timeout: 10_000, interval: 100 })
    .toBe('joined');
  await client.drop();
}

async function endNodes(nodes: readonly NodeProcess[]): Promise<void> {
  await Promise.all(nodes.map((node) => node.kill('SIGKILL')));
}

async function play(name: string, lines: readonly string[], nodes: readonly NodeProcess[]): Promise<void> {
  const player = new SessionPlayer({
    name,
    urls: nodes.map(({ url }) => url),
    drainNode: (url) => nodes.find((node) => node.url === url)?.child.kill('SIGTERM'),
    redis: {
      stop: () => redis.kill(),
      start: (empty) => redis.restart({ empty }),
      pause: () => redis.pause(),
      resume: () => redis.resume(),
    },
  });
  try {
    await player.play(lines);
  } finally {
    // Whatever became of the session: the next one finds Redis as it was.
    if (lines.some((line) => line.startsWith('* Redis'))) {
      redis.resume();
      await redis.restart();
    }
    await player.end();
  }
}

/** What a client's example is answered with, by its type. */
const ANSWERS: Readonly<Record<string, { readonly type: string; readonly code?: string }>> = {
  hello: { type: 'welcome' },
  refresh: { type: 'error', code: 'unsupported' },
  ping: { type: 'pong' },
  join: { type: 'joined' },
  send: { type: 'ok' },
  read: { type: 'ok' },
};
const DONE = { type: 'ok' };

const examples = sections.flatMap(({ title, text }) =>
  /^<!-- frame: client\./m.test(text)
    ? blocks(text, 'json').map((block) => ({ title, frame: JSON.parse(block) as Frame }))
    : [],
);

describe('the examples of what a client sends', () => {
  let node: NodeProcess;
  beforeAll(async () => {
    node = await NodeProcess.start({ REDIS_URL: redis.url, REDIS_PREFIX: 'examples:' });
    await node.ready();
  });
  afterAll(() => node.kill('SIGKILL'));

  test('are all of the types that a client may send', () => {
    expect(new Set(examples.map(({ frame }) => frame.type)).size).toBe(12);
  });

  test.each(examples)('$title: $frame', async ({ frame }) => {
    const client = await TestClient.open(node.url);
    onTestFinished(() => client.drop());
    if (frame.type !== 'hello') await client.request({ type: 'hello', user: 'anna', inbox: true });
    // As many as the example calls read: a mark beyond what was told is an error of its own.
    if (frame.type === 'read') await inboxOf(client, frame['seq'] as number);
    const { room } = frame;
    if (typeof room === 'string' && frame.type !== 'join') await client.join(room);
    const reply = await client.request(frame);
    expect(reply).toMatchObject(ANSWERS[frame.type] ?? DONE);
  });
});

async function inboxOf(client: TestClient, count: number): Promise<void> {
  for (let n = 0; n < count; n += 1) await client.request({ type: 'send', to: 'anna', data: n });
  await client.find((each) => each.type === 'message' && each['seq'] === count);
}
