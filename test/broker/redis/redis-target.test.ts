import { describe, expect, it } from 'vitest';
import { connectionOptions, maskedAddress } from '../../../src/broker/redis/redis-target.ts';

const secret = { host: 'cache', port: 6380, username: 'mallory', password: 'sesame', db: 2 };

describe('a Redis target', () => {
  it('is named in logs without credentials', () => {
    expect(maskedAddress(secret)).toBe('redis://cache:6380/2');
    expect(maskedAddress({ host: '::1', port: 1, tls: true })).toBe('rediss://[::1]:1/0');
  });

  it('is connected to once, without anything that could repeat a command or a subscription', () => {
    const options = connectionOptions(secret);
    expect(options).toMatchObject({
      username: 'mallory',
      password: 'sesame',
      maxRetriesPerRequest: 0,
      autoResendUnfulfilledCommands: false,
      autoResubscribe: false,
      enableOfflineQueue: false,
    });
    expect(options.retryStrategy?.(1)).toBeNull();
    expect(options.tls).toBeUndefined();
    // Selected by the link itself: ioredis goes on where it is refused.
    expect(options.db).toBeUndefined();
  });

  it('is spoken to in TLS where asked', () => {
    expect(connectionOptions({ ...secret, tls: true }).tls).toEqual({});
    expect(connectionOptions({ ...secret, tls: { ca: 'PEM' } }).tls).toEqual({ ca: 'PEM' });
    expect(connectionOptions({ ...secret, tls: false }).tls).toBeUndefined();
  });
});
