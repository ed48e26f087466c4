/** Many runs of the cluster simulation, each from a seed: a failure names the seed, and the same seed fails again. */
import { type ClusterOptions, type ClusterResult, simulateCluster } from './cluster-simulation.ts';

export async function simulateClusters(
  firstSeed: number,
  runs: number,
  options: Omit<ClusterOptions, 'seed'>,
): Promise<ClusterResult> {
  const totals = { messages: 0, asks: 0, resets: 0 };
  for (let seed = firstSeed; seed < firstSeed + runs; seed += 1) {
    const result = await simulateCluster({ ...options, seed }).catch((error: unknown) => {
      const fault = error instanceof Error ? error.message : String(error);
      throw new Error(`seed ${seed}: ${fault}`, { cause: error });
    });
    totals.messages += result.messages;
    totals.asks += result.asks;
    totals.resets += result.resets;
  }
  return totals;
}
