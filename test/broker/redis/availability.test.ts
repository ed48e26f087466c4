import { beforeEach, describe, expect, it } from 'vitest';
import {
  Availability,
  COMMANDS_PATIENCE_MS,
  SUBSCRIBER_PATIENCE_MS,
} from '../../../src/broker/redis/availability.ts';
import { createFakeClock, type FakeClock } from '../../support/fake-clock.ts';
import { createRecordingLogger, type RecordingLogger } from '../../support/recording-logger.ts';

describe('availability', () => {
  let clock: FakeClock;
  let logger: RecordingLogger;
  let told: string[];
  let availability: Availability;
  beforeEach(() => {
    clock = createFakeClock();
    logger = createRecordingLogger();
    told = [];
    availability = new Availability({
      clock,
      logger,
      address: 'redis://here:6379/0',
      changed: (status) => told.push(status),
    });
  });

  function bothUp(): void {
    availability.set('commands', true);
    availability.set('subscriber', true);
  }

  it('begins down without telling anybody, and is up once both links work', () => {
    expect(availability.status).toBe('down');
    clock.advance(60_000);
    availability.set('commands', true);
    expect(told).toEqual([]);
    availability.set('subscriber', true);
    expect(told).toEqual(['up']);
  });

  it('says nothing of a blip', () => {
    bothUp();
    availability.set('commands', false);
    availability.set('subscriber', false);
    clock.advance(COMMANDS_PATIENCE_MS - 1);
    bothUp();
    clock.advance(60_000);
    expect(told).toEqual(['up']);
  });

  it('is down when the commands link is away for longer, and up when both are back', () => {
    bothUp();
    availability.set('commands', false);
    clock.advance(COMMANDS_PATIENCE_MS);
    expect(told).toEqual(['up', 'down']);
    availability.set('commands', true);
    expect(told).toEqual(['up', 'down', 'up']);
  });

  it('bears the absence of the subscriber alone for three seconds', () => {
    bothUp();
    availability.set('subscriber', false);
    clock.advance(SUBSCRIBER_PATIENCE_MS - 1);
    expect(told).toEqual(['up']);
    clock.advance(1);
    expect(told).toEqual(['up', 'down']);
  });

  it('does not forget the absence of one link because the other came back', () => {
    bothUp();
    availability.set('commands', false);
    availability.set('subscriber', false);
    clock.advance(100);
    availability.set('subscriber', true);
    clock.advance(COMMANDS_PATIENCE_MS - 100);
    expect(told).toEqual(['up', 'down']);
  });

  it('writes one line per change', () => {
    bothUp();
    availability.set('commands', false);
    clock.advance(10_000);
    bothUp();
    expect(logger.lines.map(({ level, message }) => [level, message.slice(0, 8)])).toEqual([
      ['info', 'Redis is'],
      ['warn', 'Redis is'],
      ['info', 'Redis is'],
    ]);
  });
});
