#!lua flags=allow-oom
-- Registers an incarnation in a partition or renews its lease, and opens a grace where nobody could beat.
-- KEYS[1] live(partition)    sorted set: incarnation -> ms of its last beat
-- KEYS[2] dead(partition)    set: incarnations to reap
-- KEYS[3] grace(partition)   hash: term, until (ms)
-- ARGV[1] incarnation
-- ARGV[2] '1' register, '0' renew only: a lease that is gone is not taken back in silence
-- ARGV[3] lease in ms
-- ARGV[4] ms to back-date the beat ('0'; the last beat of a drain: lease - 5000, so that peers reap after 5 s)
-- Returns {alive 1|0, now in ms, term}.
-- Atomic: judging the silence and ending it must be one step, or an expire between the two would
--   declare everybody dead after a pause of Redis.
-- Slot: the partition's tag. allow-oom: a node must not be declared dead because memory is full.
local live_key, dead_key, grace_key = KEYS[1], KEYS[2], KEYS[3]
local incarnation, register, lease_ms, back_date_ms = ARGV[1], ARGV[2] == '1', tonumber(ARGV[3]), tonumber(ARGV[4])

local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local term = string.sub(string.match(redis.call('INFO', 'replication'), 'master_replid:(%x+)'), 1, 12)

local newest_beat = redis.call('ZREVRANGE', live_key, 0, 0, 'WITHSCORES')[2]
local known_term = redis.call('HGET', grace_key, 'term')
if (known_term and known_term ~= term) or (newest_beat and now - newest_beat > lease_ms / 2) then
  -- Restart, failover, or nobody could beat (Redis paused, network cut, flip back): the leases prove nothing.
  redis.call('HSET', grace_key, 'term', term, 'until', string.format('%d', now + 2 * lease_ms))
elseif not known_term then
  -- A partition's first beat: there is nobody who could be judged wrongly.
  redis.call('HSET', grace_key, 'term', term, 'until', '0')
end

if redis.call('SISMEMBER', dead_key, incarnation) == 1 then
  return {0, now, term}
end
if not register and not redis.call('ZSCORE', live_key, incarnation) then
  return {0, now, term}
end
redis.call('ZADD', live_key, string.format('%d', now - back_date_ms), incarnation)
return {1, now, term}
