#!lua flags=allow-oom
-- Repairs one page of members(room): a holder that is neither live nor dead does not exist.
-- KEYS[1] live(partition)
-- KEYS[2] dead(partition)
-- KEYS[3] members(room)
-- KEYS[4] meta(room)
-- ARGV[1] cursor, '0' to begin
-- ARGV[2] users looked at per call, about
-- ARGV[3] channel
-- ARGV[4] PUBLISH or SPUBLISH
-- ARGV[5] TTL of meta in s
-- Returns {next cursor ('0': finished), users who thereby left}.
-- Atomic: a holder must not register between the look at its lease and its removal.
-- Slot: the room's tag. allow-oom: it frees.
local live_key, dead_key, members_key, meta_key = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local cursor, count, channel, publish, meta_ttl_s = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5]

local page = redis.call('HSCAN', members_key, cursor, 'COUNT', count)
local gone = {}
for i = 1, #page[2], 2 do
  local user, old = page[2][i], page[2][i + 1]
  local holders = string.match(old, '^[^\n]*')
  local existing, listed = {}, 0
  for holder in string.gmatch(holders, '%S+') do
    listed = listed + 1
    if redis.call('ZSCORE', live_key, holder) or redis.call('SISMEMBER', dead_key, holder) == 1 then
      existing[#existing + 1] = holder
    end
  end
  if #existing == 0 then
    redis.call('HDEL', members_key, user)
    gone[#gone + 1] = user
  elseif #existing < listed then
    redis.call('HSET', members_key, user, table.concat(existing, ' ') .. string.sub(old, #holders + 1))
  end
end

if #gone > 0 then
  local time = redis.call('TIME')
  local previous = tonumber(redis.call('HGET', meta_key, 'pv') or 0)
  local version = string.format('%d', math.max(previous + 1, time[1] * 1000000 + time[2]))
  redis.call('HSET', meta_key, 'pv', version)
  redis.call('EXPIRE', meta_key, meta_ttl_s)
  redis.call(publish, channel, '1P' .. string.format('%d', previous) .. ':' .. version .. ':leave:node_lost'
    .. '\n' .. table.concat(gone, '\n'))
end
return {page[1], #gone}
