import { describe, expect, it } from 'vitest';
import { Session } from '../../src/core/session.ts';
import { createFakeConnection } from '../support/fake-connection.ts';

const LIMITS = {
  limitPublishPerSecond: 10,
  limitPublishBurst: 2,
  limitJoinsPerSecond: 5,
  limitJoinsBurst: 1,
};

describe('a session', () => {
  it('has the id of its connection', () => {
    const connection = createFakeConnection();
    const session = new Session(connection, 'ann', true, LIMITS, 0);
    expect([session.id, session.user, session.named]).toEqual([connection.id, 'ann', true]);
  });

  it('has budgets of its own for publishes and joins', () => {
    const session = new Session(createFakeConnection(), 'ann', true, LIMITS, 0);
    expect([session.publishes.take(0), session.publishes.take(0), session.publishes.take(0)]).toEqual([
      0, 0, 100,
    ]);
    expect([session.joins.take(0), session.joins.take(0)]).toEqual([0, 200]);
  });

  it('fills its budgets from the moment it began, not from the start of time', () => {
    const session = new Session(createFakeConnection(), 'ann', true, LIMITS, 5_000);
    session.joins.take(5_000);
    expect(session.joins.take(5_000)).toBe(200);
  });
});
