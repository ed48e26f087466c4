/** A worker process: answers the orders of the bench, one at a time or several, until it is disconnected. */
import { wireOf } from '../peers/registry.ts';
import { LoadWorker } from './load-worker.ts';
import type { Reply, Request } from './orders.ts';

const worker = new LoadWorker(wireOf);

process.on('message', (message) => void answer(message as Request));
// The bench is gone, however it ended: nothing may go on loading the machine.
process.on('disconnect', () => process.exit(0));

async function answer({ id, order, argument }: Request): Promise<void> {
  let reply: Reply;
  try {
    const act = worker[order] as (argument: unknown) => Promise<unknown>;
    reply = { id, result: await act.call(worker, argument) };
  } catch (error) {
    reply = { id, error: error instanceof Error ? (error.stack ?? error.message) : String(error) };
  }
  process.send?.(reply);
}
