/**
 * Faults planted into the scripts, one at a time: the model tests are worth what they
 * notice. Each line names the promise that the changed line of Lua keeps.
 */
import type { Mutation } from '../script-caller.ts';

const plant = (script: Mutation['script'], name: string, find: string, put: string): Mutation => {
  return { script, name, find, put };
};

export const ROOM_MUTATIONS: readonly Mutation[] = [
  plant('publish', 'a key is never looked up', "if once_ttl_ms ~= '0' and epoch then", 'if false then'),
  plant(
    'publish',
    'a key is never remembered',
    "redis.call('SET', once_key",
    "redis.call('GET', once_key) --",
  ),
  plant(
    'publish',
    'a key of an earlier life is a duplicate',
    "first and string.sub(first, 1, #epoch + 1) == epoch .. '.'",
    'first',
  ),
  plant('publish', 'the deadline is ignored', "deadline ~= '0' and", 'false and'),
  plant('publish', 'a new term is not recorded', 'elseif last_term ~= term then', 'elseif false then'),
  plant(
    'publish',
    'a term begins one message late',
    "string.format('%d', seq + 1) .. ';'",
    "string.format('%d', seq + 2) .. ';'",
  ),
  plant(
    'publish',
    'terms have no names of their own',
    "lineage = lineage .. fresh(11) .. ':'",
    "lineage = lineage .. 'aaaaaaaaaa:'",
  ),
  plant('publish', 'the lineage grows without end', 'if terms > 16 then', 'if terms > 99 then'),
  plant('publish', 'a taken seq is given again', '#taken == 0 and', ''),
  plant('publish', 'a new life keeps the old log', "  redis.call('DEL', log_key)", ''),
  plant('publish', 'the announcement names another seq', "'1M' .. position", "'1M' .. position .. '0'"),
  plant('publish', 'nothing is announced', "redis.call(publish, channel, '1M'", "redis.call('ECHO', '1M'"),
  plant('read', 'what was lost is not noticed', 'if since > term_end then', 'if since > top then'),
  plant(
    'read',
    'an unknown term is continued',
    "  return reset('lost', 0)\nend\nlocal since =",
    '  colon = 12\nend\nlocal since =',
  ),
  plant('read', 'a hole inside is not noticed', ' or last - since ~= #entries', ''),
  plant(
    'read',
    'a hole at the start is not noticed',
    'seq_of(entries[1]) ~= since + 1 or last - since ~= #entries or ',
    '',
  ),
  plant('read', 'kept entries begin one late', 'top - tonumber(limit)) + 1', 'top - tonumber(limit)) + 2'),
  plant('read', 'kept entries have holes', ' and seq_of(found[#found - count]) == top - count', ''),
  plant('read', 'terms beyond the entries are told', 'tonumber(start) <= last', 'tonumber(start) <= top'),
  plant('read', 'a crossed term is not told', "terms = terms .. begun .. ':' .. start .. ';'", ''),
  plant('read', 'the end is told too early', "last == top and 'ok' or 'more'", "'ok'"),
  plant(
    'init',
    'an existing room is begun again',
    "if redis.call('HEXISTS', meta_key, 'e') == 1 then",
    'if false then',
  ),
  plant('init', 'a new room keeps an old log', "redis.call('DEL', log_key)", ''),
  plant('history', 'messages above the top are shown', 'bound(top + 1),', "'+',"),
  plant('history', 'more is never told', "and '1' or '0'", "and '0' or '0'"),
];

export const PRESENCE_MUTATIONS: readonly Mutation[] = [
  plant(
    'hold',
    'a zombie may write',
    "if not redis.call('ZSCORE', live_key, incarnation) then",
    'if false then',
  ),
  plant('hold', 'a late write lands', 'if now > tonumber(deadline) then', 'if false then'),
  plant('hold', 'every tab joins', '  event = nil', ''),
  plant(
    'hold',
    'a repeat adds a holder',
    "if not string.find(' ' .. holders .. ' ', ' ' .. incarnation .. ' ', 1, true) then",
    'if true then',
  ),
  plant(
    'hold',
    'a join without a state clears it',
    'if stated and state ~= offered then',
    'if state ~= offered then',
  ),
  plant(
    'hold',
    'the index is not written',
    "redis.call('HSETNX', presence_key",
    "redis.call('HGET', presence_key, user) --",
  ),
  plant('hold', 'the room is not noted for reaping', "redis.call('SADD', rooms_key, room)", ''),
  plant(
    'hold',
    'versions start again',
    'math.max(previous + 1, time[1] * 1000000 + time[2])',
    'previous + 1',
  ),
  plant('hold', 'versions are not stored', "redis.call('HSET', meta_key, 'pv', version)", ''),
  plant(
    'drop',
    'a zombie may write',
    "if not redis.call('ZSCORE', live_key, incarnation) then",
    'if false then',
  ),
  plant('drop', 'the first tab to go takes the others along', 'if #others > 0 then', 'if false then'),
  plant('drop', 'the index keeps the user', "redis.call('HDEL', presence_key, user)", ''),
  plant('drop', 'the room stays noted', "  redis.call('SREM', rooms_key, room)", ''),
  plant(
    'drop',
    'the last to go is not announced',
    "redis.call(publish, channel, '1P'",
    "redis.call('ECHO', '1P'",
  ),
  plant('heartbeat', 'no grace after an outage', 'newest_beat and now - newest_beat > lease_ms / 2', 'false'),
  plant('heartbeat', 'no grace after a restart', 'known_term and known_term ~= term', 'false'),
  plant('heartbeat', 'the dead beat again', "redis.call('SISMEMBER', dead_key, incarnation) == 1", 'false'),
  plant('heartbeat', 'a lost lease is taken back in silence', 'if not register and not', 'if false and not'),
  plant('heartbeat', 'a drained node stays for a whole lease', 'now - back_date_ms', 'now'),
  plant('expire', 'the grace is ignored', 'or now < tonumber(grace[2])', ''),
  plant('expire', 'another term judges', 'grace[1] ~= term or', 'not grace[1] or'),
  plant(
    'expire',
    'a frozen node judges',
    'if not own_beat or now - own_beat > lease_ms / 2 then',
    'if false then',
  ),
  plant('expire', 'the dead stay alive', "  redis.call('ZREM', live_key, incarnation)", ''),
  plant(
    'reap',
    'the living are reaped',
    "if redis.call('ZSCORE', live_key, incarnation) then",
    'if false then',
  ),
  plant('reap', 'the dead stay holders', 'if holder ~= incarnation then', 'if true then'),
  plant('reap', 'holders who live are dropped too', 'if #others == 0 then', 'if true then'),
  plant('reap', 'a page is taken twice', "  redis.call('HDEL', presence_key, unpack(users))", ''),
  plant('reap', 'the dead are never done', "  redis.call('SREM', dead_key, incarnation)", ''),
  plant(
    'reap',
    'the first finished room ends it',
    "if redis.call('EXISTS', rooms_key) == 0 then",
    'if true then',
  ),
  plant(
    'audit',
    'the dead are dropped before they are reaped',
    " or redis.call('SISMEMBER', dead_key, holder) == 1",
    '',
  ),
  plant('audit', 'holders that do not exist stay', 'elseif #existing < listed then', 'elseif false then'),
  plant('snapshot', 'the version is of nothing', "redis.call('HGET', meta_key, 'pv') or '0'", "'0'"),
];
