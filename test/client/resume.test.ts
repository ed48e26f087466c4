/** What the SDK says and hands on when connections end and streams break, against a server that says what a test wants. */
import { expect, test } from 'vitest';
import { scripted } from './scripted-client.ts';

const message = (seq: number, more: Record<string, unknown> = {}) => ({
  type: 'message',
  room: 'lobby',
  seq,
  ts: 1_000 + seq,
  data: seq,
  ...more,
});
const stored = (seq: number, more: Record<string, unknown> = {}) => {
  const { type: _type, room: _room, ...rest } = message(seq, more);
  return rest;
};

test('a lost connection is resumed from the position of the subscription, each message once and in order', async () => {
  const { server, client, first } = await scripted({ user: 'ann' });
  const room = client.join<number>('lobby');
  const seen: number[] = [];
  const recovered: number[] = [];
  room.on('message', ({ data }) => seen.push(data));
  room.on('recovered', ({ messages }) => recovered.push(messages));
  await first.welcome();
  await first.joined({ seq: 3 }, message(4), message(4), message(5));
  await expect.poll(() => seen).toEqual([4, 5]);
  first.socket.terminate();
  const second = await server.connection();
  // Pipelined: nothing was answered yet.
  expect(await second.next('hello')).toMatchObject({ user: 'ann' });
  const join = await second.next('join');
  expect(join).toMatchObject({ room: 'lobby', since: { epoch: 'e.1', seq: 5 } });
  expect(join).not.toHaveProperty('history');
  second.send(
    {
      type: 'joined',
      id: join['id'],
      room: 'lobby',
      epoch: 'e.1',
      seq: 7,
      recovered: true,
      messages: [5, 6, 7].map((n) => stored(n)),
    },
    message(7),
    message(8),
  );
  await expect.poll(() => seen).toEqual([4, 5, 6, 7, 8]);
  expect(recovered).toEqual([2]);
  expect(room.position).toEqual({ epoch: 'e.1', seq: 8 });
});

test('a break is told with its reason before what follows it, and the position moves there', async () => {
  const { client, first } = await scripted();
  const room = client.join<number>('lobby');
  const told: unknown[] = [];
  room.on('message', ({ data, epoch }) => told.push([epoch, data]));
  room.on('reset', (reset) => told.push(reset));
  await first.welcome();
  await first.joined(
    { seq: 2 },
    { type: 'reset', room: 'lobby', epoch: 'f.1', seq: 9, reason: 'lost' },
    message(10),
  );
  await expect
    .poll(() => told)
    .toEqual([
      { reason: 'lost', position: { epoch: 'f.1', seq: 9 }, previous: { epoch: 'e.1', seq: 2 } },
      ['f.1', 10],
    ]);
});

test('a resume that is refused is a reset with the reason, and later messages go on from there', async () => {
  const { client, first } = await scripted();
  const room = client.join<number>('lobby', { since: { epoch: 'old', seq: 7 } });
  const resets: unknown[] = [];
  room.on('reset', ({ reason, previous }) => resets.push([reason, previous]));
  await first.welcome();
  const join = await first.joined({ seq: 500, recovered: false, reason: 'too_far' });
  expect(join['since']).toEqual({ epoch: 'old', seq: 7 });
  await room.joined;
  expect(resets).toEqual([['too_far', { epoch: 'old', seq: 7 }]]);
  expect(room.position?.seq).toBe(500);
});

