#!lua flags=allow-oom
-- Removes a page of users that a dead incarnation held in one room; one event for all who thereby left.
-- KEYS[1] live(partition)
-- KEYS[2] presence(room, incarnation)
-- KEYS[3] members(room)
-- KEYS[4] rooms(incarnation)
-- KEYS[5] meta(room)
-- KEYS[6] dead(partition)
-- ARGV[1] the dead incarnation
-- ARGV[2] room; where rooms(incarnation) is empty any name will do, the call then only ends the reaping
-- ARGV[3] channel
-- ARGV[4] PUBLISH or SPUBLISH
-- ARGV[5] most users a call, up to 1000
-- ARGV[6] reason
-- ARGV[7] TTL of meta in s
-- Returns {'alive', 0} (refused), {'more', users taken} or {'done', users taken}.
-- Atomic: each user is taken by one of several reapers, and a reaper that dies leaves nothing half done.
-- Slot: the room's tag. allow-oom: it frees.
local live_key, presence_key, members_key = KEYS[1], KEYS[2], KEYS[3]
local rooms_key, meta_key, dead_key = KEYS[4], KEYS[5], KEYS[6]
local incarnation, room, channel, publish = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local limit, reason, meta_ttl_s = ARGV[5], ARGV[6], ARGV[7]

if redis.call('ZSCORE', live_key, incarnation) then
  return {'alive', 0}
end

-- Takes and deletes: a scan from 0 would walk again and again over what it emptied.
local users = redis.call('HRANDFIELD', presence_key, limit)
if #users > 0 then
  redis.call('HDEL', presence_key, unpack(users))
end

local gone = {}
for _, user in ipairs(users) do
  local old = redis.call('HGET', members_key, user)
  if old then
    local holders = string.match(old, '^[^\n]*')
    local others = {}
    for holder in string.gmatch(holders, '%S+') do
      if holder ~= incarnation then
        others[#others + 1] = holder
      end
    end
    if #others == 0 then
      redis.call('HDEL', members_key, user)
      gone[#gone + 1] = user
    else
      redis.call('HSET', members_key, user, table.concat(others, ' ') .. string.sub(old, #holders + 1))
    end
  end
end

if #gone > 0 then
  local time = redis.call('TIME')
  local previous = tonumber(redis.call('HGET', meta_key, 'pv') or 0)
  local version = string.format('%d', math.max(previous + 1, time[1] * 1000000 + time[2]))
  redis.call('HSET', meta_key, 'pv', version)
  redis.call('EXPIRE', meta_key, meta_ttl_s)
  redis.call(publish, channel, '1P' .. string.format('%d', previous) .. ':' .. version .. ':leave:' .. reason
    .. '\n' .. table.concat(gone, '\n'))
end

if redis.call('EXISTS', presence_key) == 1 then
  return {'more', #users}
end
redis.call('SREM', rooms_key, room)
if redis.call('EXISTS', rooms_key) == 0 then
  redis.call('SREM', dead_key, incarnation)
end
return {'done', #users}
