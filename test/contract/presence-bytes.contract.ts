/** Names and states survive the store character by character. Part of the presence contract. */
import { describe, expect, it } from 'vitest';
import { watchedRoom } from './presence-replay.ts';
import type { FixtureOf } from './store-fixture.ts';
import { caughtUp } from './store-fixture.ts';

/** Above any room of these suites. */
const ALL = 10_000;

export function describePresenceBytes(fixture: FixtureOf): void {
  describe('names and states', () => {
    it.each([
      ['unicode', '{"name":"жук ☃ 😀 \u2028"}'],
      ['escapes', '{"a":"\\u0000\\n\\"\\\\ \\ud83d\\ude00"}'],
      ['white space and line breaks', '{\n  "a" : 1 ,\r\n\t"b":"c d"\n}\n'],
      ['characters that formats take for theirs', '{"%s":"%d %%","{rc1}":"$1","a:b":[1,2;3]}'],
      ['4 KB', `{"a":"${'x'.repeat(4_088)}"}`],
      ['numbers as they were written', '{"a":1.0,"b":1e2,"c":12345678901234567890,"a":2}'],
    ])('keeps a state character by character: %s', async (_, state) => {
      const { presence, heard } = fixture();
      const room = await watchedRoom(fixture());
      await presence.hold(room, 'joined with it', state, false);
      await presence.hold(room, 'updated to it', '{}', false);
      await presence.hold(room, 'updated to it', state, true);
      const before = await presence.snapshot(room, ALL);
      expect(before.members?.map((member) => member.state)).toEqual([state, state]);
      // Held again by a second connection: neither a change nor a loss.
      expect(await presence.hold(room, 'updated to it', state, true)).toBe(before.version);
      await caughtUp(fixture());
      const told = heard.changes(room).map((change) => (change.kind === 'left' ? null : change.member.state));
      expect(told).toEqual([state, '{}', state]);
    });

    it('keeps users apart whatever their names contain', async () => {
      const { presence, heard } = fixture();
      const room = await watchedRoom(fixture());
      const users = [
        'ann',
        'Ann',
        'ann ',
        ' ann',
        'a:n',
        '%',
        '%25',
        'жук ☃ 😀',
        '"quoted"',
        '\\',
        '[a]*?',
        '0',
        '__proto__',
        'u'.repeat(128),
      ];
      for (const user of users) await presence.hold(room, user, JSON.stringify({ user }), false);
      const { members } = await presence.snapshot(room, ALL);
      expect(members?.map(({ user }) => user).toSorted()).toEqual(users.toSorted());
      for (const member of members ?? []) expect(JSON.parse(member.state)).toEqual({ user: member.user });
      for (const user of users) await presence.drop(room, user, 'left');
      expect(await presence.snapshot(room, ALL)).toMatchObject({ count: 0, members: [] });
      await caughtUp(fixture());
      const left = heard.changes(room).flatMap((change) => (change.kind === 'left' ? change.users : []));
      expect(left).toEqual(users);
    });
  });
}
