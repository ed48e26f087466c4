/**
 * What one Redis should hold of a room and answer about it, in plain TypeScript: the
 * pure half of the publish model test. States never change, they are replaced, so
 * that a server that lost its tail can be compared with every state it had before.
 *
 * Messages form a tree: each knows the one before it. A server's history is the path
 * to its tip, so "this reader saw something that is no longer there" is the question
 * whether a message lies on that path.
 */
export interface Message {
  /** Unique per application: a key that was applied twice has two messages. */
  readonly payload: string;
  readonly seq: number;
  /** "e.token" of its receipt. */
  readonly epoch: string;
  readonly key: string | undefined;
  readonly before: Message | undefined;
}

export interface Term {
  readonly token: string;
  readonly start: number;
}

export interface RoomState {
  /** The life of the room; undefined where there is no meta. */
  readonly life: string | undefined;
  readonly seq: number;
  readonly tip: Message | undefined;
  readonly lineage: readonly Term[];
  /** The term of the Redis that wrote last. */
  readonly writtenIn: string;
  /** Ascending. Above `seq` only where meta was rolled back alone. */
  readonly log: readonly Message[];
  readonly once: ReadonlyMap<string, string>;
}

export const EMPTY_ROOM: RoomState = {
  life: undefined,
  seq: 0,
  tip: undefined,
  lineage: [],
  writtenIn: '',
  log: [],
  once: new Map(),
};

/** Of a lineage; a position of an older term is lost. */
export const TERMS_KEPT = 16;

export type PublishPrediction =
  | { readonly kind: 'dup'; readonly position: string }
  | { readonly kind: 'expired' }
  /** A name that is not given must be a new one, never seen before. */
  | { readonly kind: 'ok'; readonly seq: number; readonly life?: string; readonly token?: string };

export function predictPublish(
  state: RoomState,
  serverTerm: string,
  key: string | undefined,
  expired: boolean,
): PublishPrediction {
  const first = key === undefined ? undefined : state.once.get(key);
  if (state.life !== undefined && first?.startsWith(`${state.life}.`))
    return { kind: 'dup', position: first };
  if (expired) return { kind: 'expired' };
  if (state.life === undefined || isRolledBack(state)) return { kind: 'ok', seq: 1 };
  const seq = state.seq + 1;
  if (state.writtenIn !== serverTerm) return { kind: 'ok', seq, life: state.life };
  return { kind: 'ok', seq, life: state.life, token: lastToken(state) };
}

/** The state after a publish that was answered with this position. */
export function afterPublish(
  state: RoomState,
  serverTerm: string,
  message: Omit<Message, 'before'>,
  keep: number,
): RoomState {
  const [life = '', token = ''] = message.epoch.split('.');
  const position = `${message.epoch}:${message.seq}`;
  const once = message.key === undefined ? state.once : new Map(state.once).set(message.key, position);
  if (life !== state.life) {
    const first = { ...message, before: undefined };
    return {
      life,
      seq: 1,
      tip: first,
      lineage: [{ token, start: 1 }],
      writtenIn: serverTerm,
      log: [first],
      once,
    };
  }
  const tip = { ...message, before: state.tip };
  const lineage =
    token === lastToken(state) ? state.lineage : [...state.lineage, { token, start: message.seq }];
  return {
    life,
    seq: message.seq,
    tip,
    lineage: lineage.slice(-TERMS_KEPT),
    writtenIn: serverTerm,
    log: [...state.log, tip].slice(-keep),
    once,
  };
}

export interface ReadPrediction {
  readonly verdict: string;
  readonly epoch: string;
  readonly entries: readonly Message[];
  readonly terms: readonly Term[];
}

export function predictRead(
  state: RoomState,
  since: { readonly epoch: string; readonly seq: number } | undefined,
  limit: number,
): ReadPrediction {
  const top = `${state.life}.${lastToken(state)}`;
  const broken = (verdict: string, from: number): ReadPrediction => {
    const entries = isRolledBack(state) ? [] : contiguousTail(state).filter((kept) => kept.seq > from);
    return { verdict, epoch: top, entries: entries.slice(-limit), terms: [] };
  };
  if (state.life === undefined) return { verdict: 'absent', epoch: '', entries: [], terms: [] };
  if (since === undefined) return { verdict: 'fresh', epoch: top, entries: [], terms: [] };

  const [life, token] = since.epoch.split('.');
  const index = state.lineage.findIndex((term) => term.token === token);
  if (life !== state.life || index < 0) return broken('lost', 0);
  const later = state.lineage.slice(index + 1);
  const end = later[0] === undefined ? state.seq : later[0].start - 1;
  if (since.seq > end) return broken('diverged', end);

  const entries = state.log.filter((kept) => kept.seq > since.seq).slice(0, limit);
  const last = since.seq + (since.seq < state.seq ? entries.length : 0);
  if (since.seq < state.seq) {
    const contiguous = entries.every((entry, i) => entry.seq === since.seq + 1 + i);
    if (entries.length === 0 || !contiguous || last > state.seq) return broken('trimmed', since.seq);
  }
  const terms = later.filter((term) => term.start <= last);
  return {
    verdict: last === state.seq ? 'ok' : 'more',
    epoch: `${life}.${terms.at(-1)?.token ?? token}`,
    entries: since.seq < state.seq ? entries : [],
    terms,
  };
}

export function predictHistory(
  state: RoomState,
  before: number | undefined,
  after: number | undefined,
  limit: number,
): { readonly entries: readonly Message[]; readonly more: boolean } {
  const kept = state.log.filter((entry) => entry.seq <= state.seq);
  if (after !== undefined) {
    const found = kept.filter((entry) => entry.seq > after);
    return { entries: found.slice(0, limit), more: found.length > limit };
  }
  const found = kept.filter((entry) => before === undefined || entry.seq < before);
  return { entries: found.slice(-limit), more: found.length > limit };
}

/** Everything of a state that Redis stores, as one comparable text. */
export function describeState(state: RoomState): string {
  const lineage = state.lineage.map((term) => `${term.token}:${term.start};`).join('');
  const log = state.log.map((entry) => `${entry.seq}=${entry.payload}`).join(' ');
  const once = [...state.once].map(([key, position]) => `${key}=${position}`).toSorted();
  const meta =
    state.life === undefined ? 'no meta' : [state.life, state.seq, lineage, state.writtenIn].join(' ');
  return `${meta} | ${log} | ${once.join(' ')}`;
}

export function isRolledBack(state: RoomState): boolean {
  return state.life !== undefined && (state.log.at(-1)?.seq ?? 0) > state.seq;
}

/** The message of this seq on the way to `tip`; undefined for 0 and where the way ends before. */
export function ancestorAt(tip: Message | undefined, seq: number): Message | undefined {
  let message = tip;
  while (message !== undefined && message.seq > seq) message = message.before;
  return message?.seq === seq ? message : undefined;
}

function contiguousTail(state: RoomState): Message[] {
  const tail: Message[] = [];
  for (let i = state.log.length - 1, seq = state.seq; i >= 0; i--, seq--) {
    const entry = state.log[i];
    if (entry?.seq !== seq) break;
    tail.unshift(entry);
  }
  return tail;
}

function lastToken(state: RoomState): string {
  return state.lineage.at(-1)?.token ?? '';
}
