import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Redis } from 'ioredis';
import { batchOutcomes, failedOutcome, valueOf, type Outcome } from '../../../src/broker/redis/outcome.ts';
import { judgeErrorReply } from '../../../src/broker/redis/reply-error.ts';
import { startRedis, type RedisServer } from '../../support/redis-server.ts';

const reply = (value: unknown): Outcome => ({ kind: 'reply', value });
const error = (message: string): Outcome => ({ kind: 'error', verdict: judgeErrorReply(message), message });
const lost: Outcome = { kind: 'lost', message: 'gone' };

function replyError(message: string): Error {
  return Object.assign(new Error(message), { name: 'ReplyError' });
}

describe('the outcome of a command', () => {
  it('is `unavailable` where nothing ran and `unknown_outcome` where something may have', () => {
    const code = (outcome: Outcome) => {
      try {
        return valueOf(outcome);
      } catch (thrown) {
        return (thrown as { code: string }).code;
      }
    };
    expect(code(reply(7))).toBe(7);
    expect(code({ kind: 'not_sent', message: '' })).toBe('unavailable');
    expect(code(error('OOM command not allowed'))).toBe('unavailable');
    expect(code(lost)).toBe('unknown_outcome');
    expect(code(error(`ERR boo script: ${'a'.repeat(40)}, on @user_script:2.`))).toBe('unknown_outcome');
  });

  it('of a batch is told by EXEC, call by call', () => {
    const answers = [
      reply('OK'),
      reply('QUEUED'),
      reply('QUEUED'),
      reply(['one', replyError('NOSCRIPT No')]),
    ];
    expect(batchOutcomes(answers)).toEqual([reply('one'), error('NOSCRIPT No')]);
  });

  it('of an aborted batch is why it was aborted, for all of its calls', () => {
    const answers = [reply('OK'), reply('QUEUED'), error('OOM no'), error('EXECABORT Transaction discarded')];
    expect(batchOutcomes(answers)).toEqual([error('OOM no'), error('OOM no')]);
  });

  it('of a batch whose EXEC was not answered is unknown, also where the calls were queued', () => {
    expect(batchOutcomes([reply('OK'), reply('QUEUED'), lost])).toEqual([lost]);
  });

  it('is that of each call by itself where MULTI is not allowed', () => {
    const answers = [error('NOPERM multi'), reply('one'), lost, error('ERR EXEC without MULTI')];
    expect(batchOutcomes(answers)).toEqual([reply('one'), lost]);
  });
});

describe('an error reply of a real Redis', () => {
  let server: RedisServer;
  let client: Redis;
  beforeAll(async () => {
    server = await startRedis();
    client = await server.client();
  });
  afterAll(() => server.stop());

  async function verdict(...command: [string, ...string[]]): Promise<unknown> {
    try {
      return await client.call(...command);
    } catch (thrown) {
      const outcome = failedOutcome(thrown);
      return outcome.kind === 'error' ? outcome.verdict : outcome.kind;
    }
  }
  const INCREMENT = '#!lua\nreturn redis.call("incr", KEYS[1])';

  it('says that a script was missing', async () => {
    expect(await verdict('evalsha', 'a'.repeat(40), '0')).toBe('no_script');
  });

  it('says that a script began, where it failed on the way', async () => {
    await client.set('text', 'abc');
    expect(await verdict('eval', INCREMENT, '1', 'text')).toBe('perhaps_applied');
    expect(await verdict('eval', '#!lua\nerror("boo")', '0')).toBe('perhaps_applied');
  });

  it('says that nothing ran over maxmemory', async () => {
    await client.config('SET', 'maxmemory', '1');
    expect(await verdict('eval', INCREMENT, '1', 'number')).toBe('refused');
    await client.config('SET', 'maxmemory', '0');
    expect(await client.exists('number')).toBe(0);
  });

  it('says that this Redis takes no writes', async () => {
    await client.config('SET', 'min-replicas-to-write', '1');
    expect(await verdict('eval', INCREMENT, '1', 'number')).toBe('topology');
    await client.config('SET', 'min-replicas-to-write', '0');
    await client.replicaof('127.0.0.1', 1);
    expect(await verdict('eval', INCREMENT, '1', 'number')).toBe('topology');
    await client.replicaof('NO', 'ONE');
  });
});
