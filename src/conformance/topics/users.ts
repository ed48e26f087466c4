/** PROTOCOL "Users": inboxes. Everything here is skipped where the server answers `unsupported`. */
import type { Check, Topic } from '../check.ts';
import type { Lab } from '../lab.ts';
import { must, same, skip } from '../outcome.ts';
import { ABSENT, ANY } from '../pattern.ts';
import type { Peer } from '../peer.ts';
import type { OkPublishFrame } from '../../protocol/messages.ts';

/** A connection that may send into inboxes; skips where this server has none. */
export async function inboxSender(lab: Lab, at = 0): Promise<Peer> {
  const peer = await lab.hello(at, lab.user('sender'));
  const reply = await peer.request({ type: 'send', to: lab.user('nobody'), data: 'probe' });
  if (reply.type === 'error' && reply.code === 'unsupported') {
    skip('inboxes are not served: send is answered with unsupported');
  }
  if (reply.type === 'error' && reply.code === 'forbidden') skip('this identity may not send into inboxes');
  return peer;
}

export async function send(peer: Peer, to: string, data: unknown, key?: string): Promise<OkPublishFrame> {
  const frame = { type: 'send', to, data, ...(key && { key }) };
  return (await peer.ask(frame, { type: 'ok', room: ABSENT, epoch: ANY, seq: ANY })) as OkPublishFrame;
}

/** A connection with its inbox joined. */
export async function withInbox(lab: Lab, user: string, inbox: unknown = true, at = 0): Promise<Peer> {
  const peer = await lab.connect(at);
  await peer.ask({ type: 'hello', user, inbox }, { type: 'welcome', user });
  return peer;
}

const joinedFrame = (user: string) =>
  ({
    type: 'joined',
    room: `@${user}`,
    id: ABSENT,
    count: ABSENT,
    members: ABSENT,
    version: ABSENT,
  }) as const;

const everyDevice: Check = {
  name: 'what is sent reaches every connection of the user that asked for its inbox',
  async run(lab) {
    const sender = await inboxSender(lab);
    const user = lab.user('bob');
    const devices = [await withInbox(lab, user), await withInbox(lab, user, true, 1)];
    for (const device of devices) await device.take(joinedFrame(user));
    const plain = await lab.hello(1, user);
    const { seq } = await send(sender, user, { text: 'hi' }, 'k1');
    const from = { connection: sender.welcome.connection };
    for (const device of devices) {
      await device.take({ type: 'message', room: `@${user}`, seq, from, key: 'k1', data: { text: 'hi' } });
    }
    await plain.alive();
    same(plain.left({ type: 'message' }), [], 'messages at a connection that did not ask for its inbox');
  },
};

const inOrder: Check = {
  name: 'an inbox is numbered like a room, and joined right behind welcome',
  async run(lab) {
    const sender = await inboxSender(lab);
    const user = lab.user('bob');
    const peer = await withInbox(lab, user);
    const joined = await peer.take(joinedFrame(user));
    same(peer.frames.map((frame) => frame.type).slice(0, 2), ['welcome', 'joined'], 'the first frames');
    for (const data of [1, 2, 3]) {
      const ok = await send(sender, user, data);
      same([ok.epoch, ok.seq], [joined.epoch, data], 'position');
      await peer.take({ type: 'message', room: `@${user}`, seq: data, data });
    }
  },
};

const once: Check = {
  name: 'a key sent twice into an inbox is one message',
  async run(lab) {
    const sender = await inboxSender(lab);
    const user = lab.user('bob');
    const first = await send(sender, user, 'once', 'k');
    const second = await send(sender, user, 'once', 'k');
    same([second.seq, second.duplicate], [first.seq, true], 'seq and duplicate of the second');
    const peer = await withInbox(lab, user);
    same((await peer.take(joinedFrame(user))).messages.length, 1, 'messages in the inbox');
  },
};

