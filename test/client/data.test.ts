/** What an application hands over that cannot be sent: it is told at the call, and harms nothing else. */
import { expect, test } from 'vitest';
import { RoomcastError } from '../../src/client/index.ts';
import { scripted } from './scripted-client.ts';

const cycle: Record<string, unknown> = {};
cycle['self'] = cycle;
const badData = expect.objectContaining({
  code: 'bad_request',
  message: expect.stringMatching(/JSON|serialize/),
});

test('what JSON cannot hold is refused at the call, and the client goes on', async () => {
  const { client, first } = await scripted();
  const room = client.join('lobby', { state: { mood: 'new' } });
  await first.welcome();
  await first.joined();
  await room.joined;
  await expect(room.setState(cycle as never)).rejects.toEqual(badData);
  await expect(room.setState({ n: 1n } as never)).rejects.toEqual(badData);
  await expect(room.publish(cycle)).rejects.toEqual(badData);
  await expect(room.signal(1n)).rejects.toEqual(badData);
  await expect(client.send('bob', cycle)).rejects.toEqual(badData);
  expect(() => client.join('other', { state: cycle as never })).toThrow(RoomcastError);
  const receipt = room.publish('still here');
  const publish = await first.next('publish');
  first.send({ type: 'ok', id: publish['id'], room: 'lobby', epoch: 'e.1', seq: 1 });
  expect(await receipt).toMatchObject({ seq: 1 });
  // The room that could not be joined is not half there.
  client.join('other');
  expect(await first.next('join')).not.toHaveProperty('state');
});

test('a signal of nothing is null, as a publish of nothing is: without data the frame is a bad one', async () => {
  const { client, first } = await scripted();
  const room = client.join('lobby');
  await first.welcome();
  await first.joined();
  await room.joined;
  room.signal(undefined).catch(() => undefined);
  expect(await first.next('signal')).toMatchObject({ data: null });
});

test('a state is what it was at the call, whatever the application does with its object afterwards', async () => {
  const { server, client, first } = await scripted();
  const mood: Record<string, unknown> = { mood: 'fine' };
  const room = client.join('lobby', { state: mood as never });
  mood['mood'] = cycle;
  await first.welcome();
  expect(await first.joined()).toMatchObject({ state: { mood: 'fine' } });
  await room.joined;
  const next: Record<string, unknown> = { mood: 'better' };
  room.setState(next as never).catch(() => undefined);
  next['mood'] = 1n;
  expect(await first.next('state')).toMatchObject({ state: { mood: 'better' } });
  first.socket.terminate();
  const second = await server.connection();
  await second.welcome();
  expect(await second.next('join')).toMatchObject({ state: { mood: 'better' } });
});
