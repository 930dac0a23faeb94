-- Sets KEYS[1] to ARGV[2] until the instant ARGV[3] (ms) unless it holds a value as of ARGV[1] or later.
local held = redis.call('GET', KEYS[1])
if held then
    local as_of = tonumber(string.match(held, '^{"as_of":(%d+)'))
    if as_of and as_of >= tonumber(ARGV[1]) then
        return 0
    end
end
redis.call('SET', KEYS[1], ARGV[2], 'PXAT', ARGV[3])
return 1
