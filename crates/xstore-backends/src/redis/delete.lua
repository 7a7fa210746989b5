-- Deletes objects. KEYS: the names, then a value for each object. ARGV: the names of the objects.
-- The values first: what stops in between leaves names, which are deleted again.
for at, name in ipairs(ARGV) do
  redis.call('DEL', KEYS[at + 1])
  redis.call('ZREM', KEYS[1], name)
end
return #ARGV
