/**
 * How much the generator itself can take, measured before anything else: a
 * result near it says nothing of the server. Three ways of writing are tried,
 * because reading costs by the read as well as by the frame.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { Launched } from '../machine/launch.ts';
import { coresOf } from '../machine/pinning.ts';
import { cpuSeconds } from '../machine/processes.ts';
import type { Ceiling } from './ceiling-text.ts';
import { Load } from './load.ts';

const MAIN = fileURLToPath(new URL('./blaster-main.js', import.meta.url));
const FRAMES_PER_WRITE = [1, 16, 256];
/** As long as a roomcast frame around 100 bytes of data. */
const PAYLOAD_BYTES = 230;
const CONNECTIONS = 1000;

export async function measureCeiling(seconds: number): Promise<Ceiling[]> {
  const ceilings: Ceiling[] = [];
  for (const frames of FRAMES_PER_WRITE) ceilings.push(await blast(frames, seconds));
  return ceilings;
}

async function blast(framesPerWrite: number, seconds: number): Promise<Ceiling> {
  const cores = coresOf();
  const command = [process.execPath, MAIN, String(framesPerWrite), String(PAYLOAD_BYTES)];
  const blaster = new Launched(command, { cores: cores.server });
  const load = new Load(cores.generator);
  try {
    const [, port] = await blaster.printed(/listening on (\d+)/);
    const plan = { rooms: 1, members: CONNECTIONS, publishers: 0 };
    await load.connect('blaster', [{ host: '127.0.0.1', port: Number(port) }], plan);
    process.kill(blaster.pid, 'SIGUSR2');
    await delay(500);
    await load.phase();
    const cpuBefore = cpuSeconds(load.pids);
    const beganAt = performance.now();
    const before = await load.count();
    await delay(seconds * 1000);
    const after = await load.count();
    const cpu = cpuSeconds(load.pids) - cpuBefore;
    const elapsed = (performance.now() - beganAt) / 1000;
    const framesPerSecond = after.reduce((sum, { messages, atUs }, n) => {
      const from = before[n];
      return from ? sum + ((messages - from.messages) * 1e6) / (atUs - from.atUs) : sum;
    }, 0);
    const generatorPercent = (100 * cpu) / (elapsed * Math.max(1, cores.generator.length));
    return { framesPerWrite, framesPerSecond, generatorPercent };
  } finally {
    load.stop();
    await blaster.stop();
  }
}
