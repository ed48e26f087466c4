/** What the generator can take, and how that is said. */

export interface Ceiling {
  readonly framesPerWrite: number;
  readonly framesPerSecond: number;
  /** How busy the generator's cores were. Well under 100: the blaster was the slower of the two. */
  readonly generatorPercent: number;
}

export function ceilingText({ framesPerWrite, framesPerSecond, generatorPercent }: Ceiling): string {
  const count = Math.round(framesPerSecond).toLocaleString('en-US');
  return `${framesPerWrite} frames per write: ${count} frames/s at ${Math.round(generatorPercent)} % of its cores`;
}
