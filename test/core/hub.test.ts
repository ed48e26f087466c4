import { describe, expect, it } from 'vitest';
import { Hub } from '../../src/core/hub.ts';
import { createFakeConnection, createSession, subscribe } from '../support/fake-connection.ts';

describe('the hub', () => {
  it('finds sessions by connection and counts them by user', () => {
    const hub = new Hub();
    const ann = createSession('ann');
    const annToo = createSession('ann');
    const bob = createSession('bob');
    for (const session of [ann, annToo, bob]) hub.add(session);
    expect(hub.connections).toBe(3);
    expect([hub.connectionsOf('ann'), hub.connectionsOf('bob'), hub.connectionsOf('eve')]).toEqual([2, 1, 0]);
    expect(hub.session(ann.id)).toBe(ann);
    expect([...hub.sessions()]).toEqual([ann, annToo, bob]);
  });

  it('lists the members of a room, and nobody for one it does not know', () => {
    const hub = new Hub();
    const ann = createSession('ann');
    hub.add(ann);
    const subscription = subscribe(hub, ann, 'r');
    expect([...hub.members('r')]).toEqual([subscription]);
    expect(hub.members('other').size).toBe(0);
    expect(ann.subscriptions.get('r')).toBe(subscription);
    expect(hub.rooms).toBe(1);
  });

  it('lets a second join of a session replace its first', () => {
    const hub = new Hub();
    const ann = createSession('ann');
    hub.add(ann);
    subscribe(hub, ann, 'r');
    const second = subscribe(hub, ann, 'r', 'none');
    expect([...hub.members('r')]).toEqual([second]);
    expect(ann.subscriptions.get('r')).toBe(second);
  });

  it('forgets a room with its last member', () => {
    const hub = new Hub();
    const ann = createSession('ann');
    const bob = createSession('bob');
    for (const session of [ann, bob]) {
      hub.add(session);
      subscribe(hub, session, 'r');
    }
    expect(hub.leave(ann, 'r')).toBe(true);
    expect(hub.leave(ann, 'r')).toBe(false);
    expect(hub.rooms).toBe(1);
    hub.leave(bob, 'r');
    expect(hub.rooms).toBe(0);
  });

  it('forgets a session at once, and each room it was in when that is left', () => {
    const hub = new Hub();
    const ann = createSession('ann');
    const bob = createSession('bob');
    for (const session of [ann, bob]) hub.add(session);
    for (const room of ['a', 'b']) subscribe(hub, ann, room);
    subscribe(hub, bob, 'b');
    hub.remove(ann);
    expect([hub.connections, hub.connectionsOf('ann')]).toEqual([1, 0]);
    expect(hub.session(ann.id)).toBeUndefined();
    // Its rooms are left one by one.
    expect([...ann.subscriptions.keys()]).toEqual(['a', 'b']);
    for (const room of ann.subscriptions.keys()) hub.leave(ann, room);
    expect([hub.rooms, ann.subscriptions.size]).toEqual([1, 0]);
    hub.remove(ann);
    expect(hub.connections).toBe(1);
  });

  it('does not mistake one connection for another of the same user', () => {
    const hub = new Hub();
    const first = createSession('ann');
    const second = createSession('ann');
    for (const session of [first, second]) {
      hub.add(session);
      subscribe(hub, session, 'r');
    }
    hub.remove(first);
    hub.leave(first, 'r');
    expect([...hub.members('r')].map((member) => member.session)).toEqual([second]);
    expect(hub.connectionsOf('ann')).toBe(1);
    expect(createFakeConnection().id).not.toBe(createFakeConnection().id);
  });
});
