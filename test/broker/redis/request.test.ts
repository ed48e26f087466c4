import { Redis } from 'ioredis';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Argument } from '../../../src/broker/redis/commands.ts';
import type { Outcome } from '../../../src/broker/redis/outcome.ts';
import { Request, type ReplyEncoding } from '../../../src/broker/redis/request.ts';
import { commandWire } from '../../../src/broker/redis/wire-text.ts';
import { startRedis, type RedisServer } from '../../support/redis-server.ts';

let server: RedisServer;
let redis: Redis;
beforeAll(async () => {
  server = await startRedis();
  redis = new Redis(server.port, '127.0.0.1');
  await redis.ping();
});
afterAll(async () => {
  redis.disconnect();
  await server.stop();
});

function asked(name: string, args: readonly Argument[], encoding: ReplyEncoding = 'utf8'): Promise<Outcome> {
  return new Promise((resolve) => {
    const request = new Request(name, args, commandWire(name, args), encoding, 0, resolve);
    void redis.sendCommand(request.asCommand);
  });
}

describe('a request in the place of a command, through the pinned ioredis to a real Redis', () => {
  it('is answered with text, or with bytes', async () => {
    expect(await asked('echo', ['häuser'])).toEqual({ kind: 'reply', value: 'häuser' });
    const bytes = Buffer.from([0xff, 0x0d, 0x0a, 0x00]);
    expect(await asked('echo', [bytes], 'buffer')).toEqual({ kind: 'reply', value: bytes });
  });

  it('is answered with nested arrays, numbers and nothing', async () => {
    const script = "return {1, {'a', {}}, false}";
    expect(await asked('eval', [script, '0'])).toEqual({ kind: 'reply', value: [1, ['a', []], null] });
  });

  it('tells an error reply as one', async () => {
    expect(await asked('evalsha', ['0'.repeat(40), '0'])).toMatchObject({
      kind: 'error',
      verdict: 'no_script',
    });
  });

  it('keeps its place among others, inside a transaction too', async () => {
    const answers = await Promise.all([
      asked('multi', []),
      asked('set', ['request', '1']),
      asked('incr', ['request']),
      asked('exec', []),
      asked('get', ['request']),
    ]);
    expect(answers.map((answer) => (answer.kind === 'reply' ? answer.value : answer))).toEqual([
      'OK',
      'QUEUED',
      'QUEUED',
      ['OK', 2],
      '2',
    ]);
  });

  it('subscribes to several channels with one answer, and the connection still answers', async () => {
    expect(await asked('subscribe', ['a', 'b', 'c'])).toEqual({ kind: 'reply', value: 3 });
    expect(await asked('unsubscribe', ['a', 'b'])).toEqual({ kind: 'reply', value: 1 });
    expect(await asked('ping', [])).toEqual({ kind: 'reply', value: 'PONG' });
  });

  it('is settled once, whatever comes later', () => {
    const outcomes: Outcome[] = [];
    const request = new Request('ping', [], '', 'utf8', 0, (outcome) => outcomes.push(outcome));
    request.settle({ kind: 'lost', message: 'cut' });
    request.resolve('PONG');
    request.reject(new Error('late'));
    expect(outcomes).toEqual([{ kind: 'lost', message: 'cut' }]);
  });
});
