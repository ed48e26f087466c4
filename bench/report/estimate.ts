/** How long a run will take, said before it begins: nobody should find out after an hour. */

/** What comes once per scenario: the generator's ceiling, and looking for peers. */
const ONCE_SECONDS = 30;
/** Before each measurement the machine is watched. */
const WATCH_SECONDS = 3;

export function estimateSeconds(secondsPerPeer: number, peers: number, runs: number): number {
  return ONCE_SECONDS + peers * runs * (secondsPerPeer + WATCH_SECONDS);
}

/** "about 42 min, until 15:07" */
export function estimateText(seconds: number, now: Date): string {
  const end = new Date(now.getTime() + seconds * 1000);
  const clock = `${String(end.getHours()).padStart(2, '0')}:${String(end.getMinutes()).padStart(2, '0')}`;
  const minutes = Math.max(1, Math.round(seconds / 60));
  const text = minutes < 120 ? `${minutes} min` : `${(seconds / 3600).toFixed(1)} h`;
  return `about ${text}, until ${clock}`;
}
