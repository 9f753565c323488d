# Debian's perl: threads, locks, conditions, random numbers, time, processes.
use strict;
use warnings;
use threads;
use threads::shared;
use Time::HiRes qw(time sleep);
use POSIX ":sys_wait_h";

$| = 1;
my $sum : shared = 0;
my $ready : shared = 0;
my @workers = map {
    my $n = $_;
    threads->create(sub {
        for my $i (1 .. 200) {
            lock($sum);
            $sum += $i * $n;
        }
        { lock($ready); $ready++; cond_broadcast($ready); }
        return threads->tid();
    });
} 1 .. 4;
{ lock($ready); cond_wait($ready) while $ready < 4; }
print "tid ", $_->join(), "\n" for @workers;
die "wrong sum $sum" unless $sum == 201000;
printf "random %.15f, time %.6f, pid %d\n", rand(), time(), $$;
print "hash order: ", join(",", keys %{{map { $_ => 1 } "a" .. "p"}}), "\n";

pipe(my $r, my $w) or die;
my $pid = fork();
if ($pid == 0) {
    close $r;
    print $w "from the child $$\n";
    close $w;
    exit 5;
}
close $w;
print "read: ", scalar <$r>;
waitpid($pid, 0) == $pid && WEXITSTATUS($?) == 5 or die "status $?";
print "backticks: ", `echo hello | tr a-z A-Z`;
local $SIG{ALRM} = sub { die "alarm\n" };
eval { alarm 1; Time::HiRes::alarm(0.02); sleep 5; 1 } or print "caught $@";
printf "sum %d at %.6f\n", $sum, time();
