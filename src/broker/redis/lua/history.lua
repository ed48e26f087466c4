#!lua flags=no-writes
-- One page of what a room keeps.
-- KEYS[1] meta(room)
-- KEYS[2] log(room)
-- ARGV[1] before: the page ends right before this seq ('': none)
-- ARGV[2] after: the page begins with the first kept seq above it ('': none; not together with before)
-- ARGV[3] most entries to return; neither before nor after: the newest
-- Returns {'absent'} or {"e.token", top seq, entries ascending, '1'|'0' more are kept in that direction}.
-- Atomic: meta and log must be of one moment, or the page could lie above the top it tells.
-- Slot: the room's tag. no-writes: still answers over maxmemory.
local meta_key, log_key = KEYS[1], KEYS[2]
local before, after, limit = ARGV[1], ARGV[2], tonumber(ARGV[3])

local meta = redis.call('HMGET', meta_key, 'e', 's', 'l')
local epoch, top, lineage = meta[1], tonumber(meta[2] or 0), meta[3]
if not epoch then
  return {'absent'}
end

-- Ids are "<seq>-<ms>" with ms > 0: "<n>-0" lies before n and behind n - 1. Nothing above top is shown:
-- where meta was rolled back alone, the next publish begins another life without it.
local function bound(seq)
  return string.format('%d', seq) .. '-0'
end

-- One entry more than asked tells whether there is more.
local found, page = {}, {}
if after ~= '' then
  found = redis.call('XRANGE', log_key, bound(tonumber(after) + 1), bound(top + 1), 'COUNT', limit + 1)
  for i = 1, math.min(#found, limit) do
    page[i] = found[i]
  end
else
  local stop = before == '' and top + 1 or math.min(tonumber(before), top + 1)
  found = redis.call('XREVRANGE', log_key, bound(stop), '-', 'COUNT', limit + 1)
  for i = math.min(#found, limit), 1, -1 do
    page[#page + 1] = found[i]
  end
end

local token = string.match(lineage, '(%x+):%d+;$')
return {epoch .. '.' .. token, string.format('%d', top), page, #found > limit and '1' or '0'}
