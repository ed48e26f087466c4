/** What an operator can follow at `debug`: who came, which rooms they are in, which rooms the node hears. */
import { expect, test } from 'vitest';
import { createNodeFixture } from '../support/node-fixture.ts';

test('connections and rooms are told at debug, and nothing that was said in them', async () => {
  const { hello, connect, advance, settle, logger } = createNodeFixture();
  const ann = await hello('ann');
  await ann.join('r', { state: { secret: 'state' } });
  await ann.publish('r', 'secret data', { key: 'secret key' });
  const bob = connect();
  bob.say({ type: 'hello', user: 'bob', inbox: true });
  await settle();
  await bob.join('r');
  ann.say({ type: 'leave', room: 'r' });
  bob.drop();
  await advance(60_000);

  const told = logger.lines.filter(({ level }) => level === 'debug');
  const [annId, bobId] = [ann.id, bob.id];
  expect(told.map(({ message, fields }) => [message, fields['connection'], fields['room']])).toEqual([
    ['hello', annId, undefined],
    ['room heard', undefined, 'r'],
    ['room joined', annId, 'r'],
    ['hello', bobId, undefined],
    ['room heard', undefined, '@bob'],
    ['inbox joined', bobId, '@bob'],
    ['room joined', bobId, 'r'],
    ['room left', annId, 'r'],
    ['room left by a closed connection', bobId, '@bob'],
    ['room left by a closed connection', bobId, 'r'],
    ['room no longer heard', undefined, '@bob'],
    ['room no longer heard', undefined, 'r'],
  ]);
  expect(told[2]?.fields).toMatchObject({ user: 'ann', seq: 0 });
  expect(JSON.stringify(logger.lines)).not.toContain('secret');
});
