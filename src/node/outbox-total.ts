/**
 * The node-wide cap on what waits for peers that read too slowly. Each
 * connection is bounded for itself; thousands of them together may still be more
 * memory than the node has. Then the largest go first: they hold the most and
 * read the least, and they resume by their position.
 */
import type { Session } from '../core/session.ts';

/** The sessions to close so that the rest holds at most `bytesMax`, the largest first. 0 = no limit. */
export function largestOver(bytesMax: number, sessions: Iterable<Session>): readonly Session[] {
  if (bytesMax === 0) return [];
  const queued: { readonly session: Session; readonly bytes: number }[] = [];
  let total = 0;
  for (const session of sessions) {
    const bytes = session.connection.queuedBytes;
    if (bytes === 0) continue;
    queued.push({ session, bytes });
    total += bytes;
  }
  if (total <= bytesMax) return [];
  const over: Session[] = [];
  for (const { session, bytes } of queued.sort((a, b) => b.bytes - a.bytes)) {
    if (total <= bytesMax) break;
    total -= bytes;
    over.push(session);
  }
  return over;
}
