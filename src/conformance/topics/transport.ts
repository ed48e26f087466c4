/** PROTOCOL "Transport": what a WebSocket message may hold, batches, ids, and what is ignored. */
import type { Check, Topic } from '../check.ts';
import { same, must, Deviation, skip } from '../outcome.ts';
import { ABSENT, ANY } from '../pattern.ts';
import type { Lab } from '../lab.ts';
import type { Peer } from '../peer.ts';

const subprotocol: Check = {
  name: 'the subprotocol roomcast.v1 is agreed, and no compression',
  async run(lab) {
    const peer = await lab.connect();
    same(peer.protocol, 'roomcast.v1', 'subprotocol');
    same(peer.extensions, '', 'extensions');
  },
};

const noSubprotocol: Check = {
  name: 'a client that offers no subprotocol is served',
  async run(lab) {
    const peer = await lab.connect(0, { protocols: [] });
    same(peer.protocol, '', 'subprotocol');
    await peer.ask({ type: 'hello' }, { type: 'welcome' });
  },
};

const amongOthers: Check = {
  name: 'roomcast.v1 is picked among other subprotocols',
  async run(lab) {
    const peer = await lab.connect(0, { protocols: ['other.v7', 'roomcast.v1'] });
    same(peer.protocol, 'roomcast.v1', 'subprotocol');
  },
};

const unknownSubprotocol: Check = {
  name: 'a client that offers only unknown subprotocols is refused with HTTP 400',
  async run(lab) {
    const opened = lab.connect(0, { protocols: ['other.v7'] }).then(
      () => 'an open WebSocket',
      (error: unknown) => error,
    );
    const came = await opened;
    must(came instanceof Deviation && came.came.includes('400'), 'HTTP 400', String(came));
  },
};

const unknownType: Check = {
  name: 'an unknown type is answered with unsupported',
  async run(lab) {
    const peer = await lab.hello();
    await peer.refused({ type: 'teleport', somewhere: true }, 'unsupported', { retryable: false });
    await peer.alive();
  },
};

const unknownFields: Check = {
  name: 'unknown fields are ignored',
  async run(lab) {
    const room = lab.room();
    const peer = await lab.hello();
    await peer.join(room, { colour: 'red', deep: { er: [1] } });
    await peer.ask({ type: 'publish', room, data: 1, ttl: 9, qos: null }, { type: 'ok', room, seq: 1 });
  },
};

const ids: Check = {
  name: 'an id is a string of 1-64 characters or an integer, and comes back as it was',
  async run(lab) {
    const peer = await lab.hello();
    for (const id of ['x', 'ü'.repeat(64), 0, -7, Number.MAX_SAFE_INTEGER, '1']) {
      peer.send({ type: 'ping', id });
      await peer.take({ type: 'pong', id });
    }
    for (const id of ['', 'x'.repeat(65), 1.5, 2 ** 53, true, null, {}]) {
      peer.send([{ type: 'ping', id }]);
      await peer.take({ type: 'error', code: 'bad_request', id: ABSENT });
    }
    await peer.alive();
  },
};

const silence: Check = {
  name: 'publish, signal, state and leave without an id are silent, and carried out',
  async run(lab) {
    const room = lab.room();
    const watcher = await lab.member(room);
    const { peer, user } = await lab.member(room);
    peer.send({ type: 'publish', room, data: 'quiet' });
    peer.send({ type: 'signal', room, data: 'hush' });
    peer.send({ type: 'state', room, state: { quiet: true } });
    await watcher.peer.take({ type: 'message', room, data: 'quiet' });
    await watcher.peer.take({ type: 'signal', room, data: 'hush' });
    peer.send({ type: 'leave', room });
    await peer.alive();
    same(peer.left({ type: 'ok' }), [], 'replies without an id');
    same(peer.left({ type: 'error' }), [], 'errors');
    await gone(lab, watcher.peer, room, user);
  },
};

/** What one connection did takes a moment to be what another one is told. */
async function gone(lab: Lab, peer: Peer, room: string, user: string): Promise<void> {
  const until = lab.clock.now() + lab.timeoutMs;
  for (;;) {
    const { members = [] } = await peer.presence(room);
    if (!members.some((member) => member.user === user)) return;
    must(lab.clock.now() < until, `${user} not to be a member any more`, members);
    await lab.sleep(50);
  }
}

const noIdNeeded: Check = {
  name: 'join, history and presence need an id; errors are sent without one too',
  async run(lab) {
    const room = lab.room();
    const { peer } = await lab.member(room);
    for (const type of ['join', 'history', 'presence']) {
      peer.send({ type, room });
      await peer.take({ type: 'error', code: 'bad_request', id: ABSENT, room });
    }
    peer.send({ type: 'publish', room: lab.room(), data: 1 });
    await peer.take({ type: 'error', code: 'not_joined', id: ABSENT });
  },
};