test('what was published offline and what was not acknowledged leaves again with the same key, in order', async () => {
  const { server, client, first } = await scripted({ user: 'ann' });
  const room = client.join('lobby');
  const receipts = [room.publish('one'), room.publish('two', { key: 'mine' })];
  await first.welcome();
  await first.joined();
  const [one, two] = [await first.next('publish'), await first.next('publish')];
  expect([one['data'], two['data'], two['key']]).toEqual(['one', 'two', 'mine']);
  first.send({ type: 'ok', id: one['id'], room: 'lobby', epoch: 'e.1', seq: 1 }, message(1));
  expect(await receipts[0]).toEqual({ epoch: 'e.1', seq: 1 });
  first.socket.terminate();
  receipts.push(room.publish('three'));
  const second = await server.connection();
  await second.next('hello');
  await second.next('join');
  const again = [await second.next('publish'), await second.next('publish')];
  expect(again.map(({ data, key }) => [data, key === two['key']])).toEqual([
    ['two', true],
    ['three', false],
  ]);
  second.send(
    { type: 'ok', id: again[0]?.['id'], room: 'lobby', epoch: 'e.1', seq: 2, duplicate: true },
    { type: 'ok', id: again[1]?.['id'], room: 'lobby', epoch: 'e.1', seq: 3 },
  );
  expect(await receipts[1]).toEqual({ epoch: 'e.1', seq: 2, duplicate: true });
  expect(await receipts[2]).toEqual({ epoch: 'e.1', seq: 3 });
});

test('a receipt that an epoch made void is published again with its key, and that is told; others are not', async () => {
  const { client, first } = await scripted();
  const room = client.join('lobby');
  const told: unknown[] = [];
  room.on('republished', (event) => told.push(event));
  const receipts = Promise.all([room.publish('kept'), room.publish('lost')]);
  await first.welcome();
  await first.joined();
  const [kept, lost] = [await first.next('publish'), await first.next('publish')];
  first.send(
    { type: 'ok', id: kept['id'], room: 'lobby', epoch: 'e.1', seq: 1 },
    { type: 'ok', id: lost['id'], room: 'lobby', epoch: 'e.1', seq: 2 },
    message(1),
    { type: 'epoch', room: 'lobby', epoch: 'e.2', seq: 1 },
  );
  const again = await first.next('publish');
  expect(again).toMatchObject({ data: 'lost', key: lost['key'] });
  first.send(
    { type: 'ok', id: again['id'], room: 'lobby', epoch: 'e.2', seq: 2 },
    message(2, { key: lost['key'] }),
  );
  await expect
    .poll(() => told)
    .toEqual([{ key: lost['key'], lost: { epoch: 'e.1', seq: 2 }, position: { epoch: 'e.2', seq: 2 } }]);
  expect((await receipts).map(({ seq }) => seq)).toEqual([1, 2]);
  expect(room.position).toEqual({ epoch: 'e.2', seq: 2 });
});

test('a message that a failover made appear twice is handed on once; the same key much later is a new one', async () => {
  const { client, first } = await scripted();
  const seen: unknown[] = [];
  client.join('lobby').on('message', ({ seq, epoch }) => seen.push(`${epoch} ${seq}`));
  const from = { user: 'bob', connection: 'c' };
  await first.welcome();
  await first.joined(
    {},
    message(1, { key: 'k', from }),
    { type: 'reset', room: 'lobby', epoch: 'e.2', seq: 0, reason: 'diverged' },
    message(1, { key: 'k', from }),
    message(2, { key: 'k', from: { user: 'eve', connection: 'd' } }),
    message(3, { key: 'k', from, ts: 200_000 }),
  );
  await expect.poll(() => seen).toEqual(['e.1 1', 'e.2 2', 'e.2 3']);
});

test('refused for the moment is tried again, refused for good rejects with the words of the server', async () => {
  const { client, first } = await scripted();
  const room = client.join('lobby');
  await first.welcome();
  await first.joined();
  const [first_, second_] = [room.publish(1), room.publish(2)];
  const refusedForGood = expect(second_).rejects.toMatchObject({
    code: 'forbidden',
    message: 'no',
    retryable: false,
  });
  const [one, two] = [await first.next('publish'), await first.next('publish')];
  first.send(
    {
      type: 'error',
      id: one['id'],
      code: 'unavailable',
      message: 'slow',
      retryable: true,
      retryAfterMs: 30,
    },
    { type: 'error', id: two['id'], code: 'forbidden', message: 'no', retryable: false },
  );
  await refusedForGood;
  const again = await first.next('publish');
  expect(again).toMatchObject({ data: 1, key: one['key'] });
  first.send({ type: 'ok', id: again['id'], room: 'lobby', epoch: 'e.1', seq: 1 });
  expect(await first_).toMatchObject({ seq: 1 });
});

