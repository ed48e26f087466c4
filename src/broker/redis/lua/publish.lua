#!lua
-- Orders, stores and announces one message: next seq, append to the log, PUBLISH.
-- KEYS[1] meta(room)   hash: e epoch, s seq, l lineage "token:firstSeq;…", r term of the last write, pv
-- KEYS[2] log(room)    stream of "<seq>-<ms>" -> d <logged payload>
-- KEYS[3] once(room, user, key)   position of the first application of this key
-- ARGV[1] logged payload
-- ARGV[2] channel
-- ARGV[3] PUBLISH or SPUBLISH
-- ARGV[4] ms the key is remembered ('0': no key)
-- ARGV[5] messages kept in the log
-- ARGV[6] TTL of the log in s
-- ARGV[7] TTL of meta in s
-- ARGV[8] random seed, another one for each call
-- ARGV[9] deadline in ms of Redis time ('0': none)
-- Returns {'ok', "e.token:seq"}, {'dup', "e.token:seq" of the first time} or {'expired'} (not applied).
-- Atomic: two nodes must not give one seq to two messages, a resend must see either both the message
--   and its key or neither, and subscribers must hear messages in the order of their seq.
-- Slot: the room's tag.
local meta_key, log_key, once_key = KEYS[1], KEYS[2], KEYS[3]
local payload, channel, publish = ARGV[1], ARGV[2], ARGV[3]
local once_ttl_ms, keep, log_ttl_s, meta_ttl_s = ARGV[4], ARGV[5], ARGV[6], ARGV[7]
local seed, deadline = ARGV[8], ARGV[9]

local meta = redis.call('HMGET', meta_key, 'e', 's', 'l', 'r')
local epoch, seq, lineage, last_term = meta[1], tonumber(meta[2] or 0), meta[3], meta[4]

-- Before the deadline: a resend must learn that it was applied. A position of
-- an earlier life of the room is no duplicate, its message is gone.
if once_ttl_ms ~= '0' and epoch then
  local first = redis.call('GET', once_key)
  if first and string.sub(first, 1, #epoch + 1) == epoch .. '.' then
    return {'dup', first}
  end
end

local time = redis.call('TIME')
local now = string.format('%d', time[1] * 1000 + math.floor(time[2] / 1000))
if deadline ~= '0' and tonumber(now) > tonumber(deadline) then
  return {'expired'}
end

-- A term ends at every start and every promotion of a Redis: only master_replid changes at both (run_id does not).
local term = string.sub(string.match(redis.call('INFO', 'replication'), 'master_replid:(%x+)'), 1, 12)

-- Unique per execution, not per message: a resend after a rollback must not get the names of the first time.
local digest
local function fresh(from)
  digest = digest or redis.sha1hex(seed .. ':' .. time[1] .. ':' .. time[2])
  return string.sub(digest, from, from + 9)
end

local function begin_life()
  epoch, seq, lineage = fresh(1), 0, fresh(11) .. ':1;'
  redis.call('DEL', log_key)
end

if not epoch then
  begin_life()
elseif last_term ~= term then
  lineage = lineage .. fresh(11) .. ':' .. string.format('%d', seq + 1) .. ';'
  local _, terms = string.gsub(lineage, ';', '')
  if terms > 16 then
    lineage = string.match(lineage, '^[^;]*;(.*)$')
  end
end

-- The log goes first, being the write that may fail: no seq is taken without a message. It fails where meta is
-- behind the log (rolled back alone); then the numbers above meta are taken, and only another life is honest.
-- XADD does not refuse an equal seq with a later ms: without the XRANGE, one position would name two messages.
seq = seq + 1
local number = string.format('%d', seq)
local taken = redis.pcall('XRANGE', log_key, number .. '-0', '+', 'COUNT', 1)
local added = #taken == 0 and redis.pcall('XADD', log_key, 'MAXLEN', keep, number .. '-' .. now, 'd', payload)
if type(added) ~= 'string' then
  begin_life()
  seq = 1
  redis.call('XADD', log_key, 'MAXLEN', keep, '1-' .. now, 'd', payload)
end

local top = string.format('%d', seq)
redis.call('HSET', meta_key, 'e', epoch, 's', top, 'l', lineage, 'r', term)
redis.call('EXPIRE', meta_key, meta_ttl_s)
redis.call('EXPIRE', log_key, log_ttl_s)

local position = epoch .. '.' .. string.match(lineage, '(%x+):%d+;$') .. ':' .. top
if once_ttl_ms ~= '0' then
  redis.call('SET', once_key, position, 'PX', once_ttl_ms)
end
redis.call(publish, channel, '1M' .. position .. ':' .. now .. '\n' .. payload)
return {'ok', position}
