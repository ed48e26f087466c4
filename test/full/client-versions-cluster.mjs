/**
 * A writer and a reader of the built SDK behind a balancer, of which one node is going to die. Run by
 * client-versions.full.test.ts under several versions of Node, with the balancer's URL, the name of the node that
 * stays and the SDK (a URL; before the first build there is none to import); it says on stdout, a JSON line each,
 * when the stream runs, and in the end what arrived.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { WebSocket as Ws } from 'ws';

const [url, survivor, sdk] = process.argv.slice(2);
const { connect } = await import(sdk);
const options = globalThis.WebSocket ? {} : { WebSocket: Ws };
const say = (line) => console.log(JSON.stringify(line));
const until = async (holds) => {
  while (!holds()) await delay(5);
};

const writer = connect(url, { user: 'writer', ...options });
const room = writer.join('room');
await room.joined;
// Behind the first, so that leastconn puts it on the other node.
const reader = connect(url, { user: 'reader', ...options });
const seen = [];
const resets = [];
const read = reader.join('room');
read.on('message', ({ seq, data }) => seen.push([seq, data]));
read.on('reset', ({ reason }) => resets.push(reason));
await read.joined;
const nodes = [writer, reader].map((client) => client.welcome.node);

const receipts = [];
let enough = false;
const stream = (async () => {
  for (let n = 0; !enough; n += 1) {
    receipts.push(room.publish(n));
    await delay(5);
  }
})();
await until(() => seen.length > 50);
say({ running: nodes });
await until(() =>
  [writer, reader].every(({ state, welcome }) => state === 'connected' && welcome.node === survivor),
);
const before = seen.length;
await until(() => seen.length > before + 50);
enough = true;
await stream;
const seqs = (await Promise.all(receipts)).map(({ seq }) => seq);
await until(() => seen.length >= seqs.length);
await delay(200);
say({
  published: seqs.length,
  resets,
  // Each once, in the order of positions, and where its receipt says.
  inOrder: seen.every(([seq], index) => seq === index + 1),
  asReceipts: seqs.every((seq, n) => seen[seq - 1]?.[1] === n),
  seen: seen.length,
  own: globalThis.WebSocket !== undefined,
});
writer.close();
reader.close();
