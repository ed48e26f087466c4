#!lua
-- Tells how many connections of a user one incarnation has, and answers the sum over all living ones.
-- KEYS[1] live(partition)
-- KEYS[2] connections(user)   hash: incarnation -> number of connections
-- ARGV[1] incarnation
-- ARGV[2] its number of connections; 0 removes it
-- ARGV[3] TTL of the hash in s, renewed by each call: longer than a connection may live unchanged
-- ARGV[4] deadline in ms of Redis time
-- Returns {'ok', sum}, {'expired'} or {'fenced'} (not applied: this incarnation holds no lease).
-- Atomic: two nodes that admit a connection each must not both see the sum before the other.
-- Slot: the tag of the partition of room "@<user>".
local live_key, connections_key = KEYS[1], KEYS[2]
local incarnation, count, ttl_s, deadline = ARGV[1], tonumber(ARGV[2]), ARGV[3], ARGV[4]

local time = redis.call('TIME')
if time[1] * 1000 + math.floor(time[2] / 1000) > tonumber(deadline) then
  return {'expired'}
end
if not redis.call('ZSCORE', live_key, incarnation) then
  return {'fenced'}
end

if count > 0 then
  redis.call('HSET', connections_key, incarnation, string.format('%d', count))
else
  redis.call('HDEL', connections_key, incarnation)
end

-- Nobody reaps this hash: the dead are taken out by whoever counts next.
local sum = 0
local counts = redis.call('HGETALL', connections_key)
for i = 1, #counts, 2 do
  if redis.call('ZSCORE', live_key, counts[i]) then
    sum = sum + tonumber(counts[i + 1])
  else
    redis.call('HDEL', connections_key, counts[i])
  end
end
redis.call('EXPIRE', connections_key, ttl_s)
return {'ok', sum}
