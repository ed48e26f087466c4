/** What a window costs: a frame is made where somebody wants it, and each is one look at every member of the room. */
import { describe, expect, it } from 'vitest';
import { Hub } from '../../src/core/hub.ts';
import type { PresenceSegment } from '../../src/core/presence-replica.ts';
import type { PresenceMode, Subscription } from '../../src/core/session.ts';
import type { Appended } from '../../src/node/fan-out.ts';
import { PresenceFrames } from '../../src/node/presence-frames.ts';
import { createSession, subscribe } from '../support/fake-connection.ts';

interface Told {
  readonly frame: Record<string, unknown>;
  readonly to: Subscription[];
}

function begin() {
  const hub = new Hub();
  const told: Told[] = [];
  const append = (room: string, frame: Buffer, { audience }: Appended = {}): void => {
    const json = frame.subarray(frame.indexOf('{')).toString();
    const to = [...hub.members(room)].filter((member) => audience?.(member) !== false);
    told.push({ frame: JSON.parse(json) as Record<string, unknown>, to });
  };
  const member = (presence: PresenceMode, presenceFrom: number): Subscription => {
    const session = createSession(`user-${hub.connections}`);
    hub.add(session);
    const subscription = subscribe(hub, session, 'r', presence);
    subscription.presenceFrom = presenceFrom;
    return subscription;
  };
  return { frames: new PresenceFrames(hub, { append }), told, member };
}

/** One join each, from version 1 on, each sealed for the joiner. */
function joins(count: number): PresenceSegment[] {
  return Array.from({ length: count }, (_, nth) => {
    const user = `joiner-${nth}`;
    const joined = new Map([[user, { user, state: '{}', since: 1 }]]);
    return {
      previous: nth + 1,
      version: nth + 2,
      count: nth + 1,
      joined,
      left: new Map(),
      updated: new Map(),
    };
  });
}

describe('the frames of a window', () => {
  it('are none where nobody wants any', () => {
    const { frames, told, member } = begin();
    member('none', 1);
    frames.tellWindow('r', joins(50), false);
    frames.tellWindow('r', joins(50), true);
    frames.tellSnapshot('r', { version: 1, count: 1, members: [] });
    expect(told).toEqual([]);
  });

  it('of a snapshot are one for those who list members, one for those who count, and none for nobody', () => {
    const snapshot = { version: 9, count: 1, members: [{ user: 'ann', state: '{}', since: 1 }] };
    for (const [mode, isListed] of [
      ['full', true],
      ['count', false],
    ] as const) {
      const { frames, told, member } = begin();
      const only = member(mode, 1);
      frames.tellSnapshot('r', snapshot);
      expect(told.map(({ to }) => to)).toEqual([[only]]);
      expect(told.map(({ frame }) => 'members' in frame)).toEqual([isListed]);
    }
  });

  it('are one count for who wants counts, however many joined and whenever it joined itself', () => {
    const { frames, told, member } = begin();
    const members = [member('count', 1), member('none', 1), member('count', 20)];
    frames.tellWindow('r', joins(50), false);
    expect(told).toMatchObject([{ frame: { version: 51, count: 50 } }]);
    expect(told[0]?.to).toEqual([members[0], members[2]]);
  });

  it('are one count for everybody where the room is too big to tell who', () => {
    // A frame for each joiner, looked at for every member, was a fifth of what 5,000 joins into one room cost.
    const { frames, told, member } = begin();
    const [counts, lists] = [member('count', 1), member('full', 20)];
    frames.tellWindow('r', joins(50), true);
    expect(told.map(({ to }) => to)).toEqual([[counts], [lists]]);
    expect(told.map(({ frame }) => frame['count'])).toEqual([50, 50]);
  });

  it('are no count where only states changed', () => {
    const { frames, told, member } = begin();
    member('count', 1);
    const updated = new Map([['ann', { user: 'ann', state: '{"n":1}', since: 1 }]]);
    const segment = { previous: 1, version: 2, count: 3, joined: new Map(), left: new Map(), updated };
    frames.tellWindow('r', [segment], false);
    frames.tellWindow('r', [segment], true);
    expect(told).toEqual([]);
  });

  it('are one diff for who was there, and for who joined within the window those behind its reply', () => {
    const { frames, told, member } = begin();
    const [before, third] = [member('full', 1), member('full', 4)];
    frames.tellWindow('r', joins(5), false);
    const given = (to: Subscription) => told.filter((one) => one.to.includes(to)).map(({ frame }) => frame);
    expect(given(before)).toMatchObject([{ previous: 1, version: 6, count: 5 }]);
    // Its own is told to it as well: of the version that it holds, so it changes nothing.
    expect(given(third).map(({ version }) => version)).toEqual([4, 5, 6]);
  });
});
