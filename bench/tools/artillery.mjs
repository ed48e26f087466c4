/**
 * The functions that artillery.yml names. The engine itself listens only while a step waits for an
 * answer, so `follow` listens beside it.
 */
import { createRoomCheck } from './room-check.mjs';

const ROOMS = 10;
const COUNTED = [
  'published',
  'messages',
  'missing',
  'duplicates',
  'resets',
  'acknowledged',
  'own',
  'refused',
  'closed_by_server',
];
let users = 0;

export function follow(context, events, done) {
  const number = users++;
  context.vars.room = `load-${number % ROOMS}`;
  context.vars.user = `artillery-${process.pid}-${number}-${Math.random().toString(36).slice(2)}`;
  const count = (name, n) => events.emit('counter', `roomcast.${name}`, n);
  // A condition about a name that was never counted could not be judged.
  for (const name of COUNTED) count(name, 0);
  const take = createRoomCheck({ count, latency: (ms) => events.emit('histogram', 'roomcast.latency', ms) });
  // Not addEventListener: each step of the engine sets `onmessage`, which in its `ws` 7 takes off those too.
  context.ws.on('message', (text) => take(JSON.parse(String(text)), Date.now()));
  done();
}

export function stamp(context, events, done) {
  context.vars.at = Date.now();
  events.emit('counter', 'roomcast.published', 1);
  done();
}
