# packages: lua5.4
cat > a.lua <<'END'
local t = {} for i = 1, 100000 do t[i] = { i, tostring(i) } end
table.sort(t, function(a, b) return a[2] < b[2] end) print(t[1][2], t[#t][2])
local words = {} for word in io.open(os.getenv('REPOSITORY') .. '/README.md'):read('a'):gmatch('%w+') do words[word] = (words[word] or 0) + 1 end
print(words.libleak, pcall(error, 'x')) local c = coroutine.wrap(function() for i = 1, 3 do coroutine.yield(i) end end) print(c(), c(), c())
for _ = 1, 100 do collectgarbage() end print(io.popen('echo child'):read('a')) os.exit(3)
END
lua5.4 a.lua; echo $?; luac5.4 -o a.out a.lua && luac5.4 -l a.out | grep -c CALL
