#!lua
-- Moves the read mark of an inbox forward: never back, never beyond the top, never to a message that was lost.
-- KEYS[1] meta(room)   hash: e epoch, s seq, l lineage "token:firstSeq;…", m read mark "e.token:seq"
-- ARGV[1] epoch of the position ("e" of "e.token")
-- ARGV[2] its token
-- ARGV[3] its seq
-- ARGV[4] TTL of meta in s
-- Returns {'ok', the mark "e.token:seq" as it is now} or {'void'}: the position is none of the present stream, nothing changed.
-- Atomic: two devices that mark at once must not set each other back.
-- Slot: the room's tag. Needs no deadline: a mark that lands late moves nothing back.
local meta_key = KEYS[1]
local new_epoch, new_token, new_seq, meta_ttl_s = ARGV[1], ARGV[2], ARGV[3], ARGV[4]

local meta = redis.call('HMGET', meta_key, 'e', 's', 'l', 'm')
local epoch, top, lineage, mark = meta[1], tonumber(meta[2] or 0), meta[3], meta[4]

-- As in read.lua: a position stands where its term is known here and reached as far.
local function stands(of_epoch, of_token, of_seq)
  if not epoch or of_epoch ~= epoch then
    return false
  end
  local _, colon = string.find(';' .. lineage, ';' .. of_token .. ':', 1, true)
  if not colon then
    return false
  end
  local next_start = string.match(lineage, '^%d+;%x+:(%d+);', colon)
  return of_seq <= (next_start and tonumber(next_start) - 1 or top)
end

if not stands(new_epoch, new_token, tonumber(new_seq)) then
  return {'void'}
end
-- A mark that no longer stands is replaced, however high: it counts messages that are gone.
if mark then
  local old_epoch, old_token, old_seq = string.match(mark, '^(%x+)%.(%x+):(%d+)$')
  if old_epoch and tonumber(old_seq) >= tonumber(new_seq) and stands(old_epoch, old_token, tonumber(old_seq)) then
    return {'ok', mark}
  end
end
mark = new_epoch .. '.' .. new_token .. ':' .. string.format('%d', tonumber(new_seq))
redis.call('HSET', meta_key, 'm', mark)
redis.call('EXPIRE', meta_key, meta_ttl_s)
return {'ok', mark}
