// Some thirty lines that join, say and resume, in Node with `ws`: node examples/short.mjs [url] [room] [user]
import { createInterface } from 'node:readline';
import { WebSocket } from 'ws';

const [url = 'ws://127.0.0.1:8080/ws', room = 'lobby', user = 'node'] = process.argv.slice(2);
let since, socket; // since: the position of the last message printed, what the next join gives back
const send = (frame) => socket.send(JSON.stringify(frame));
const join = () => ({ type: 'join', id: 1, room, since });
const print = ({ seq, from, data }) => console.log(`#${seq} ${from?.user}: ${JSON.stringify(data)}`);

function connect() {
  let goodbye = { at: 0 }; // what `closing` told: whether to come back, and when
  socket = new WebSocket(url, 'roomcast.v1');
  socket.on('open', () => send([{ type: 'hello', user }, join()]));
  socket.on('message', (text) => {
    const { type, epoch, seq, reason, ...frame } = JSON.parse(text);
    if (reason) console.log(`* ${type}: ${reason}`); // messages are gone, or the server says goodbye
    if (type === 'closing') goodbye = { ...frame, at: Date.now() + (frame.afterMs ?? 0) };
    if (type === 'joined') frame.messages.forEach(print); // after `since`: exactly what was missed
    if (type === 'joined') console.log(`* in ${room}`);
    if (type === 'message') print({ seq, ...frame });
    if (type === 'joined' || type === 'reset') since = { epoch, seq };
    if (type === 'message') since.seq = seq;
    if (type === 'epoch') since.epoch = epoch; // nothing is gone: the numbers go on under a new name
    if (type === 'error') console.log(`* ${frame.code}: ${frame.message}`);
    if (type === 'error' && frame.id === 1) socket.close(); // not joined: once more, from the start
  });
  socket.on('error', ({ message }) => console.log(`* ${message}`)); // `close` follows
  socket.on('close', () => {
    if (goodbye.reconnect === 'never') process.exit(console.log('* not coming back') ?? 1);
    setTimeout(connect, Math.max(0, goodbye.at - Date.now()) + 500 + Math.random() * 2000); // not all at once
  });
}
connect();
const say = (data) =>
  socket.readyState === 1 ? send({ type: 'publish', room, data }) : console.log('* not sent');
createInterface({ input: process.stdin }).on('line', say);
