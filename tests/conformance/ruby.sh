# packages: ruby
cat > a.rb <<'END'
require 'json'; require 'digest'; require 'set'
text = File.read(ENV['REPOSITORY'] + '/README.md')
puts text.scan(/\w+/).tally.sort_by { |word, n| [-n, word] }.first(5).inspect
puts Digest::SHA256.hexdigest(JSON.generate((1..20000).to_h { |i| [i.to_s, [i] * 3] }))
puts (1..20).map { |i| Thread.new { (1..i * 100).sum } }.sum(&:value)
puts `echo child`; pid = fork { exit 5 }; Process.wait pid; puts $?.exitstatus
begin; raise ArgumentError, 'x'; rescue => e; puts e.class; end; GC.start; puts Set.new((1..1000).map { |i| i % 77 }).size; exit 6
END
ruby a.rb; echo $?; ruby -ne 'puts $_ if /fn main/' "$REPOSITORY"/analyzer/src/main.rs
