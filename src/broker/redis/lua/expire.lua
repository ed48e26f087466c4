#!lua flags=allow-oom
-- Moves incarnations whose lease ran out from live to dead. Any node may call it, there is no leader.
-- KEYS[1] live(partition)
-- KEYS[2] dead(partition)
-- KEYS[3] grace(partition)
-- ARGV[1] incarnation of the caller
-- ARGV[2] lease in ms
-- Returns the incarnations to reap, those that an earlier reaper left behind included.
-- Atomic: from the moment an incarnation is dead it must be refused everywhere, or its writes would
--   mix with those of the reaper.
-- Slot: the partition's tag. allow-oom: it leads to freeing.
local live_key, dead_key, grace_key = KEYS[1], KEYS[2], KEYS[3]
local caller, lease_ms = ARGV[1], tonumber(ARGV[2])

local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local term = string.sub(string.match(redis.call('INFO', 'replication'), 'master_replid:(%x+)'), 1, 12)

-- The grace is opened by heartbeat. A term it has not seen yet: somebody has to beat first.
local grace = redis.call('HMGET', grace_key, 'term', 'until')
if grace[1] ~= term or now < tonumber(grace[2]) then
  return {}
end
-- Who could not beat itself for half a lease has no business judging others.
local own_beat = redis.call('ZSCORE', live_key, caller)
if not own_beat or now - own_beat > lease_ms / 2 then
  return {}
end

local oldest_allowed = string.format('%d', now - lease_ms)
for _, incarnation in ipairs(redis.call('ZRANGEBYSCORE', live_key, '-inf', oldest_allowed, 'LIMIT', 0, 20)) do
  redis.call('ZREM', live_key, incarnation)
  redis.call('SADD', dead_key, incarnation)
end
return redis.call('SMEMBERS', dead_key)
