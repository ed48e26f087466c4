/**
 * The scripts as files: header, table and body must say the same, because nothing
 * else checks a positional argument. And what the model tests do not reach: history
 * pages, counted connections, canaries, and a Redis that is full.
 */
import { readdirSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Redis } from 'ioredis';
import { decodeEnvelope } from '../../../src/broker/redis/envelope.ts';
import { createKeys } from '../../../src/broker/redis/keys.ts';
import { loadScripts } from '../../../src/broker/redis/scripts.ts';
import { startRedis, type RedisServer } from '../../support/redis-server.ts';
import { ScriptCaller } from '../../support/script-caller.ts';

const scripts = loadScripts();
const folder = new URL('../../../src/broker/redis/lua/', import.meta.url);

test('the table lists exactly the files of the folder', () => {
  const files = readdirSync(folder).toSorted();
  expect([...scripts.keys()].map((name) => `${name}.lua`).toSorted()).toEqual(files);
});

describe.each([...scripts.values()])('$name.lua', ({ source, keys, args }) => {
  const lines = source.split('\n');
  const header = lines.slice(
    1,
    lines.findIndex((line) => !line.startsWith('#!') && !line.startsWith('--')),
  );
  const code = lines.slice(1 + header.length).map((line) => line.replace(/--.*$/, ''));

  test('begins with its flags, without which it would write past maxmemory and hide cross-slot errors', () => {
    expect(lines[0]).toMatch(/^#!lua( flags=(no-writes|allow-oom))?$/);
  });

  test('says what it does, what it returns, why it is atomic and which slot it touches', () => {
    expect(header[0]).toMatch(/^-- \S.*\.( |$)/);
    for (const part of ['Returns', 'Atomic:', 'Slot:']) {
      expect(header.filter((line) => line.startsWith(`-- ${part}`))).toHaveLength(1);
    }
  });

  test.each([
    ['KEYS', keys],
    ['ARGV', args],
  ])('documents and names its %s, as many as the table says', (list, count) => {
    const expected = Array.from({ length: count }, (_, i) => i + 1);
    const documented = header.flatMap((line) =>
      indices(line, new RegExp(`^-- ${list}\\[(\\d+)\\] \\S`, 'g')),
    );
    expect(documented).toEqual(expected);
    const use = new RegExp(`${list}\\[(\\d+)\\]`, 'g');
    // Each once, to give it a name: a body that says KEYS[8] cannot be reviewed.
    const used = code.flatMap((line) => (line.startsWith('local ') ? indices(line, use) : []));
    expect(used).toEqual(expected);
    expect(code.flatMap((line) => indices(line, use))).toEqual(expected);
    expect(code.join('\n').split(list)).toHaveLength(count + 1);
  });
});

function indices(line: string, pattern: RegExp): number[] {
  return [...line.matchAll(pattern)].map((match) => Number(match[1]));
}

describe('on a Redis', () => {
  const keys = createKeys('scripts:');
  let server: RedisServer;
  let client: Redis;
  let scriptsOf: ScriptCaller;

  beforeAll(async () => {
    server = await startRedis();
    client = await server.client();
    scriptsOf = await ScriptCaller.on(client);
  });
  afterAll(() => server.stop());

  const publish = (room: string, payload: string) =>
    scriptsOf.call(
      'publish',
      [keys.meta(room), keys.log(room), keys.once(room, 'u', 'k')],
      [payload, keys.channel(room), 'PUBLISH', 0, 5, 300, 86_400, `seed ${payload}`, 0],
    );
  const history = async (room: string, before: string | number, after: string | number, limit: number) => {
    const reply = await scriptsOf.call('history', [keys.meta(room), keys.log(room)], [before, after, limit]);
    const [epoch, top, entries, more] = reply as [string, string, [string, string[]][], string];
    return { epoch, top, page: entries?.map(([id]) => Number(id.split('-')[0])).join(' '), more };
  };

  test('SCRIPT LOAD answers the sha1 that we computed', async () => {
    for (const script of scripts.values())
      expect(await client.script('LOAD', script.source)).toBe(script.sha1);
  });

  test('history pages lie right before, right after, or at the end of what is kept', async () => {
    const room = 'pages';
    expect(await history(room, '', '', 3)).toMatchObject({ epoch: 'absent' });
    const [, position] = await publish(room, '1a');
    const epoch = String(position).split(':')[0];
    for (const payload of '1b 1c 1d 1e 1f 1g 1h 1i'.split(' ')) await publish(room, payload);
    // Nine were published and five are kept: 5 to 9.
    const told = { epoch, top: '9' };
    expect(await history(room, '', '', 3)).toEqual({ ...told, page: '7 8 9', more: '1' });
    expect(await history(room, '', '', 5)).toEqual({ ...told, page: '5 6 7 8 9', more: '0' });
    expect(await history(room, '', '', 100)).toEqual({ ...told, page: '5 6 7 8 9', more: '0' });
    expect(await history(room, 8, '', 2)).toEqual({ ...told, page: '6 7', more: '1' });
    expect(await history(room, 7, '', 2)).toEqual({ ...told, page: '5 6', more: '0' });
    expect(await history(room, 5, '', 2)).toEqual({ ...told, page: '', more: '0' });
    expect(await history(room, 1, '', 2)).toEqual({ ...told, page: '', more: '0' });
    expect(await history(room, 99, '', 2)).toEqual({ ...told, page: '8 9', more: '1' });
    expect(await history(room, '', 6, 2)).toEqual({ ...told, page: '7 8', more: '1' });
    expect(await history(room, '', 7, 2)).toEqual({ ...told, page: '8 9', more: '0' });
    expect(await history(room, '', 0, 2)).toEqual({ ...told, page: '5 6', more: '1' });
    expect(await history(room, '', 9, 2)).toEqual({ ...told, page: '', more: '0' });
    expect(await history(room, '', 99, 2)).toEqual({ ...told, page: '', more: '0' });
    await client.hset(keys.meta(room), 's', 7);
    expect(await history(room, '', '', 9)).toEqual({ epoch, top: '7', page: '5 6 7', more: '0' });
    expect(await history(room, '', 5, 9)).toEqual({ epoch, top: '7', page: '6 7', more: '0' });
  });

  test('connections are summed over the living, and the dead are forgotten', async () => {
    const partition = keys.partitionOf('@ann');
    const leases = [keys.live(partition), keys.dead(partition), keys.grace(partition)];
    const count = (incarnation: string, connections: number, deadline = 9e15) =>
      scriptsOf.call(
        'count-connections',
        [keys.live(partition), keys.connections('ann')],
        [incarnation, connections, 60, deadline],
      );
    expect(await count('a.1', 1)).toEqual(['fenced']);
    for (const incarnation of ['a.1', 'b.1', 'c.1'])
      await scriptsOf.call('heartbeat', leases, [incarnation, 1, 10_000, 0]);
    expect(await count('a.1', 2)).toEqual(['ok', 2]);
    expect(await count('b.1', 3)).toEqual(['ok', 5]);
    expect(await count('b.1', 1)).toEqual(['ok', 3]);
    expect(await count('c.1', 1)).toEqual(['ok', 4]);
    expect(await count('c.1', 9, 1)).toEqual(['expired']);
    await client.zrem(keys.live(partition), 'a.1');
    expect(await count('c.1', 0)).toEqual(['ok', 1]);
    expect(await client.hgetall(keys.connections('ann'))).toEqual({ 'b.1': '1' });
    expect(await client.ttl(keys.connections('ann'))).toBe(60);
    expect(await count('b.1', 0)).toEqual(['ok', 0]);
    expect(await client.exists(keys.connections('ann'))).toBe(0);
  });

  test('canaries count up and name the Redis that wrote them', async () => {
    const subscriber = await server.client();
    const heard: string[] = [];
    subscriber.on('messageBuffer', (_channel: Buffer, raw: Buffer) => heard.push(raw.toString()));
    await subscriber.subscribe(keys.canary());
    const canary = () => scriptsOf.call('canary', [keys.canary()], [keys.canary(), 'PUBLISH', 60]);
    const runId = /run_id:(\w+)/.exec(await subscriber.info('server'))?.[1];
    expect([await canary(), await canary()]).toEqual([
      [1, runId],
      [2, runId],
    ]);
    await subscriber.ping();
    expect(heard.map((text) => decodeEnvelope(Buffer.from(text)))).toEqual([
      { kind: 'canary', counter: 1, runId },
      { kind: 'canary', counter: 2, runId },
    ]);
    expect(await client.ttl(keys.canary())).toBe(60);
  });

  test('a primary that lost its replicas refuses the canary, which a plain PUBLISH would not show', async () => {
    await client.config('SET', 'min-replicas-to-write', '1');
    try {
      const canary = scriptsOf.call('canary', [keys.canary()], [keys.canary(), 'PUBLISH', 60]);
      await expect(canary).rejects.toThrow(/NOREPLICAS/);
      expect(await client.publish(keys.canary(), 'plain')).toBeGreaterThanOrEqual(0);
    } finally {
      await client.config('SET', 'min-replicas-to-write', '0');
    }
  });

  test('a full Redis refuses messages whole, and still reads, frees, beats and sends canaries', async () => {
    const room = 'full';
    const partition = keys.partitionOf(room);
    const leases = [keys.live(partition), keys.dead(partition), keys.grace(partition)];
    const member = [
      keys.live(partition),
      keys.presence(room, 'a.1'),
      keys.members(room),
      keys.rooms(partition, 'a.1'),
      keys.meta(room),
    ];
    await publish(room, '1x');
    await scriptsOf.call('heartbeat', leases, ['a.1', 1, 10_000, 0]);
    const hold = (user: string) =>
      scriptsOf.call('hold', member, [
        'a.1',
        user,
        '{}',
        0,
        room,
        keys.channel(room),
        'PUBLISH',
        86_400,
        9e15,
      ]);
    expect((await hold('ann'))[0]).toBe('ok');
    await client.config('SET', 'maxmemory', '1');
    try {
      await expect(publish(room, '1y')).rejects.toThrow(/OOM/);
      await expect(hold('bob')).rejects.toThrow(/OOM/);
      expect(await history(room, '', '', 5)).toMatchObject({ page: '1', top: '1' });
      const read = await scriptsOf.call('read', [keys.meta(room), keys.log(room)], ['', '', '', 5]);
      expect(read[0]).toBe('fresh');
      expect((await scriptsOf.call('heartbeat', leases, ['a.1', 0, 10_000, 0]))[0]).toBe(1);
      expect(
        (await scriptsOf.call('canary', [keys.canary()], [keys.canary(), 'PUBLISH', 60]))[0],
      ).toBeGreaterThan(0);
      const reason = ['left', room, keys.channel(room), 'PUBLISH', 86_400, 9e15];
      const [dropped, version] = await scriptsOf.call('drop', member, ['a.1', 'ann', ...reason]);
      expect(dropped).toBe('ok');
      const snapshot = await scriptsOf.call('snapshot', [keys.members(room), keys.meta(room)], [10]);
      expect(snapshot).toEqual([version, 0, []]);
    } finally {
      await client.config('SET', 'maxmemory', '0');
    }
  });
});
