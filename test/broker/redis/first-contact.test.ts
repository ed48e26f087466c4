import { expect, it } from 'vitest';
import { FirstContact, SAID_EVERY_MS } from '../../../src/broker/redis/first-contact.ts';
import { createFakeClock } from '../../support/fake-clock.ts';
import { createRecordingLogger } from '../../support/recording-logger.ts';

it('a Redis that was never there is told at once, for both links together, and every half a minute', () => {
  const clock = createFakeClock();
  const logger = createRecordingLogger();
  const target = { host: 'redis.example', port: 6379, username: 'app', password: 'hush', tls: true };
  const contact = new FirstContact({ target, clock, logger });
  for (let second = 0; second < 70; second += 1) {
    contact.failed('commands', 'ECONNREFUSED');
    contact.failed('subscriber', 'ECONNREFUSED');
    clock.advance(1_000);
  }
  const warned = logger.lines.filter(({ level }) => level === 'warn');
  expect(warned.map(({ fields }) => [fields['attempts'], fields['forMs']])).toEqual([
    [1, 0],
    [31, SAID_EVERY_MS],
    [61, 2 * SAID_EVERY_MS],
  ]);
  expect(warned[0]).toEqual({
    level: 'warn',
    message: 'Redis cannot be reached yet, trying again',
    fields: {
      link: 'commands',
      redis: 'rediss://redis.example:6379/0',
      reason: 'ECONNREFUSED',
      attempts: 1,
      forMs: 0,
    },
  });
  expect(JSON.stringify(logger.lines)).not.toContain('hush');
});

it('a link that alone never works is told, too', () => {
  const logger = createRecordingLogger();
  const contact = new FirstContact({
    target: { host: 'h', port: 1 },
    clock: createFakeClock(),
    logger,
  });
  contact.failed('subscriber', 'NOPERM');
  expect(logger.lines).toMatchObject([{ level: 'warn', fields: { link: 'subscriber', reason: 'NOPERM' } }]);
});
