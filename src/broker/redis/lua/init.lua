#!lua
-- Gives a room that has no epoch its first one, and keeps the meta of a held room alive.
-- KEYS[1] meta(room)
-- KEYS[2] log(room)
-- ARGV[1] random seed, another one for each call
-- ARGV[2] TTL of meta in s
-- Returns 1 created, 0 was there.
-- Atomic: of two nodes that open a room at once, one names its epoch and both read it. A log without
--   meta belongs to an earlier life and goes, or its entries would appear under the new epoch.
-- Slot: the room's tag.
local meta_key, log_key = KEYS[1], KEYS[2]
local seed, meta_ttl_s = ARGV[1], ARGV[2]

redis.call('EXPIRE', meta_key, meta_ttl_s)
if redis.call('HEXISTS', meta_key, 'e') == 1 then
  return 0
end
local time = redis.call('TIME')
local digest = redis.sha1hex(seed .. ':' .. time[1] .. ':' .. time[2])
local term = string.sub(string.match(redis.call('INFO', 'replication'), 'master_replid:(%x+)'), 1, 12)
redis.call('DEL', log_key)
redis.call('HSET', meta_key, 'e', string.sub(digest, 1, 10), 's', '0',
  'l', string.sub(digest, 11, 20) .. ':1;', 'r', term)
redis.call('EXPIRE', meta_key, meta_ttl_s)
return 1
