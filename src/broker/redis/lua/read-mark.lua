#!lua flags=no-writes
-- Up to where the user of an inbox has read.
-- KEYS[1] meta(room)
-- Returns {'absent'}: the room has no epoch, run init; or {"e.token" of now, the mark "e.token:seq", or '' where there is none}.
-- Atomic: a mark and the epoch beside it must be of one moment, or "no mark" could be told with an epoch that it is not of.
-- Slot: the room's tag. no-writes: still answers over maxmemory.
local meta_key = KEYS[1]

local meta = redis.call('HMGET', meta_key, 'e', 'l', 'm')
local epoch, lineage, mark = meta[1], meta[2], meta[3]
if not epoch then
  return {'absent'}
end
return {epoch .. '.' .. string.match(lineage, '(%x+):%d+;$'), mark or ''}
