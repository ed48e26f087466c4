/**
 * A Socket.IO room server as its documentation shows one: any socket may join a
 * room and publish into it. argv: the adapter ("redis" or "sharded") and the
 * URL of the Redis. Prints the port it listens on.
 *
 * The packages are those of package.json beside it; they are loaded through
 * `createRequire` because a checkout that never ran this peer does not have them.
 */
import { createServer } from 'node:http';
import { createRequire } from 'node:module';

const load = createRequire(import.meta.url);
const { Server } = load('socket.io');
const { createClient } = load('redis');
const { createAdapter, createShardedAdapter } = load('@socket.io/redis-adapter');

const [kind, url] = process.argv.slice(2);
const publisher = createClient({ url });
const subscriber = publisher.duplicate();
await Promise.all([publisher.connect(), subscriber.connect()]);
const adapter = kind === 'sharded' ? createShardedAdapter : createAdapter;

const http = createServer();
const io = new Server(http, {
  adapter: adapter(publisher, subscriber),
  transports: ['websocket'],
  perMessageDeflate: false,
  serveClient: false,
});

// "Memory usage" in its documentation: the first request is not needed after the handshake.
io.engine.on('connection', (raw) => {
  raw.request = null;
});

io.on('connection', (socket) => {
  socket.on('join', async (room, joined) => {
    await socket.join(room);
    joined();
  });
  socket.on('publish', (room, data) => io.to(room).emit('m', data));
});

http.listen({ port: 0, host: '127.0.0.1', backlog: 4096 }, () => {
  console.log(`listening on ${http.address().port}`);
});
