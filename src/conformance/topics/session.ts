/** PROTOCOL "Session": who is here, and whether anybody still is. */
import { cannotBeSeen, type Check, NEEDS_AUTHENTICATION, type Topic } from '../check.ts';
import { must, same, show, skip } from '../outcome.ts';
import { ABSENT, ANY } from '../pattern.ts';

const welcome: Check = {
  name: 'hello is answered by welcome with its id, the user, the node and the limits',
  async run(lab) {
    const user = lab.user();
    const peer = await lab.connect();
    const client = { name: 'roomcast-conformance', version: '1' };
    const frame = await peer.ask({ type: 'hello', user, client }, { type: 'welcome', user, protocol: 1 });
    must(/^roomcast\/\d+\.\d+\.\d+/.test(frame.server), 'server "roomcast/x.y.z"', frame.server);
    must(frame.reconnect.minMs <= frame.reconnect.maxMs, 'reconnect.minMs <= maxMs', frame.reconnect);
  },
};

const anonymous: Check = {
  name: 'without a user the name is anon- and the connection id, and may be given back',
  async run(lab) {
    const peer = await lab.connect();
    const { user, connection } = await peer.ask({ type: 'hello' }, { type: 'welcome' });
    same(user, `anon-${connection}`, 'user');
    await peer.close();
    const again = await lab.hello(0, user);
    must(again.welcome.connection !== connection, 'a new connection id', again.welcome.connection);
  },
};

const implied: Check = {
  name: 'another first frame counts as preceded by an empty hello',
  async run(lab) {
    const room = lab.room();
    const peer = await lab.connect();
    await peer.ask({ type: 'join', room }, { type: 'joined', room });
    const [first] = peer.frames;
    must(first?.type === 'welcome' && first.id === undefined, 'welcome without id as the first frame', first);
  },
};

const second: Check = {
  name: 'a second hello is refused with bad_request and changes nothing',
  async run(lab) {
    const room = lab.room();
    const { peer, user } = await lab.member(room);
    await peer.refused({ type: 'hello', user: lab.user('other') }, 'bad_request');
    await peer.publish(room, 1);
    await peer.take({ type: 'message', room, from: { user } });
  },
};

const refusedHello: Check = {
  name: 'a hello that is refused may be said again',
  async run(lab) {
    const user = lab.user();
    const peer = await lab.connect();
    await peer.refused({ type: 'hello', user: 'no {braces}' }, 'bad_request');
    await peer.ask({ type: 'hello', user }, { type: 'welcome', user });
  },
};

const names: Check = {
  name: 'user names are 1-128 printable characters without { }, spaces only inside',
  async run(lab) {
    const token = lab.user('Zoë 日本 😀');
    for (const user of [token, `${token} & sons`, 'ü'.repeat(128)]) await lab.hello(0, user);
    const refused = [
      '',
      'x'.repeat(129),
      ' a',
      'a ',
      'a{b',
      'a}b',
      'a\nb',
      'a\u0000b',
      'a\u200bb',
      'a\u202eb',
    ];
    const peer = await lab.connect();
    for (const user of refused) await peer.refused({ type: 'hello', user }, 'bad_request');
    await peer.ask({ type: 'hello', user: token }, { type: 'welcome', user: token });
  },
};

const pingPong: Check = {
  name: 'ping is answered by pong, with its id where it has one',
  async run(lab) {
    const peer = await lab.hello();
    peer.send({ type: 'ping', id: 'p1' });
    await peer.take({ type: 'pong', id: 'p1' });
    peer.send({ type: 'ping' });
    await peer.take({ type: 'pong', id: ABSENT });
  },
};

/** The longest this suite waits for pings of the server. */
const PING_WAIT_MAX_MS = 60_000;

const serverPings: Check = {
  name: 'the server sends WebSocket pings every pingIntervalMs',
  async run(lab) {
    const peer = await lab.hello();
    const { pingIntervalMs } = peer.welcome;
    if (pingIntervalMs > PING_WAIT_MAX_MS / 2)
      skip(`pings come every ${pingIntervalMs} ms: too long to wait`);
    await lab.sleep(pingIntervalMs * 1.5 + 200);
    // A busy machine may be late with it.
    if (peer.pings === 0) await lab.sleep(lab.timeoutMs);
    must(peer.pings >= 1, `a ping within ${pingIntervalMs} ms`, `${peer.pings} pings`);
    must(
      peer.pings <= 2 + lab.timeoutMs / pingIntervalMs,
      'one ping in each interval',
      `${peer.pings} pings in 1.5 intervals`,
    );
  },
};

const silentPeer: Check = {
  name: 'a peer that answers no ping for two intervals is dropped',
  async run(lab) {
    const peer = await lab.connect(0, { answerPings: false });
    const { pingIntervalMs } = await peer.ask({ type: 'hello' }, { type: 'welcome' });
    if (pingIntervalMs * 3 > PING_WAIT_MAX_MS) {
      skip(`pings come every ${pingIntervalMs} ms: too long to wait for three of them`);
    }
    await Promise.race([peer.ended, lab.sleep(pingIntervalMs * 3.5 + lab.timeoutMs)]);
    must(
      peer.end !== undefined,
      'the end of the connection',
      `an open one, pings every ${pingIntervalMs} ms`,
    );
  },
};

const onePerMessage: Check = {
  name: 'each WebSocket message of the server is one frame, also where many are answered',
  async run(lab) {
    const room = lab.room();
    const { peer } = await lab.member(room);
    const pings = Array.from({ length: 20 }, (_, at) => ({ type: 'ping', id: at + 1000 }));
    const { batch } = peer.welcome.limits;
    if (batch > 0 && batch < 20) for (const ping of pings) peer.send(ping);
    else peer.send(pings);
    for (const { id } of pings) await peer.take({ type: 'pong', id });
  },
};

const tokenIgnored: Check = {
  name: 'refresh without authentication is unsupported, and the connection lives on',
  async run(lab) {
    const peer = await lab.hello();
    const reply = await peer.request({ type: 'refresh', token: 'e30.e30.c2ln' });
    if (reply.type !== 'error' || reply.code !== 'unsupported') {
      skip(`this server authenticates: it answers refresh with ${show(reply)}`);
    }
    must(reply.message.length > 0, 'a message for people', reply);
    await peer.alive();
  },
};

const errorsSay: Check = {
  name: 'an error says in words what was wrong, and names id and room where they are valid',
  async run(lab) {
    const peer = await lab.hello();
    const room = lab.room();
    const error = await peer.refused({ type: 'publish', room }, 'bad_request', { room, message: ANY });
    must(error.message.includes('data'), 'a message that names the missing field "data"', error.message);
    await peer.refused({ type: 'publish', room: 'no such', data: 1 }, 'bad_request', { room: ABSENT });
  },
};

export const session: Topic = {
  title: 'session',
  checks: [
    welcome,
    anonymous,
    implied,
    second,
    refusedHello,
    names,
    pingPong,
    serverPings,
    silentPeer,
    onePerMessage,
    tokenIgnored,
    cannotBeSeen('expiring: a token is about to run out', NEEDS_AUTHENTICATION),
    errorsSay,
  ],
};