const readMark: Check = {
  name: 'what was read is not delivered to a later hello, on any device',
  async run(lab) {
    const sender = await inboxSender(lab);
    const user = lab.user('bob');
    for (const data of [1, 2, 3]) await send(sender, user, data);
    const peer = await withInbox(lab, user);
    same(
      (await peer.take(joinedFrame(user))).messages.map(({ data }) => data),
      [1, 2, 3],
      'messages before read',
    );
    await peer.ask({ type: 'read', seq: 2 }, { type: 'ok', epoch: ABSENT, room: ABSENT });
    const later = await withInbox(lab, user, true, 1);
    same(
      (await later.take(joinedFrame(user))).messages.map(({ data }) => data),
      [3],
      'messages after read',
    );
    // A mark that goes back would bring everything again.
    await later.ask({ type: 'read', seq: 1 }, { type: 'ok' });
    const last = await withInbox(lab, user);
    same(
      (await last.take(joinedFrame(user))).messages.map(({ data }) => data),
      [3],
      'messages after an older read',
    );
  },
};

const resumed: Check = {
  name: 'an inbox resumes from a position',
  async run(lab) {
    const sender = await inboxSender(lab);
    const user = lab.user('bob');
    const peer = await withInbox(lab, user);
    const { epoch } = await peer.take(joinedFrame(user));
    await send(sender, user, 'seen');
    await peer.take({ type: 'message', room: `@${user}`, seq: 1 });
    await peer.drop();
    await send(sender, user, 'missed');
    const back = await withInbox(lab, user, { epoch, seq: 1 }, 1);
    const joined = await back.take(joinedFrame(user));
    same(
      [joined.recovered, joined.messages.map(({ data }) => data)],
      [true, ['missed']],
      'recovered, messages',
    );
  },
};

const refusals: Check = {
  name: 'send needs a user name and data, read a seq, and nobody joins or publishes into an inbox',
  async run(lab) {
    const peer = await inboxSender(lab);
    for (const to of ['', 'a{b', 7, null]) await peer.refused({ type: 'send', to, data: 1 }, 'bad_request');
    await peer.refused({ type: 'send', to: lab.user() }, 'bad_request');
    await peer.refused({ type: 'read', seq: -1 }, 'bad_request');
    const room = `@${lab.user('somebody')}`;
    await peer.refused({ type: 'join', room }, 'bad_request');
    await peer.refused({ type: 'publish', room, data: 1 }, 'bad_request');
    const { payloadBytes } = peer.welcome.limits;
    if (payloadBytes > 0 && payloadBytes < 60_000) {
      await peer.refused({ type: 'send', to: lab.user(), data: 'x'.repeat(payloadBytes) }, 'too_large');
    }
  },
};

export const historyOfOthers: Check = {
  name: 'history of an inbox is for its owner, once it is open; of another it is forbidden',
  async run(lab) {
    const sender = await inboxSender(lab);
    const user = lab.user('bob');
    await send(sender, user, 'for bob alone');
    await sender.refused({ type: 'history', room: `@${user}` }, 'forbidden', { retryable: false });
    await sender.alive();
    const peer = await withInbox(lab, user);
    await peer.take(joinedFrame(user));
    same((await peer.history(`@${user}`)).messages.length, 1, 'messages for their owner');
  },
};

const notServed: Check = {
  name: 'where inboxes are not served, send, read and hello with inbox say so and nothing breaks',
  async run(lab) {
    const room = lab.room();
    const peer = await lab.hello(0, lab.user(), { inbox: true });
    const probe = await peer.request({ type: 'send', to: lab.user(), data: 1 });
    if (probe.type !== 'error' || probe.code !== 'unsupported') skip('inboxes are served');
    await peer.take({ type: 'error', code: 'unsupported', id: ABSENT });
    await peer.refused({ type: 'read', seq: 1 }, 'unsupported');
    await peer.join(room);
    must((await peer.publish(room, 1)).seq === 1, 'rooms to work', 'no first message');
  },
};

export const users: Topic = {
  title: 'inbox',
  checks: [everyDevice, inOrder, once, readMark, resumed, refusals, historyOfOthers, notServed],
};
