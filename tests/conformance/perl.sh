# part: quick
# packages: perl
# set: PERL_HASH_SEED=0
cat > a.pl <<'END'
use strict; use warnings; use POSIX; use Data::Dumper; use List::Util qw(sum shuffle); use Encode;
my %words; open my $in, '<', "$ENV{REPOSITORY}/README.md" or die; while (<$in>) { $words{lc $_}++ for /(\w+)/g }
print join(' ', (sort { $words{$b} <=> $words{$a} || $a cmp $b } keys %words)[0 .. 9]), "\n";
my @tree = map { { id => $_, kids => [1 .. $_ % 5] } } 1 .. 2000; $Data::Dumper::Sortkeys = 1;
print length(Dumper(\@tree)), ' ', sum(map { scalar @{ $_->{kids} } } @tree), "\n";
my $text = 'ab' x 10000; (my $copy = $text) =~ s/(a)(b)/$2$1/g; print substr($copy, 0, 6), length $copy, "\n";
for my $n (1 .. 5) { my $pid = fork; exit $n unless $pid; waitpid $pid, 0; print $? >> 8, ' ' } print "\n";
print `echo from a shell`; local $SIG{ALRM} = sub { print "alarm\n" }; kill ALRM => $$;
eval { die { code => 7 } }; print $@->{code}, "\n"; print encode('UTF-8', decode('UTF-8', "h\xc3\xa9")), "\n"; exit 9;
END
perl a.pl; echo $?; perl -ne 'print if /fn main/' "$REPOSITORY"/*/src/main.rs; perl -MIO::Socket -e 'print "loaded\n"'
