/** What the generator can take, and how that is said. */

export interface Ceiling {
  readonly framesPerWrite: number;
  readonly framesPerSecond: number;
  /** How busy the generator's cores were. Well under 100: the blaster was the slower of the two. */
  readonly generatorPercent: number;
}

/** Below it the blaster was the slower of the two. */
const FULL_PERCENT = 90;

export function ceilingText({ framesPerWrite, framesPerSecond, generatorPercent }: Ceiling): string {
  const count = Math.round(framesPerSecond).toLocaleString('en-US');
  const busy = Math.round(generatorPercent);
  return `${framesPerWrite} frames per write: ${busy < FULL_PERCENT ? 'at least ' : ''}${count} frames/s at ${busy} % of its cores`;
}
