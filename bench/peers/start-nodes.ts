/** Starts the nodes of a peer one after the other; if one does not come up, none is left running. */
import type { Launched } from '../machine/launch.ts';
import type { RunningNode, RunningPeer } from './peer.ts';

export const HOST = '127.0.0.1';

/** `launch` starts node n (from 0); `portOf` waits until it can be used and tells its port. */
export async function startNodes(
  count: number,
  launch: (n: number) => Promise<Launched>,
  portOf: (n: number, process: Launched) => Promise<number>,
): Promise<RunningPeer> {
  const processes: Launched[] = [];
  const stop = async () => void (await Promise.all(processes.map((each) => each.stop())));
  try {
    const nodes: RunningNode[] = [];
    for (let n = 0; n < count; n += 1) {
      const process = await launch(n);
      processes.push(process);
      nodes.push({ host: HOST, port: await portOf(n, process), pid: process.pid });
    }
    return { nodes, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}
