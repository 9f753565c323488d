# shellcheck shell=bash disable=SC2154,SC2016 # sourced by run.sh; $data, $programs are its own
# The programs that are recorded and replayed, one line each:
#   proof NAME [OPTION...] -- COMMAND [ARG...]
# --same: stdout must also be what the program prints without refork   --status N: it must end with N (128+signal)
# --locks: the lock history's pass goes through it, too
# --in FILE: its stdin   --light: record once more with --chaos and once with --paranoid   --aslr: record with --aslr
# --cpus N: record with it
# --schedule FILE: recorded with this schedule   --delete: the program is a copy, removed before the replay   --users: recorded as one ordinary user, replayed as another

proof true --same --light -- true
proof ls --same -- ls -lR /usr/include
proof bash --locks --same --light -- bash "$here/shell.bash"
proof sort --locks --same -- sort --parallel=4 -S 40M "$data/lines.txt"
proof xz --locks --same -- xz -1 -T2 -c "$data/lines.txt"
proof tar --same -- bash -c 'tar -C "$1" -cf - project words | gzip -n' - "$data"
proof perl --light -- perl "$here/everything.pl"
proof python --locks --light -- /usr/bin/python3 "$here/everything.py"
proof gcc --locks --same -- bash -c 'gcc -O2 -c -o table.o "$1" && cat table.o' - "$data/project/table.c"
proof make --setup copy_project -- make -j2 -C project
proof sqlite --same --in "$data/fill.sql" -- sqlite3 :memory:
proof sqlite-file --in "$data/fill.sql" -- sqlite3 table.db
proof cat --same --in "$data/project/table.c" -- cat
proof find --same -- find /usr/include -name '*.h' -newer /etc/passwd
proof awk --same --in "$data/words" -- awk '{n[length($0)]++} END {for (i in n) print i, n[i]}'

proof threads-forks --locks --light -- "$programs/threads_forks"
proof threads-forks-static --locks -- "$programs/threads_forks.static"
proof cpus --same -- "$programs/cpus"
proof cpus-more --cpus 5 -- "$programs/cpus" 5
proof cpus-one --cpus 1 -- "$programs/cpus" 1
proof spin-turns -- "$build/tests/bench/turns"
proof busy-calls --light -- "$programs/busy_calls"
proof busy-arith --locks --light -- "$programs/busy_arith"
proof busy-flag --light -- "$programs/busy_flag"
proof busy-short --locks --light -- "$programs/busy_short"
proof alarmed -- "$programs/alarmed"
proof fast-alarms -- "$programs/fast_alarms"
proof busy-strings --locks --light -- "$programs/busy_strings"
proof busy-calls-static -- "$programs/busy_calls.static"
proof busy-arith-static -- "$programs/busy_arith.static"
proof busy-flag-static -- "$programs/busy_flag.static"
proof spin --locks -- "$programs/spin"
proof forced-traps --light -- "$programs/forced_traps"
proof frames --light -- "$programs/frames"
proof group-signals --light --status 137 -- "$programs/group_signals"
proof killed-on-its-way-out --same -- "$programs/killed_on_its_way_out"
proof fatal-at-call --light -- "$programs/fatal_at_call"
proof own-calls --locks --same --light -- "$programs/own_calls"
proof seccomp --light -- "$programs/seccomp"
proof vsyscall --light -- "$programs/vsyscall"
proof guarded --light -- "$programs/guarded"
proof policies --same --light -- "$programs/policies"
proof rare-calls --same --light -- "$programs/rare_calls"
proof memory-rules --same --light -- "$programs/memory_rules"
proof user-dispatch --same --light -- "$programs/user_dispatch"
proof attached --light -- "$programs/attached"
proof attached-calls --light -- "$programs/attached_calls"
proof own-answers --light -- "$programs/own_answers"
proof seen-writes --light -- "$programs/seen_writes"
proof large-reads -- "$programs/large_reads"
proof large-files -- "$programs/large_files"
proof passed-streams --light -- "$programs/passed_streams"
proof instructions --locks --light -- "$programs/instructions"
proof xsave --light -- "$programs/xsave"
proof random --light -- "$programs/random"
proof aslr --aslr -- "$programs/random"
proof mappings --locks --light -- "$programs/mappings"
proof children --locks --light -- "$programs/children"
proof sysv --light -- "$programs/sysv"
proof popf --light -- "$programs/popf"
proof partial --light -- "$programs/partial"
proof shared-file-cut --light -- "$programs/shared_file_cut"
proof grow-shared --light -- "$programs/grow_shared"
proof shared-file-written --light -- "$programs/shared_file_written"
proof robust-shared --locks --light -- "$programs/robust_shared"
proof mutex-pi --locks --light -- "$programs/mutex_pi"
proof child-waits-for-signal --light -- "$programs/child_waits_for_signal"
proof exec-fails --light -- "$programs/exec_fails"
proof leader-exits --light -- "$programs/leader_exits"
proof pushf --light -- "$programs/pushf"
proof trap-flag --light -- "$programs/trap_flag"
proof yield --locks --light -- "$programs/yield"
proof read-only-buffer --light -- "$programs/read_only_buffer"
proof fatal-fault --locks --light --status 139 -- "$programs/fatal_fault"
proof children-musl --locks -- "$programs/children.musl"
proof exec-thread --locks --light --status 6 -- "$programs/exec_thread"
proof signals --locks --light -- "$programs/signals"
proof timers --locks --light -- "$programs/timers"
proof pipes --light -- "$programs/pipes"
proof many_calls --light -- "$programs/many_calls"
proof locks --locks --light -- "$programs/locks"
proof hot-lock --locks -- "$programs/hot_lock"
proof files --locks --light -- "$programs/files"
proof load --locks --light -- "$programs/load"
proof breaks --locks --light --schedule "$root/tests/programs/breaks.schedule" -- "$programs/breaks"
proof ends-main-first --same -- "$programs/ends" main-first
proof ends-thread-exits --same --status 7 -- "$programs/ends" thread-exits
proof ends-status --same --status 42 -- "$programs/ends" status
proof ends-abort --same --status 134 -- "$programs/ends" abort
proof ends-segv --same --status 139 -- "$programs/ends" segv
proof ends-kill --same --status 137 -- "$programs/ends" kill
proof ends-term --same --status 143 -- "$programs/ends" term
proof deleted --delete -- "$programs/threads_forks"
proof users --users -- "$programs/random"
proof users-threads --users -- "$programs/locks"
