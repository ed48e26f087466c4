#!lua flags=allow-oom
-- Proves that what is published on this link is heard on the other one.
-- KEYS[1] canary(partition)   string: counter
-- ARGV[1] channel
-- ARGV[2] PUBLISH or SPUBLISH
-- ARGV[3] TTL of the counter in s
-- Returns {counter, run id of this Redis ('' where INFO does not tell it)}; publishes '1C<counter>:<run id>'.
-- The run id goes both ways, so that the links can be compared: a subscriber hears the canaries of its primary
--   also while it hangs on a replica, and only the run id that its own link's INFO tells shows the difference.
--   master_replid would not do: a primary and its replicas share it.
-- Atomic: counter and announcement are one step, so the counters heard have no gap unless something was missed.
--   A write and not a plain PUBLISH: an isolated old primary that refuses writes would still publish.
-- Slot: the partition's tag. allow-oom: a full Redis refuses messages, but its links are sound;
--   NOREPLICAS and READONLY still refuse it.
local canary_key = KEYS[1]
local channel, publish, ttl_s = ARGV[1], ARGV[2], ARGV[3]

local run_id = string.match(redis.call('INFO', 'server'), 'run_id:(%x+)') or ''
local counter = redis.call('INCR', canary_key)
redis.call('EXPIRE', canary_key, ttl_s)
redis.call(publish, channel, string.format('1C%d:%s', counter, run_id))
return {counter, run_id}
