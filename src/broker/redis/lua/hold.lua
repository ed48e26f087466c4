#!lua
-- "This incarnation has the user in the room." Level-triggered: any number of times, same result.
-- KEYS[1] live(partition)              sorted set: incarnations that hold a lease
-- KEYS[2] presence(room, incarnation)  hash: user -> ms since this node has them; by it a dead node is reaped
-- KEYS[3] members(room)                hash: user -> "holder holder\nsince\nstate"
-- KEYS[4] rooms(incarnation)           set: rooms to clean if it dies
-- KEYS[5] meta(room)                   hash: pv presence version (microseconds)
-- ARGV[1] incarnation
-- ARGV[2] user
-- ARGV[3] state, JSON text
-- ARGV[4] '1' the user changed its state, '0' use it only where the user is new
-- ARGV[5] room
-- ARGV[6] channel
-- ARGV[7] PUBLISH or SPUBLISH
-- ARGV[8] TTL of meta in s
-- ARGV[9] deadline in ms of Redis time
-- Returns {'ok', presence version}, {'expired'} or {'fenced'} (not applied: this incarnation holds no lease).
-- Atomic: whether the user is new must be decided for all nodes at once, or two first tabs would join twice;
--   lease, index, members and version must agree, or a reaper would leave a ghost.
-- Slot: the room's tag.
local live_key, presence_key, members_key, rooms_key, meta_key = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local incarnation, user, offered, stated = ARGV[1], ARGV[2], ARGV[3], ARGV[4] == '1'
local room, channel, publish, meta_ttl_s, deadline = ARGV[5], ARGV[6], ARGV[7], ARGV[8], ARGV[9]

local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
-- A write stuck in a socket must not land after a newer one.
if now > tonumber(deadline) then
  return {'expired'}
end
-- A node that was declared dead must not write what a reaper has already cleaned.
if not redis.call('ZSCORE', live_key, incarnation) then
  return {'fenced'}
end

redis.call('SADD', rooms_key, room)
redis.call('HSETNX', presence_key, user, string.format('%d', now))

local old = redis.call('HGET', members_key, user)
local holders, since, state, event = '', string.format('%d', now), offered, 'join'
if old then
  holders, since, state = string.match(old, '^([^\n]*)\n(%d+)\n(.*)$')
  event = nil
  if stated and state ~= offered then
    state, event = offered, 'update'
  end
end
-- A list and not a count: repeats and lost keys cannot make it drift.
if not string.find(' ' .. holders .. ' ', ' ' .. incarnation .. ' ', 1, true) then
  holders = holders == '' and incarnation or holders .. ' ' .. incarnation
end
local new = holders .. '\n' .. since .. '\n' .. state
if new ~= old then
  redis.call('HSET', members_key, user, new)
end

local previous = tonumber(redis.call('HGET', meta_key, 'pv') or 0)
if not event then
  return {'ok', string.format('%d', previous)}
end
-- Grows for ever, also across loss, rollback and failover: the clock is past every version that was lost.
-- Microseconds, because in milliseconds a storm of joins runs ahead of the clock, and a loss then repeats versions.
local version = string.format('%d', math.max(previous + 1, time[1] * 1000000 + time[2]))
redis.call('HSET', meta_key, 'pv', version)
redis.call('EXPIRE', meta_key, meta_ttl_s)
redis.call(publish, channel, '1P' .. string.format('%d', previous) .. ':' .. version .. ':' .. event
  .. '\n' .. user .. '\n' .. since .. '\n' .. state)
return {'ok', version}
