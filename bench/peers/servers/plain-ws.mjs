/**
 * What people write by hand: `ws`, a Map of rooms, one Redis channel per room,
 * and a loop that sends every message to every member. argv: the URL of the
 * Redis. Prints the port it listens on.
 */
import { createServer } from 'node:http';
import { Redis } from 'ioredis';
import { WebSocket, WebSocketServer } from 'ws';

const [url] = process.argv.slice(2);
const publisher = new Redis(url);
const subscriber = new Redis(url);
const rooms = new Map();

async function join(socket, room) {
  let members = rooms.get(room);
  if (!members) {
    members = new Set();
    rooms.set(room, members);
    await subscriber.subscribe(room);
  }
  members.add(socket);
  socket.rooms.add(room);
  socket.send(JSON.stringify({ type: 'joined', room }));
}

function leave(socket) {
  for (const room of socket.rooms) {
    const members = rooms.get(room);
    members.delete(socket);
    if (members.size > 0) continue;
    rooms.delete(room);
    void subscriber.unsubscribe(room);
  }
}

subscriber.on('message', (room, message) => {
  for (const socket of rooms.get(room) ?? []) {
    if (socket.readyState === WebSocket.OPEN) socket.send(message);
  }
});

const http = createServer();
const server = new WebSocketServer({ server: http });
server.on('connection', (socket) => {
  socket.rooms = new Set();
  socket.on('message', (text) => {
    const frame = JSON.parse(text);
    if (frame.type === 'join') void join(socket, frame.room);
    else if (frame.type === 'publish') {
      void publisher.publish(
        frame.room,
        JSON.stringify({ type: 'message', room: frame.room, data: frame.data }),
      );
    }
  });
  socket.on('close', () => leave(socket));
  socket.on('error', () => socket.terminate());
});

http.listen({ port: 0, host: '127.0.0.1', backlog: 4096 }, () => {
  console.log(`listening on ${http.address().port}`);
});
