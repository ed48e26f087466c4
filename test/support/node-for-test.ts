/** A node that ends with the test that started it. */
import { onTestFinished } from 'vitest';
import { NodeProcess } from './node-process.ts';

export async function nodeForTest(env: Record<string, string>, port = 0): Promise<NodeProcess> {
  const node = await NodeProcess.start(env, port);
  onTestFinished(async () => {
    await node.kill('SIGKILL');
  });
  return node;
}