const batchOrder: Check = {
  name: 'the frames of a batch are handled in order, each answered on its own',
  async run(lab) {
    const room = lab.room();
    const { peer } = await lab.member(room);
    const frames = [1, 2, 3, 4, 5].map((data) => ({ type: 'publish', id: peer.newId(), room, data }));
    peer.send(frames);
    for (const [at, { id }] of frames.entries()) await peer.take({ type: 'ok', id, room, seq: at + 1 });
    for (const data of [1, 2, 3, 4, 5]) await peer.take({ type: 'message', room, seq: data, data });
  },
};

const batchElement: Check = {
  name: 'an element of a batch that is no frame is refused by itself',
  async run(lab) {
    const peer = await lab.hello();
    peer.send([
      { type: 'ping', id: 'before' },
      17 as unknown as object,
      { type: 'join', id: 'bad', room: 'a b' },
      { type: 'ping', id: 'after' },
    ]);
    await peer.take({ type: 'pong', id: 'before' });
    await peer.take({ type: 'error', code: 'bad_request', id: ABSENT });
    await peer.take({ type: 'error', code: 'bad_request', id: 'bad' });
    await peer.take({ type: 'pong', id: 'after' });
  },
};

const batchEmpty: Check = {
  name: 'an empty batch is refused with bad_request',
  async run(lab) {
    const peer = await lab.hello();
    peer.send([]);
    await peer.take({ type: 'error', code: 'bad_request', id: ABSENT });
    await peer.alive();
  },
};

const batchFull: Check = {
  name: 'a batch of limits.batch frames is taken; one more is limit_exceeded, nothing of it applied',
  async run(lab) {
    const peer = await lab.hello();
    const { batch } = peer.welcome.limits;
    if (batch === 0) skip('this server has no limit for batches');
    if (batch > 500) skip(`a batch of ${batch} may be larger than a WebSocket message`);
    const pings = (count: number, prefix: string): object[] =>
      Array.from({ length: count }, (_, at) => ({ type: 'ping', id: `${prefix}${at}` }));
    peer.send(pings(batch, 'full-'));
    await peer.take({ type: 'pong', id: `full-${batch - 1}` });
    peer.send(pings(batch + 1, 'over-'));
    await peer.take({ type: 'error', code: 'limit_exceeded', id: ABSENT });
    await peer.alive();
    const applied = peer.frames.filter((frame) => 'id' in frame && String(frame.id).startsWith('over-'));
    same(applied, [], 'answers to the batch that was refused');
  },
};

async function refusedForm(lab: Lab, texts: readonly string[]): Promise<void> {
  const peer = await lab.hello();
  for (const text of texts) {
    peer.wire.send(text);
    await peer.take({ type: 'error', code: 'bad_request', message: ANY, retryable: false });
  }
  await peer.alive();
}

const nested = (levels: number): string => '['.repeat(levels) + ']'.repeat(levels);

const form: Check = {
  name: 'what is not one JSON object with a type is refused with bad_request',
  run: (lab) => refusedForm(lab, ['', 'hello', '{', '17', 'null', '"ping"', '{}', '{"type":1}', '[[]]']),
};

const depth: Check = {
  name: 'a frame nests 32 levels; 33 are refused with bad_request',
  async run(lab) {
    const room = lab.room();
    const { peer } = await lab.member(room);
    peer.witness.asked('deep');
    peer.wire.send(`{"type":"publish","id":"deep","room":"${room}","data":${nested(31)}}`);
    await peer.take({ type: 'ok', id: 'deep', room });
    peer.witness.asked('deeper');
    peer.wire.send(`{"type":"publish","id":"deeper","room":"${room}","data":${nested(32)}}`);
    await peer.take({ type: 'error', code: 'bad_request', id: 'deeper' });
  },
};

const forbiddenKeys: Check = {
  name: 'a frame has no key __proto__, constructor or prototype; data may',
  async run(lab) {
    const room = lab.room();
    const { peer } = await lab.member(room);
    for (const key of ['__proto__', 'constructor', 'prototype']) {
      peer.wire.send(`{"type":"ping","${key}":{}}`);
      await peer.take({ type: 'error', code: 'bad_request' });
    }
    peer.witness.asked('inside');
    peer.wire.send(`{"type":"publish","id":"inside","room":"${room}","data":{"constructor":1}}`);
    await peer.take({ type: 'ok', id: 'inside' });
    await peer.take({ type: 'message', room, data: { constructor: 1 } });
  },
};

export const transport: Topic = {
  title: 'transport',
  checks: [
    subprotocol,
    noSubprotocol,
    amongOthers,
    unknownSubprotocol,
    unknownType,
    unknownFields,
    ids,
    silence,
    noIdNeeded,
    batchOrder,
    batchElement,
    batchEmpty,
    batchFull,
    form,
    depth,
    forbiddenKeys,
  ],
};
