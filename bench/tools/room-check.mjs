/**
 * What a member of a room is promised, checked frame by frame, for load tools that only know
 * WebSocket: every message once, in order, `seq` growing by exactly one. It opens nothing and counts
 * nothing itself: `count(name, n)` and `latency(ms)` belong to the tool. Plain JavaScript without
 * imports, because k6 is no Node.
 *
 * Names counted: messages, missing, duplicates, resets, acknowledged, own, refused, closed_by_server.
 */

/** The frames of a virtual user. `at` in the data is when it was published, for the latency. */
export const helloFrame = (user) => ({ type: 'hello', id: 'hello', user });
export const joinFrame = (room) => ({ type: 'join', id: 'join', room, presence: 'none' });
export const publishFrame = (room, n, at) => ({ type: 'publish', id: `p${n}`, room, data: { at, n } });

/** Takes every frame of one connection in one room, in the order they came, and the time `now` in ms. */
export function createRoomCheck({ count, latency }) {
  let seq;
  let me;
  return (frame, now) => {
    switch (frame.type) {
      case 'welcome':
        me = frame.connection;
        break;
      case 'joined':
        seq = frame.seq;
        break;
      case 'message':
        count('messages', 1);
        if (frame.seq > seq + 1) count('missing', frame.seq - seq - 1);
        if (frame.seq <= seq) count('duplicates', 1);
        seq = Math.max(seq, frame.seq);
        // Own messages come back on the same path as everybody's: who saw all of them missed no tail.
        if (frame.from?.connection === me) count('own', 1);
        if (frame.data?.at !== undefined) latency(now - Number(frame.data.at));
        break;
      case 'reset':
        count('resets', 1);
        seq = frame.seq;
        break;
      case 'ok':
        count('acknowledged', 1);
        break;
      case 'error':
        count('refused', 1);
        break;
      case 'closing':
        count('closed_by_server', 1);
        break;
    }
  };
}