test('while Redis is down publishes wait, and leave as soon as it is up', async () => {
  const { client, first } = await scripted();
  const room = client.join('lobby');
  await first.welcome();
  await first.joined();
  await room.joined;
  first.send({ type: 'status', redis: 'down' });
  await expect.poll(() => client.redis).toBe('down');
  const receipt = room.publish('later');
  first.send({ type: 'status', redis: 'up' });
  const publish = await first.next('publish');
  first.send({ type: 'ok', id: publish['id'], room: 'lobby', epoch: 'e.1', seq: 1 });
  expect(await receipt).toMatchObject({ seq: 1 });
});

test('a join put off is tried again, and what was published behind it follows; one refused for good is told', async () => {
  const { client, first } = await scripted();
  const errors: string[] = [];
  client.on('error', ({ code }) => errors.push(code));
  const room = client.join('lobby');
  const receipt = room.publish(1);
  await first.welcome();
  const [join, publish] = [await first.next('join'), await first.next('publish')];
  first.send(
    { type: 'error', id: join['id'], code: 'unavailable', message: 'x', retryable: true },
    { type: 'error', id: publish['id'], code: 'not_joined', message: 'x', retryable: false },
  );
  await first.joined();
  const again = await first.next('publish');
  expect(again['key']).toBe(publish['key']);
  first.send({ type: 'ok', id: again['id'], room: 'lobby', epoch: 'e.1', seq: 1 });
  await receipt;
  const other = client.join('secret');
  const refused = await first.next('join');
  first.send({ type: 'error', id: refused['id'], code: 'forbidden', message: 'not you', retryable: false });
  await expect(other.joined).rejects.toMatchObject({ code: 'forbidden' });
  expect([other.status, errors]).toEqual(['left', ['forbidden']]);
});

test('state is told again with the next join, the last one wins, and who waited for it is told', async () => {
  const { server, client, first } = await scripted();
  const room = client.join('lobby', { state: { mood: 'new' } });
  await first.welcome();
  expect(await first.joined()).toMatchObject({ state: { mood: 'new' } });
  await room.joined;
  const told = Promise.all([room.setState({ mood: 'ok' }), room.setState({ mood: 'fine' })]);
  expect(await first.next('state')).toMatchObject({ state: { mood: 'ok' } });
  first.socket.terminate();
  const second = await server.connection();
  await second.welcome();
  expect(await second.joined({ recovered: true })).toMatchObject({ state: { mood: 'fine' } });
  await told;
});

const me = (state: object, since: number) => ({ user: 'ann', state, since });

test.each([
  ['a newer one of another tab stays', { count: 1, members: [me({ mood: 'newer' }, 1)] }, false],
  ['one that another tab took away stays away', { count: 1, members: [me({}, 1)] }, false],
  ['one that went with its user is told again', { count: 1, members: [me({}, 9)] }, true],
  ['one that nobody can see is told again', { count: 5000 }, true],
])(
  'after a reconnect a state that had been confirmed is not blindly repeated: %s',
  async (_what, news, again) => {
    const { server, client, first } = await scripted({ user: 'ann' });
    const room = client.join('lobby', { state: { mood: 'mine' } });
    await first.welcome();
    expect(await first.joined({ version: 1, count: 1, members: [me({ mood: 'mine' }, 1)] })).toMatchObject({
      state: { mood: 'mine' },
    });
    await room.joined;
    first.socket.terminate();
    const second = await server.connection();
    await second.welcome();
    expect(await second.joined({ recovered: true, version: 7, ...news })).not.toHaveProperty('state');
    // What comes first tells whether a state came.
    await expect.poll(() => room.status).toBe('live');
    room.signal('end').catch(() => undefined);
    const next = again ? 'state' : 'signal';
    expect(await second.next(next)).toMatchObject(again ? { state: { mood: 'mine' } } : { data: 'end' });
  },
);

