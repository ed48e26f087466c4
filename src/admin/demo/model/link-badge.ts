/**
 * The badge that tells the truth about the connection, in one word and one sentence. Pure: what is known
 * goes in, and the worst of it comes out. "Connected" is said only where what is written now would arrive now.
 */
export interface LinkFacts {
  readonly state: 'connecting' | 'connected' | 'waiting' | 'closed';
  /** With `waiting`, of the page's clock. */
  readonly retryAtMs: number | undefined;
  /** Of the connection before; 1006 where it broke without one. */
  readonly code: number | undefined;
  readonly reason: string | undefined;
  readonly node: string | undefined;
  readonly redis: 'up' | 'down';
  /** Of the room that is looked at. */
  readonly room: 'joining' | 'live' | 'catching-up' | 'left' | undefined;
}

export interface LinkBadge {
  readonly tone: 'good' | 'busy' | 'warn' | 'bad';
  readonly label: string;
  readonly detail: string;
  /** What a screen reader is told: without the seconds, which would be said anew each second. */
  readonly spoken: string;
}

export function linkBadge(facts: LinkFacts, nowMs: number): LinkBadge {
  switch (facts.state) {
    case 'connecting':
      return badge(
        'busy',
        'Connecting…',
        'Opening a connection; what you write is sent as soon as it stands.',
      );
    case 'waiting':
      return waiting(facts, nowMs);
    case 'closed':
      return badge(
        'bad',
        'Disconnected',
        `${closeReason(facts)} Nothing is received until you connect again.`,
      );
    case 'connected':
      return connected(facts);
  }
}

function waiting(facts: LinkFacts, nowMs: number): LinkBadge {
  const seconds = Math.max(0, Math.ceil(((facts.retryAtMs ?? nowMs) - nowMs) / 1000));
  const label = seconds > 0 ? `Reconnecting in ${seconds} s` : 'Reconnecting…';
  const detail = `${closeReason(facts)} What you write meanwhile is sent after the reconnect.`;
  return { ...badge('warn', label, detail), spoken: 'Connection lost, reconnecting' };
}

function connected({ node = 'a node', redis, room }: LinkFacts): LinkBadge {
  if (redis === 'down')
    return badge(
      'warn',
      `Degraded on ${node}`,
      'This node has lost Redis. The connection stays; messages wait here until Redis is back.',
    );
  if (room === 'catching-up')
    return badge('busy', 'Catching up…', `Connected to ${node}; reading what was missed.`);
  if (room === 'joining') return badge('busy', 'Joining…', `Connected to ${node}; entering the room.`);
  if (room === 'left') return badge('bad', 'Not in this room', `Connected to ${node}; this room was left.`);
  return badge('good', `Connected to ${node}`, `Everything you see is current, served by ${node}.`);
}

function badge(tone: LinkBadge['tone'], label: string, detail: string): LinkBadge {
  return { tone, label, detail, spoken: label.replace('…', '') };
}

function closeReason({ code, reason }: LinkFacts): string {
  if (code === undefined) return 'The connection was closed.';
  if (code === 1006) return 'The connection broke without a goodbye.';
  return `The connection was closed with ${code}${reason ? ` (${reason})` : ''}.`;
}
