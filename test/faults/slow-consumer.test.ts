/** Members that stop reading under a flood, on real sockets: the others notice nothing, the node's memory stays flat. */
import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { nodeForTest } from '../support/node-for-test.ts';
import type { NodeProcess } from '../support/node-process.ts';
import { type Frame, TestClient } from '../support/test-client.ts';

/** As large as a payload may be, nearly: the kernels take megabytes before a socket of ours is full. */
const PAD = 'x'.repeat(32_600);
const IN_FLIGHT = 20;
const STOPPED = 5;
const READING = 5;

const NO_RATES = { LIMIT_PUBLISH_PER_SECOND: '0', LIMIT_USER_PER_SECOND: '0', LIMIT_ROOM_PER_SECOND: '0' };

interface Rig {
  readonly node: NodeProcess;
  readonly stopped: readonly TestClient[];
  readonly reading: readonly TestClient[];
  /** Publishes until the room has so many, no faster than these read: all share the one process of this test. */
  readonly flood: (upTo: number, readers?: readonly TestClient[]) => Promise<void>;
}

async function rig(env: Record<string, string>): Promise<Rig> {
  const node = await nodeForTest({ REDIS_MODE: 'off', ...NO_RATES, ...env });
  const member = async (user: string) => {
    const client = await TestClient.hello(node.url, user);
    // The test keeps which message came, not the megabytes in it.
    client.onFrame((frame) => {
      const data = frame['data'] as { pad?: string } | undefined;
      if (data) delete data.pad;
    });
    await client.join('room');
    return client;
  };
  const clients = await Promise.all(range(1, STOPPED + READING).map((n) => member(`user-${n}`)));
  const writer = await member('writer');
  let published = 0;
  const reading = clients.slice(STOPPED);
  const flood = async (upTo: number, readers: readonly TestClient[] = reading) => {
    while (published < upTo) {
      const count = Math.min(IN_FLIGHT, upTo - published);
      const answers = Array.from({ length: count }, () => publish(writer, ++published));
      for (const answer of await Promise.all(answers)) expect(answer.type).toBe('ok');
      await Promise.all(readers.map((reader) => untilLast(reader, published)));
    }
  };
  return { node, stopped: clients.slice(0, STOPPED), reading, flood };
}

function publish(writer: TestClient, n: number): Promise<Frame> {
  return writer.publish('room', { n, pad: PAD });
}

function numbers(client: TestClient): number[] {
  return client.data('room').map((data) => (data as { n: number }).n);
}

async function untilLast(client: TestClient, last: number): Promise<void> {
  await client.find((frame) => frame.type === 'message' && frame['seq'] === last, 15_000, `message ${last}`);
}

const range = (from: number, to: number) => Array.from({ length: to - from + 1 }, (_, n) => from + n);

function rssMb({ child }: NodeProcess): number {
  const [, kb] = /VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${child.pid}/status`, 'utf8')) ?? [];
  return Number(kb) / 1024;
}

test('readers that stop for a while get all of it when they read again, each once, while the others never wait', async () => {
  const { stopped, reading, flood } = await rig({ HISTORY_MESSAGES: '1000' });
  await flood(20, [...stopped, ...reading]);
  for (const client of stopped) client.socket.pause();
  await flood(700);
  for (const client of stopped) expect(numbers(client).length).toBeLessThan(400);
  for (const client of stopped) client.socket.resume();
  // They catch up while the flood goes on.
  await flood(800);
  for (const client of [...reading, ...stopped]) {
    await untilLast(client, 800);
    expect(numbers(client)).toEqual(range(1, 800));
    expect(client.violations).toEqual([]);
    expect(client.of('reset')).toEqual([]);
  }
}, 60_000);

test('readers that fall behind what is kept are told so; the node holds no more for them than its caps allow', async () => {
  const outboxBytes = 262_144;
  const { node, stopped, reading, flood } = await rig({
    HISTORY_MESSAGES: '200',
    JOIN_BYTES: '262144',
    LIMIT_OUTBOX_BYTES: String(outboxBytes),
    LIMIT_OUTBOX_MAX_BYTES: String(4 * outboxBytes),
    LIMIT_OUTBOX_STALL_MS: '30000',
  });
  // Warm: the history is full and the heap has its size.
  await flood(1000, [...stopped, ...reading]);
  const before = rssMb(node);
  for (const client of stopped) client.socket.pause();
  await flood(6000);
  // 160 MB were published meanwhile; without caps most of it would wait here. The rest is room for the garbage collector.
  const capsMb = (STOPPED * 4 * outboxBytes) / 2 ** 20;
  const grown = rssMb(node) - before;
  expect(grown).toBeLessThan(capsMb + 60);
  for (const client of stopped) client.socket.resume();
  await Promise.all(stopped.map((client) => untilLast(client, 6000)));
  await flood(6010, [...stopped, ...reading]);
  for (const client of stopped) {
    expect(client.violations).toEqual([]);
    // Whenever the kernel takes some of what waits, the reader is told where it is by then.
    const resets = client.of('reset');
    expect(new Set(resets.map(({ reason }) => reason))).toEqual(new Set(['trimmed']));
    const reset = resets.at(-1);
    // Nothing that was kept is skipped behind the break.
    expect(numbers(client).filter((n) => n > (reset?.['seq'] as number))).toEqual(
      range((reset?.['seq'] as number) + 1, 6010),
    );
    expect(reset?.['seq']).toBe(6000 - 200);
  }
  for (const client of reading) {
    await untilLast(client, 6010);
    expect(numbers(client)).toEqual(range(1, 6010));
    expect(client.of('reset')).toEqual([]);
  }
}, 60_000);

test('a reader that never reads again is closed with 4009, and its socket is ended', async () => {
  const { node, stopped, reading, flood } = await rig({ LIMIT_OUTBOX_STALL_MS: '2000', LOG_LEVEL: 'debug' });
  const [never, late] = stopped;
  if (!never || !late) throw new Error('no readers');
  never.socket.pause();
  late.socket.pause();
  await flood(400);
  const tooSlow = () => node.lines.filter(({ msg }) => msg === 'connection too slow').length;
  await expect.poll(tooSlow, { timeout: 8000, interval: 5 }).toBe(2);
  // Whoever reads in the last second is told why.
  late.socket.resume();
  expect(await late.closed).toMatchObject({ code: 4009 });
  expect(late.of('closing')).toMatchObject([{ code: 4009, reconnect: 'now' }]);
  await expect
    .poll(async () => (await node.health())['connections'], { timeout: 5000 })
    .toBe(STOPPED + READING - 1);
  for (const client of reading) await untilLast(client, 400);
}, 60_000);
