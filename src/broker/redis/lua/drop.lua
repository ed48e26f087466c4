#!lua flags=allow-oom
-- "This incarnation no longer has the user in the room." Level-triggered, the opposite of hold.
-- KEYS[1] live(partition)
-- KEYS[2] presence(room, incarnation)
-- KEYS[3] members(room)
-- KEYS[4] rooms(incarnation)
-- KEYS[5] meta(room)
-- ARGV[1] incarnation
-- ARGV[2] user
-- ARGV[3] reason: left, closed, node_lost, kicked or expired
-- ARGV[4] room
-- ARGV[5] channel
-- ARGV[6] PUBLISH or SPUBLISH
-- ARGV[7] TTL of meta in s
-- ARGV[8] deadline in ms of Redis time
-- Returns {'ok', presence version}, {'expired'} or {'fenced'} (not applied).
-- Atomic: only the last of several nodes may announce that the user left, and exactly one of them does.
-- Slot: the room's tag. allow-oom: it frees.
local live_key, presence_key, members_key, rooms_key, meta_key = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local incarnation, user, reason, room = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local channel, publish, meta_ttl_s, deadline = ARGV[5], ARGV[6], ARGV[7], ARGV[8]

local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
if now > tonumber(deadline) then
  return {'expired'}
end
if not redis.call('ZSCORE', live_key, incarnation) then
  return {'fenced'}
end

redis.call('HDEL', presence_key, user)
if redis.call('EXISTS', presence_key) == 0 then
  redis.call('SREM', rooms_key, room)
end

local previous = tonumber(redis.call('HGET', meta_key, 'pv') or 0)
local old = redis.call('HGET', members_key, user)
if not old then
  return {'ok', string.format('%d', previous)}
end
local holders = string.match(old, '^[^\n]*')
local others = {}
for holder in string.gmatch(holders, '%S+') do
  if holder ~= incarnation then
    others[#others + 1] = holder
  end
end
if #others > 0 then
  local new = table.concat(others, ' ') .. string.sub(old, #holders + 1)
  if new ~= old then
    redis.call('HSET', members_key, user, new)
  end
  return {'ok', string.format('%d', previous)}
end

redis.call('HDEL', members_key, user)
local version = string.format('%d', math.max(previous + 1, time[1] * 1000000 + time[2]))
redis.call('HSET', meta_key, 'pv', version)
redis.call('EXPIRE', meta_key, meta_ttl_s)
redis.call(publish, channel, '1P' .. string.format('%d', previous) .. ':' .. version .. ':leave:' .. reason
  .. '\n' .. user)
return {'ok', version}