test('one that is told again is told until it arrives, whatever becomes of the connection', async () => {
  // Told again and cut off with its connection, it was taken for confirmed, and the next join shows the same stay.
  const { server, client, first } = await scripted({ user: 'ann' });
  const room = client.join('lobby', { state: { mood: 'mine' } });
  await first.welcome();
  await first.joined({ version: 1, count: 1, members: [me({ mood: 'mine' }, 1)] });
  await room.joined;
  first.socket.terminate();
  const second = await server.connection();
  await second.welcome();
  await second.joined({ recovered: true, version: 7, count: 1, members: [me({}, 9)] });
  await second.next('state');
  second.socket.terminate();
  const third = await server.connection();
  await third.welcome();
  expect(
    await third.joined({ recovered: true, version: 8, count: 1, members: [me({ mood: 'mine' }, 9)] }),
  ).toMatchObject({ state: { mood: 'mine' } });
});

test('who leaves in the middle of what a joined brought hears no more of it', async () => {
  const { client, first } = await scripted();
  const room = client.join<number>('lobby', { history: 5 });
  const loop = room.iterate();
  const looped = loop.next();
  const seen: unknown[] = [];
  room.on('message', ({ data }) => {
    seen.push(data);
    if (data === 2) void room.leave();
  });
  room.on('left', ({ reason }) => seen.push(reason));
  room.on('recovered', () => seen.push('recovered'));
  await first.welcome();
  await first.joined({ seq: 3, messages: [1, 2, 3].map((n) => stored(n)) }, message(4));
  await first.next('leave');
  expect(seen).toEqual([1, 2, 'left']);
  const all = [(await looped).value?.data];
  for await (const { data } of loop) all.push(data);
  expect(all).toEqual([1, 2]);
});

test('a receipt of an epoch that came and went between two connections is void, and published again', async () => {
  const { server, client, first } = await scripted({ user: 'ann' });
  const room = client.join('lobby');
  await first.welcome();
  await first.joined();
  await room.joined;
  const receipt = room.publish('x', { key: 'k' });
  const publish = await first.next('publish');
  // The answer names an epoch of which this member has not heard yet: it may still come.
  first.send({ type: 'ok', id: publish['id'], room: 'lobby', epoch: 'e.2', seq: 1 });
  await receipt;
  first.socket.terminate();
  const second = await server.connection();
  await second.welcome();
  await second.joined({ epoch: 'e.3', recovered: true });
  expect(await second.next('publish')).toMatchObject({ key: 'k', data: 'x' });
});

test('members follow the versions; a diff that does not fit is not guessed at but asked about, once', async () => {
  const { client, first } = await scripted();
  const room = client.join('lobby');
  const changes: unknown[] = [];
  room.on('presence', ({ count, joined, left, updated }) =>
    changes.push([count, joined.map(({ user }) => user), left, updated.map(({ state }) => state)]),
  );
  const ann = { user: 'ann', state: {}, since: 1 };
  const bob = { user: 'bob', state: {}, since: 2 };
  await first.welcome();
  await first.joined(
    { version: 1, count: 1, members: [ann] },
    { type: 'presence', room: 'lobby', version: 2, previous: 1, count: 2, joined: [bob] },
    {
      type: 'presence',
      room: 'lobby',
      version: 3,
      previous: 2,
      count: 1,
      left: [{ user: 'ann', reason: 'node_lost' }],
    },
    { type: 'presence', room: 'lobby', version: 9, previous: 8, count: 1 },
    { type: 'presence', room: 'lobby', version: 10, previous: 9, count: 1 },
  );
  const ask = await first.next('presence');
  const happy = { ...bob, state: { mood: 'fine' } };
  first.send({ type: 'ok', id: ask['id'], room: 'lobby', version: 10, count: 1, members: [happy] });
  await expect
    .poll(() => changes)
    .toEqual([
      [1, ['ann'], [], []],
      [2, ['bob'], [], []],
      [1, [], [{ user: 'ann', reason: 'node_lost' }], []],
      [1, [], [], [{ mood: 'fine' }]],
    ]);
  expect([...room.members.keys()]).toEqual(['bob']);
});

