#!lua flags=no-writes
-- What came after a position, or why that cannot be told.
-- KEYS[1] meta(room)
-- KEYS[2] log(room)
-- ARGV[1] epoch of the position ("e" of "e.token")
-- ARGV[2] its token
-- ARGV[3] its seq ('': no position, only the top is asked)
-- ARGV[4] most entries to return
-- Returns {'absent'}: the room has no epoch, run init; or
--   {verdict, "e.token", top seq, entries, terms, presence version}, verdict one of
--   fresh      no position was given
--   ok, more   entries since+1, since+2, …; more: the limit ended them; "e.token" goes with the last entry
--   lost       the life or the term of the position is unknown here
--   diverged   the caller saw more of its term than this server kept
--   trimmed    the range is no longer kept
--   The last three: entries are what is kept after the break, contiguous up to top, at most the limit, with the
--   top's "e.token"; the reset's seq is top - #entries, so that nothing kept is skipped.
--   terms = "token:start;…" begun after the position and covered by the entries: nothing was lost across them,
--   they are announced as `epoch {e.token, seq: start - 1}` before message `start`.
-- Atomic: meta and log must be of one moment, or a write between the two reads would look like a loss.
-- Slot: the room's tag. no-writes: still answers over maxmemory.
local meta_key, log_key = KEYS[1], KEYS[2]
local since_epoch, since_token, since_seq, limit = ARGV[1], ARGV[2], ARGV[3], ARGV[4]

local meta = redis.call('HMGET', meta_key, 'e', 's', 'l', 'pv')
local epoch, top, lineage, version = meta[1], tonumber(meta[2] or 0), meta[3], meta[4] or '0'
if not epoch then
  return {'absent'}
end

local function seq_of(entry)
  return tonumber(string.match(entry[1], '^%d+'))
end

local function answer(verdict, token, entries, terms)
  token = token or string.match(lineage, '(%x+):%d+;$')
  return {verdict, epoch .. '.' .. token, string.format('%d', top), entries or {}, terms or '', version}
end

-- Counts back from the top for as long as the numbers are contiguous: behind a hole begins what is not kept.
local function reset(verdict, from)
  local start = math.max(from, top - tonumber(limit)) + 1
  local found = redis.call('XRANGE', log_key, string.format('%d', start) .. '-0', '+')
  local count = 0
  while found[#found - count] and seq_of(found[#found - count]) == top - count do
    count = count + 1
  end
  local kept = {}
  for i = #found - count + 1, #found do
    kept[#kept + 1] = found[i]
  end
  return answer(verdict, nil, kept)
end

if since_seq == '' then
  return answer('fresh')
end
if epoch ~= since_epoch then
  return reset('lost', 0)
end
-- Tokens are unique in a lineage: one per term.
local _, colon = string.find(';' .. lineage, ';' .. since_token .. ':', 1, true)
if not colon then
  return reset('lost', 0)
end
local since = tonumber(since_seq)
local later_terms = string.match(lineage, '^%d+;(.*)$', colon)
local next_start = string.match(later_terms, '^%x+:(%d+);')
local term_end = next_start and tonumber(next_start) - 1 or top
if since > term_end then
  return reset('diverged', term_end)
end

local entries, last = {}, since
if since < top then
  entries = redis.call('XRANGE', log_key, string.format('%d', since + 1) .. '-0', '+', 'COUNT', limit)
  if not entries[1] then
    return reset('trimmed', since)
  end
  last = seq_of(entries[#entries])
  if seq_of(entries[1]) ~= since + 1 or last - since ~= #entries or last > top then
    return reset('trimmed', since)
  end
end

local token, terms = since_token, ''
for begun, start in string.gmatch(later_terms, '(%x+):(%d+);') do
  if tonumber(start) <= last then
    token = begun
    terms = terms .. begun .. ':' .. start .. ';'
  end
end
return answer(last == top and 'ok' or 'more', token, entries, terms)
