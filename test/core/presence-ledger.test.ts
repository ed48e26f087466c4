import { describe, expect, it } from 'vitest';
import { type Holding, NO_STATE, PresenceLedger } from '../../src/core/presence-ledger.ts';

/** As the writer does once the store has it. */
function written(holding: Holding | undefined): void {
  if (!holding) return;
  holding.dirty = false;
  holding.stated = false;
}

describe('the presence ledger', () => {
  it('hears of a snapshot what was set elsewhere, but not what is older than its own', () => {
    const ledger = new PresenceLedger();
    const holding = ledger.enter('r', 'ann', '{"n":1}');
    written(holding);
    holding.version = 100;
    const told = (version: number, state: string) => {
      const members = [
        { user: 'ann', state, since: 1 },
        { user: 'nobody here', state, since: 1 },
      ];
      ledger.heardSnapshot('r', { version, count: 2, members });
      return holding.state;
    };
    expect(told(99, '{"n":0}')).toBe('{"n":1}');
    expect(told(100, '{"n":2}')).toBe('{"n":2}');
    ledger.heardSnapshot('r', { version: 200, count: 5000 });
    // Left and came back: the state ended with the membership, and the snapshot may be of before.
    ledger.leave('r', 'ann', 'left');
    ledger.enter('r', 'ann', undefined);
    expect(told(101, '{"n":2}')).toBe(NO_STATE);
    // In a rebuild all are to be written again, and whatever is newest is right.
    ledger.markAllDirty();
    expect(told(102, '{"n":3}')).toBe('{"n":3}');
  });

  it('keeps apart who is held in a room, from the first one to the last', () => {
    const ledger = new PresenceLedger();
    const ann = ledger.enter('r', 'ann', undefined);
    expect([ledger.get('r', 'bob'), ledger.get('s', 'ann')]).toEqual([undefined, undefined]);
    const bob = ledger.enter('r', 'bob', undefined);
    expect([ledger.get('r', 'ann'), ledger.get('r', 'bob')]).toEqual([ann, bob]);
    expect([...ledger.present('r')]).toEqual(['ann', 'bob']);
    ledger.forget(ann);
    expect([ledger.get('r', 'ann'), ledger.get('r', 'bob')]).toEqual([undefined, bob]);
    // Forgotten already, and somebody else is there.
    ledger.forget(ann);
    expect([...ledger.present('r')]).toEqual(['bob']);
    ledger.forget(bob);
    expect([[...ledger.rooms()], [...ledger.present('r')]]).toEqual([[], []]);
  });

  it('is dirty at the first connection of a user, not at the next ones', () => {
    const ledger = new PresenceLedger();
    const holding = ledger.enter('r', 'ann', undefined);
    expect(holding).toMatchObject({ connections: 1, dirty: true, state: NO_STATE, stated: false });
    written(holding);
    expect(ledger.enter('r', 'ann', undefined)).toBe(holding);
    expect(holding).toMatchObject({ connections: 2, dirty: false });
  });

  it('drops the user with the last connection that leaves', () => {
    const ledger = new PresenceLedger();
    const holding = ledger.enter('r', 'ann', undefined);
    ledger.enter('r', 'ann', undefined);
    written(holding);
    ledger.leave('r', 'ann', 'left');
    expect(holding).toMatchObject({ connections: 1, dirty: false, leaving: undefined });
    ledger.leave('r', 'ann', 'kicked');
    expect(holding).toMatchObject({ connections: 0, dirty: true, leaving: 'kicked' });
    expect(ledger.present('r').size).toBe(0);
  });

  it('holds the user when the last connection closes, and drops it when the hold ends', () => {
    const ledger = new PresenceLedger();
    const holding = ledger.enter('r', 'ann', '{"a":1}');
    written(holding);
    ledger.close('r', 'ann', 5_000);
    expect(holding).toMatchObject({ connections: 0, dirty: false, heldUntilMs: 5_000 });
    expect([...ledger.present('r')]).toEqual(['ann']);
    ledger.expire(holding);
    expect(holding).toMatchObject({ dirty: true, leaving: 'closed', heldUntilMs: undefined });
  });

  it('shows nothing to the store when the user is back within the hold, its state unchanged', () => {
    const ledger = new PresenceLedger();
    const holding = ledger.enter('r', 'ann', '{"a":1}');
    written(holding);
    ledger.close('r', 'ann', 5_000);
    ledger.enter('r', 'ann', undefined);
    expect(holding).toMatchObject({ connections: 1, dirty: false, state: '{"a":1}', heldUntilMs: undefined });
    ledger.expire(holding);
    expect(holding).toMatchObject({ connections: 1, leaving: undefined });
  });

  it('ends nobody with a hold while another connection of the user is there', () => {
    const ledger = new PresenceLedger();
    const holding = ledger.enter('r', 'ann', undefined);
    ledger.enter('r', 'ann', undefined);
    written(holding);
    ledger.close('r', 'ann', 5_000);
    ledger.expire(holding);
    expect(holding).toMatchObject({ connections: 1, dirty: false, heldUntilMs: undefined });
    ledger.leave('r', 'ann', 'left');
    expect(holding).toMatchObject({ connections: 0, leaving: 'left' });
  });

  it('lets a leave end nothing while the place of another connection is held', () => {
    // One tab is reloaded and the other leaves meanwhile: on two nodes nothing of that was seen, on one a `left`.
    const ledger = new PresenceLedger();
    const holding = ledger.enter('r', 'ann', undefined);
    ledger.enter('r', 'ann', undefined);
    written(holding);
    ledger.close('r', 'ann', 5_000);
    ledger.leave('r', 'ann', 'left');
    expect(holding).toMatchObject({ connections: 0, dirty: false, leaving: undefined, heldUntilMs: 5_000 });
    ledger.expire(holding);
    expect(holding).toMatchObject({ dirty: true, leaving: 'closed' });
  });

  it('lets a kick end membership whoever is being held', () => {
    const ledger = new PresenceLedger();
    const holding = ledger.enter('r', 'ann', undefined);
    ledger.enter('r', 'ann', undefined);
    ledger.close('r', 'ann', 5_000);
    ledger.leave('r', 'ann', 'kicked');
    expect(holding).toMatchObject({ connections: 0, leaving: 'kicked', heldUntilMs: undefined });
  });

  it('takes who left and comes back for new: the state ended with the membership', () => {
    const ledger = new PresenceLedger();
    const holding = ledger.enter('r', 'ann', '{"a":1}');
    written(holding);
    ledger.leave('r', 'ann', 'left');
    expect(ledger.enter('r', 'ann', undefined)).toMatchObject({
      connections: 1,
      dirty: true,
      leaving: undefined,
      state: NO_STATE,
    });
  });

  it('forgets with the membership that a state was to be written', () => {
    // The user stated, left before the store was told, and came back without a state. Written as "stated",
    // the empty state would replace the one that the user has through another node.
    const ledger = new PresenceLedger();
    const holding = ledger.enter('r', 'ann', '{"a":1}');
    ledger.leave('r', 'ann', 'left');
    ledger.enter('r', 'ann', undefined);
    expect(holding).toMatchObject({ state: NO_STATE, stated: false, dirty: true });
  });

  it('keeps the last of several states', () => {
    const ledger = new PresenceLedger();
    const holding = ledger.enter('r', 'ann', '{"a":1}');
    ledger.state(holding, '{"a":2}');
    expect(holding).toMatchObject({ state: '{"a":2}', stated: true, dirty: true });
    expect(ledger.enter('r', 'ann', '{"a":3}').state).toBe('{"a":3}');
  });

  it('learns a state set through another node, unless an own one is still to be written', () => {
    const ledger = new PresenceLedger();
    const holding = ledger.enter('r', 'ann', undefined);
    ledger.heardState('r', 'ann', '{"far":1}');
    expect(holding).toMatchObject({ state: '{"far":1}', stated: false });
    ledger.state(holding, '{"near":1}');
    ledger.heardState('r', 'ann', '{"far":2}');
    expect(holding.state).toBe('{"near":1}');
    ledger.heardState('r', 'nobody', '{}');
    expect(ledger.get('r', 'nobody')).toBeUndefined();
  });

  it('ignores a leave or close of somebody it does not have', () => {
    const ledger = new PresenceLedger();
    expect(ledger.leave('r', 'ann', 'left')).toBeUndefined();
    expect(ledger.close('r', 'ann', 1)).toBeUndefined();
    const holding = ledger.enter('r', 'ann', undefined);
    ledger.leave('r', 'ann', 'left');
    expect(ledger.leave('r', 'ann', 'left')).toBeUndefined();
    expect(holding.connections).toBe(0);
  });

  it('marks everything dirty for a rebuild, those in their hold included, and calls no state changed', () => {
    const ledger = new PresenceLedger();
    const ann = ledger.enter('r', 'ann', '{"a":1}');
    const bob = ledger.enter('s', 'bob', undefined);
    for (const holding of [ann, bob]) written(holding);
    ledger.close('s', 'bob', 5_000);
    expect(ledger.markAllDirty()).toEqual([ann, bob]);
    expect(ann).toMatchObject({ dirty: true, stated: false });
    expect(bob).toMatchObject({ dirty: true, stated: false });
    expect([...ledger.rooms()]).toEqual(['r', 's']);
  });

  it('forgets a holding, but never a newer one of the same name', () => {
    const ledger = new PresenceLedger();
    const old = ledger.enter('r', 'ann', undefined);
    ledger.forget(old);
    expect([...ledger.rooms()]).toEqual([]);
    const next = ledger.enter('r', 'ann', undefined);
    ledger.forget(old);
    expect(ledger.get('r', 'ann')).toBe(next);
  });
});
