/**
 * roomcast under load from k6 (k6.io): connect, hello, join, publish at a rate, check every seq.
 *
 *   k6 run -e URL=ws://127.0.0.1:8080/ws -e CLIENTS=100 -e ROOMS=10 -e RATE=1 -e SECONDS=30 bench/tools/k6.js
 *
 * RATE is publishes per second and client; each is delivered to CLIENTS / ROOMS members. All clients are
 * of one process, so latencies are of one clock, in whole milliseconds.
 */
import { check } from 'k6';
import { Counter, Trend } from 'k6/metrics';
import { clearInterval, setInterval, setTimeout } from 'k6/timers';
import { WebSocket } from 'k6/websockets';
import { createRoomCheck, helloFrame, joinFrame, publishFrame } from './room-check.mjs';

const url = __ENV.URL || 'ws://127.0.0.1:8080/ws';
const clients = Number(__ENV.CLIENTS || 100);
const rooms = Number(__ENV.ROOMS || 10);
const rate = Number(__ENV.RATE || 1);
const seconds = Number(__ENV.SECONDS || 30);
/** What was published last must have come back by then. */
const SETTLE_MS = 2000;

export const options = {
  scenarios: {
    members: {
      executor: 'per-vu-iterations',
      vus: clients,
      iterations: 1,
      maxDuration: `${seconds + 30}s`,
    },
  },
  thresholds: {
    roomcast_missing: ['count==0'],
    roomcast_duplicates: ['count==0'],
    roomcast_resets: ['count==0'],
    roomcast_refused: ['count==0'],
    roomcast_closed_by_server: ['count==0'],
    roomcast_messages: ['count>0'],
    roomcast_latency: ['p(95)<100', 'p(99)<250'],
    checks: ['rate==1'],
  },
};

const counters = {};
for (const name of [
  'messages',
  'missing',
  'duplicates',
  'resets',
  'acknowledged',
  'own',
  'refused',
  'closed_by_server',
]) {
  counters[name] = new Counter(`roomcast_${name}`);
}
const latencyTrend = new Trend('roomcast_latency', true);

export default function () {
  const user = `k6-${__VU}`;
  const room = `load-${__VU % rooms}`;
  const seen = { published: 0, acknowledged: 0, own: 0 };
  const take = createRoomCheck({
    count: (name, n) => {
      counters[name].add(n);
      if (name in seen) seen[name] += n;
    },
    latency: (ms) => latencyTrend.add(ms),
  });
  const socket = new WebSocket(url, 'roomcast.v1');
  const send = (frame) => socket.send(JSON.stringify(frame));
  let publishing;
  let welcome = false;
  let joined = false;

  socket.onopen = () => {
    send(helloFrame(user));
    send(joinFrame(room));
  };
  socket.onmessage = (event) => {
    const frame = JSON.parse(event.data);
    take(frame, Date.now());
    if (frame.type === 'welcome') welcome = true;
    if (frame.type !== 'joined') return;
    joined = true;
    // Not all in the same instant: a load that comes in bursts measures the bursts.
    setTimeout(
      () => {
        publishing = setInterval(() => send(publishFrame(room, seen.published++, Date.now())), 1000 / rate);
      },
      Math.random() * (1000 / rate),
    );
    setTimeout(() => clearInterval(publishing), seconds * 1000);
    setTimeout(() => socket.close(), seconds * 1000 + SETTLE_MS);
  };
  socket.onerror = (event) => {
    console.error(event.error);
  };
  socket.onclose = () => {
    clearInterval(publishing);
    check(seen, {
      'was welcomed': () => welcome,
      'joined its room': () => joined,
      'every publish was acknowledged': ({ published, acknowledged }) => acknowledged === published,
      'every publish came back': ({ published, own }) => own === published,
    });
  };
}
