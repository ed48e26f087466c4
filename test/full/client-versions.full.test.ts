/**
 * The built SDK under the Node versions people run: 20 with the WebSocket of `ws`, 22 and 24 with their own.
 */
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { expect, test } from 'vitest';
import { twoNodesBehindHaproxy } from '../client/two-nodes.ts';
import { LocalServer } from '../support/local-server.ts';
import { NODE_VERSIONS, nodeProgram } from '../support/node-versions.ts';

const ROOT = new URL('../..', import.meta.url).pathname;
const SDK = `file://${ROOT}dist/client/index.js`;

const PROGRAM = `
import { connect } from '${SDK}';
import { WebSocket as Ws } from '${ROOT}node_modules/ws/wrapper.mjs';
const options = globalThis.WebSocket ? {} : { WebSocket: Ws };
const client = connect(process.argv[1], { user: 'ann', ...options });
const room = client.join('room');
const seen = [];
room.on('message', ({ data }) => seen.push(data));
await room.publish('before');
client.reconnect();
await room.publish('after');
await room.setState({ mood: 'fine' });
while (seen.length < 2) await new Promise((resolve) => setTimeout(resolve, 5));
console.log(JSON.stringify({ seen, members: [...room.members.keys()], own: !!globalThis.WebSocket }));
client.close();
`;

const hasOwnWebSocket = (version: string): boolean => Number(version.split('.')[0]) >= 22;

/** `line` resolves with the next line of JSON it says, and fails where it ends instead. */
function run(program: string, words: readonly string[]) {
  const child = spawn(program, words);
  const err: Buffer[] = [];
  child.stderr.on('data', (chunk: Buffer) => err.push(chunk));
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const closed = once(child, 'close');
  return {
    line: async (): Promise<unknown> => {
      const { value, done } = await lines.next();
      if (done) throw new Error(`it ended: ${Buffer.concat(err).toString()}`);
      return JSON.parse(value);
    },
    /** Its exit code, and what it complained about. */
    end: async (): Promise<[unknown, string]> => {
      const [exit] = await closed;
      return [exit, Buffer.concat(err).toString()];
    },
    kill: () => child.kill('SIGKILL'),
  };
}

test.each(NODE_VERSIONS)('the built SDK under Node %s', async (version) => {
  const program = nodeProgram(version);
  expect(execFileSync(program, ['--version'], { encoding: 'utf8' }).trim()).toBe(`v${version}`);
  const { url } = await LocalServer.forTest();
  const child = run(program, ['--input-type=module', '--eval', PROGRAM, url]);
  expect(await child.line()).toEqual({
    seen: ['before', 'after'],
    members: ['ann'],
    own: hasOwnWebSocket(version),
  });
  // It ends by itself once the client is closed: nothing of it keeps the process alive.
  expect(await child.end()).toEqual([0, '']);
});

test.each(NODE_VERSIONS)(
  'under Node %s, through HAProxy, one of two nodes killed: all that was acknowledged arrives once',
  async (version) => {
    const { doomed, url } = await twoNodesBehindHaproxy();
    const program = `${ROOT}test/full/client-versions-cluster.mjs`;
    const child = run(nodeProgram(version), [program, url, 'other', SDK]);
    try {
      const { running } = (await child.line()) as { readonly running: readonly string[] };
      expect(new Set(running)).toEqual(new Set(['doomed', 'other']));
      await doomed.kill('SIGKILL');
      const arrived = (await child.line()) as { readonly published: number };
      expect(arrived).toEqual({
        published: expect.any(Number),
        seen: arrived.published,
        resets: [],
        inOrder: true,
        asReceipts: true,
        own: hasOwnWebSocket(version),
      });
      expect(arrived.published).toBeGreaterThan(100);
      expect(await child.end()).toEqual([0, '']);
    } finally {
      child.kill();
    }
  },
  120_000,
);
