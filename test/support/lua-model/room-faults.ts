/**
 * What happens to the Redis of the publish model test: keys are deleted or set back,
 * one server is restarted, emptied or cut, two are synced, promoted and split.
 */
import type { Keys } from '../../../src/broker/redis/keys.ts';
import type { Seeded } from '../seeded.ts';
import { cutAofTail } from './aof.ts';
import { ancestorAt, isRolledBack, type RoomState } from './room-model.ts';
import type { Reader } from './room-reader.ts';
import { ONCE_NAMES, type RoomServer } from './room-server.ts';
import type { RunLog } from './run-log.ts';

export interface FaultContext {
  readonly chance: Seeded;
  readonly log: RunLog;
  readonly keys: Keys;
  /** Without damage and loss of everything, lives grow old and see many terms. */
  readonly gentle: boolean;
  readonly readers: readonly Reader[];
}

export async function damageRoom(context: FaultContext, server: RoomServer, room: string): Promise<void> {
  const { chance, keys } = context;
  const state = server.stateOf(room);
  const kinds = ['term', 'meta', 'log', 'entry', 'once', 'rollback', 'rollback'] as const;
  const kind = context.gentle ? 'term' : chance.pick(kinds);
  const change = (next: Partial<RoomState>): void => server.replaceState(room, { ...state, ...next });
  // Two damages of one room at once are beyond what its keys can tell: the log must prove the rollback.
  if (isRolledBack(state) && (kind === 'log' || kind === 'entry' || kind === 'rollback')) return;
  context.log.note(`damage ${kind} of ${room}`);
  context.log.count(`damage ${kind}`);
  if (kind === 'term') {
    // As after a restart, without one: the next message finds that another term wrote before it.
    if (state.life === undefined) return;
    await server.client.hset(keys.meta(room), 'r', '0123456789ab');
    change({ writtenIn: '0123456789ab' });
  } else if (kind === 'meta') {
    await server.client.del(keys.meta(room));
    change({ life: undefined, seq: 0, tip: undefined, lineage: [], writtenIn: '' });
  } else if (kind === 'log') {
    await server.client.del(keys.log(room));
    change({ log: [] });
  } else if (kind === 'entry') {
    const entry = state.log.at(chance.between(0, Math.max(0, state.log.length - 2)));
    if (entry === undefined || entry === state.log.at(-1)) return;
    const found = await server.client.xrange(keys.log(room), `${entry.seq}-0`, '+', 'COUNT', 1);
    await server.client.xdel(keys.log(room), found[0]?.[0] ?? '');
    change({ log: state.log.filter((kept) => kept !== entry) });
  } else if (kind === 'once') {
    const name = chance.pick(ONCE_NAMES);
    await server.client.del(server.onceKey(room, name));
    change({ once: new Map([...state.once].filter(([kept]) => kept !== name)) });
  } else {
    await rollBackMeta(context, server, room, state);
  }
}

/** Meta alone as it was up to three messages ago, in the same life, with the log intact. */
async function rollBackMeta(
  { chance, keys }: FaultContext,
  server: RoomServer,
  room: string,
  state: RoomState,
): Promise<void> {
  const seq = state.seq - chance.between(1, 3);
  const tip = ancestorAt(state.tip, seq);
  const token = tip?.epoch.split('.')[1];
  const end = state.lineage.findIndex((term) => term.token === token);
  if (tip === undefined || end < 0 || state.log.at(-1)?.seq !== state.seq) return;
  const lineage = state.lineage.slice(0, end + 1);
  const text = lineage.map((term) => `${term.token}:${term.start};`).join('');
  await server.client.hset(keys.meta(room), 's', seq, 'l', text);
  server.replaceState(room, { ...state, seq, tip, lineage });
}

/** One server with an append-only file: stopped hard, and back with all, some or none of its data. */
export async function breakSingle(context: FaultContext, server: RoomServer): Promise<void> {
  const { chance, log } = context;
  const kinds = context.gentle ? (['restart', 'cut'] as const) : (['restart', 'cut', 'empty'] as const);
  const kind = chance.pick(kinds);
  log.note(kind);
  log.count(kind);
  const before = server.describe();
  await server.redis.kill();
  if (kind === 'cut') cutAofTail(server.redis.dir, server.aofStart, chance.fraction());
  await server.redis.restart({ empty: kind === 'empty' });
  await server.connect();
  if (kind === 'empty') server.past = [new Map()];
  if (kind === 'restart') server.forgetPast();
  await server.findPast();
  if (kind === 'cut' && server.describe() !== before) log.count('tail lost');
}

/** Two servers without one: the next thing that can happen to them. */
export async function breakPair(
  context: FaultContext,
  servers: readonly [RoomServer, RoomServer],
): Promise<void> {
  const { chance, log } = context;
  const [one, other] = servers;
  const [primary, second] =
    one.primary && (!other.primary || chance.chance(0.5)) ? [one, other] : [other, one];
  if (!second.primary) {
    await reachedBy(primary, second, String(chance.fraction()));
    return promote(context, primary, second);
  }
  const gentle = ['flip', 'heal', 'heal'] as const;
  const kind = chance.pick(context.gentle ? gentle : ([...gentle, 'flip', 'empty', 'snapshot'] as const));
  log.note(kind);
  log.count(kind);
  if (kind === 'flip') {
    const side = chance.between(0, 1);
    for (const reader of context.readers) if (chance.chance(0.8)) reader.server = side;
  } else if (kind === 'heal') {
    await replicate(primary, second);
    // At once: what the old primary writes from here on is the tail that the new one never gets.
    if (chance.chance(0.8)) await promote(context, primary, second);
  } else {
    await second.redis.restart({ empty: kind === 'empty' });
    await second.connect();
    if (kind === 'empty') second.synced = [new Map()];
    second.past = second.synced;
    await second.findPast();
  }
}

async function replicate(primary: RoomServer, replica: RoomServer): Promise<void> {
  await replica.client.replicaof('127.0.0.1', primary.redis.port);
  await until(async () => (await replica.client.info('replication')).includes('master_link_status:up'));
  await replica.changeRole(false);
  primary.forgetPast();
  replica.synced = [...replica.synced, new Map(primary.rooms)];
  // The first replica of a primary gives it a replication log and with it a new id.
  await primary.learnTerm();
}

/** Redis begins to stream with the replica's next acknowledgement, so this may take a second. */
async function reachedBy(primary: RoomServer, replica: RoomServer, fence: string): Promise<void> {
  await primary.client.set('model:fence', fence);
  await until(async () => (await replica.client.get('model:fence')) === fence);
}

/** The replica becomes a primary, and the old one goes on: a split brain until they are healed. */
async function promote({ log }: FaultContext, primary: RoomServer, replica: RoomServer): Promise<void> {
  log.note('promote');
  log.count('promote');
  await replica.client.replicaof('NO', 'ONE');
  await replica.changeRole(true);
  await replica.takeHeard();
  replica.past = [...primary.past];
  await replica.findPast();
}

async function until(holds: () => Promise<boolean>): Promise<void> {
  const deadline = performance.now() + 10_000;
  while (!(await holds())) {
    if (performance.now() > deadline) throw new Error('not reached in 10 s');
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}