test('a state that is too large, set while nobody was there, is refused alone: the room is joined without it', async () => {
  // It went with the next join, which was refused for it: the room was left, with all that waited in it.
  const { server, client, first } = await scripted({ user: 'ann' });
  const room = client.join('lobby', { state: { mood: 'fine' } });
  await first.welcome();
  await first.joined({ version: 1, count: 1, members: [{ user: 'ann', state: { mood: 'fine' }, since: 1 }] });
  await room.joined;
  client.drop();
  const state = expect(room.setState({ mood: 'x'.repeat(5000) })).rejects.toMatchObject({
    code: 'limit_exceeded',
  });
  const receipt = room.publish('kept');
  const second = await server.connection();
  await second.welcome();
  const join = await second.next('join');
  const refused = { type: 'error', message: 'too large', retryable: false };
  const publish = await second.next('publish');
  second.send(
    { ...refused, id: join['id'], code: 'limit_exceeded' },
    { ...refused, id: publish['id'], code: 'not_joined' },
  );
  await state;
  // Another tab has set the state meanwhile: the one of before is not told over it.
  const members = [{ user: 'ann', state: { mood: 'of another tab' }, since: 1 }];
  expect(await second.joined({ recovered: true, version: 2, count: 1, members })).not.toHaveProperty('state');
  const again = await second.next('publish');
  expect(again).toMatchObject({ key: publish['key'] });
  second.send({ type: 'ok', id: again['id'], room: 'lobby', epoch: 'e.1', seq: 1 });
  expect(await receipt).toMatchObject({ seq: 1 });
  expect(room.status).toBe('live');
});

test('a state that is refused with the first join refuses the join, whatever position it came with', async () => {
  const { client, first } = await scripted();
  const errors: string[] = [];
  client.on('error', ({ code }) => errors.push(code));
  const room = client.join('lobby', { since: { epoch: 'e.1', seq: 1 }, state: { mood: 'x'.repeat(5000) } });
  await first.welcome();
  const join = await first.next('join');
  first.send({
    type: 'error',
    id: join['id'],
    code: 'limit_exceeded',
    message: 'too large',
    retryable: false,
  });
  await expect(room.joined).rejects.toMatchObject({ code: 'limit_exceeded' });
  expect([room.status, errors]).toEqual(['left', ['limit_exceeded']]);
});

test.each(['left', 'status'] as const)(
  'who joins again as soon as it hears of %s is joined',
  async (event) => {
    // The leave was sent behind that join: the room said that it was live, and heard nothing ever again.
    const { client, first } = await scripted();
    const room = client.join('lobby');
    await first.welcome();
    await first.joined();
    await room.joined;
    let again = room;
    room.on(event, () => {
      if (room.status === 'left') again = client.join('lobby', { presence: 'count' });
    });
    void room.leave();
    await first.next('leave');
    expect(await first.joined({ seq: 4 })).toMatchObject({ presence: 'count' });
    await again.joined;
    expect([again === room, again.status, again.position]).toEqual([false, 'live', { epoch: 'e.1', seq: 4 }]);
  },
);

test('Redis is up again where the next node has it', async () => {
  const { server, client, first } = await scripted();
  const told: string[] = [];
  client.on('redis', (redis) => told.push(redis));
  await first.welcome();
  first.send({ type: 'status', redis: 'down' });
  await expect.poll(() => client.redis).toBe('down');
  first.socket.terminate();
  const second = await server.connection();
  await second.welcome();
  await expect.poll(() => told).toEqual(['down', 'up']);
});
