-- Stores an object unless its name is taken.
-- KEYS: its value, the names. ARGV: its name, its bytes. Answers 1 when it was created, else 0.
if redis.call('EXISTS', KEYS[1]) == 1 then
  return 0
end
local now = redis.call('TIME')
local stamp = struct.pack('>I8', now[1] * 1000 + math.floor(now[2] / 1000))
-- The name first: where rights or memory end in between, a name without a value is stored again,
-- but a value without a name is never listed.
redis.call('ZADD', KEYS[2], 0, ARGV[1])
redis.call('SET', KEYS[1], stamp .. ARGV[2])
return 1
