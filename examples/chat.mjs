// A room in the terminal, in Node with `ws`: node examples/chat.mjs [url] [room] [user]
// It prints what is said, says what is typed, and after a lost connection prints exactly what it missed.
import { createInterface } from 'node:readline';
import { WebSocket } from 'ws';

const [url = 'ws://127.0.0.1:8080/ws', room = 'lobby', user = 'node'] = process.argv.slice(2);
const unconfirmed = new Map(); // key -> publish, in the order typed, until its `ok` came
let position; // {epoch, seq} of the last message printed: what the next join gives back as `since`
let socket;
let failures = 0;
let backAt; // when a server that says goodbye wants us back

const send = (frame) => socket.readyState === WebSocket.OPEN && socket.send(JSON.stringify(frame));
const print = ({ seq, from, data }) => console.log(`#${seq} ${from?.user}: ${JSON.stringify(data)}`);

function handle(frame) {
  const { type, id, epoch, seq, code } = frame;
  // Says that messages are gone (`joined` with recovered: false, and `reset`), and why we are sent away.
  if (frame.reason) console.log(`* ${type}: ${frame.reason}`);
  if (type === 'joined') {
    frame.messages.forEach(print); // after `since`: exactly what we missed
    console.log(`* in ${room}`);
    failures = 0;
  }
  if (type === 'message') {
    print(frame);
    position.seq = seq;
  }
  if (type === 'joined' || type === 'reset') position = { epoch, seq };
  if (type === 'epoch') position.epoch = epoch; // nothing is gone: the numbers go on under a new name
  if (type === 'error') console.log(`* ${code}: ${frame.message}`);
  // What may work later is tried again from the start, later each time; the rest never will.
  if (type === 'error' && (frame.retryable || code === 'not_joined')) socket.close();
  else if (type === 'ok' || type === 'error') unconfirmed.delete(id);
  if (type === 'closing' && frame.reconnect === 'never') process.exit(1);
  if (type === 'closing' && frame.afterMs) backAt = Date.now() + frame.afterMs;
}

function connect() {
  socket = new WebSocket(url, 'roomcast.v1');
  // The server pings every 25 s; without this a link that died in silence would never be noticed.
  const silence = setTimeout(() => socket.terminate(), 60_000);
  socket.on('ping', () => silence.refresh());
  socket.on('open', () => {
    send({ type: 'hello', user });
    send({ type: 'join', id: 'join', room, since: position });
    unconfirmed.forEach(send); // under their old keys: what is stored already is not stored twice
  });
  socket.on('message', (text) => handle(JSON.parse(text)));
  socket.on('error', ({ message }) => console.log(`* ${message}`)); // `close` follows
  socket.on('close', () => {
    clearTimeout(silence);
    setTimeout(
      connect,
      backAt ? backAt - Date.now() : Math.random() * Math.min(30_000, 1000 * 2 ** failures++),
    );
    backAt = undefined;
  });
}

connect();
const run = Math.random().toString(36).slice(2); // keys are remembered per user: no other run may use ours
let typed = 0;
createInterface({ input: process.stdin }).on('line', (data) => {
  // A frame that is too large ends the connection, and so it would each time it is said again.
  if (Buffer.byteLength(data) > 30_000) return console.log('* too long');
  const key = `${run}-${typed++}`;
  unconfirmed.set(key, { type: 'publish', id: key, room, data, key });
  send(unconfirmed.get(key));
});
