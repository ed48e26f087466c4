#!lua flags=no-writes
-- Everybody in the room.
-- KEYS[1] members(room)
-- KEYS[2] meta(room)
-- ARGV[1] most users to list
-- Returns {presence version, number of users, {user, "holder holder\nsince\nstate", …} or {} above the limit}.
-- Atomic: the version must be that of the list, or the next change would be applied twice or not at all.
-- Slot: the room's tag. no-writes: still answers over maxmemory.
local members_key, meta_key = KEYS[1], KEYS[2]
local limit = tonumber(ARGV[1])

local count = redis.call('HLEN', members_key)
local members = count <= limit and redis.call('HGETALL', members_key) or {}
return {redis.call('HGET', meta_key, 'pv') or '0', count, members}
