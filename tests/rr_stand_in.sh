#!/bin/bash
# What refork asks of rr, answered over a recording of refork's own: a trace folder with a recording in it, `rr dump` made of
# `refork dump`, `rr replay` as `refork gdb --listen`. So what reads rr is tested where rr cannot work.
set -u
refork=${REFORK:?}
command=${1:-}
shift
pid='' event='' folder='' port=''
case $command in
--version) echo 'rr version 0.0.1' && exit 0 ;;
record)
    while [ $# -gt 0 ] && [ "$1" != -o ]; do shift; done
    [ $# -gt 0 ] || exit 0 # refork tries whether it works
    folder=$2
    [ "$3" = -- ] || exit 1
    shift 3
    mkdir "$folder" && touch "$folder/"{version,events,tasks,mmaps} || exit 1
    exec "$refork" record --engine refork --no-explain -o "$folder/recording.refork" -- "$@"
    ;;
dump)
    exec awk -v OFS= '
        function frame(word, state) {
            print "{"
            print "  real_time:", 100 + $2, " global_time:", $1, ", event:`", word, "\047 ", state, "tid:", $3, ", ticks:0"
        }
        function ends(tid, status) {
            frame("EXIT", "")
            print "  TraceTaskEvent::EXIT tid=", tid, " status=", status
            delete living[tid]
        }
        $4 == "exec" { if (!first) living[first = $3] = 1 }
        $4 == "exec" { frame("SYSCALL: execve", "(state:EXITING_SYSCALL) "); print "  TraceTaskEvent::EXEC tid=", $3, " file=", $7; next }
        $4 == "birth" {
            frame("SYSCALL: clone", "(state:ENTERING_SYSCALL) ")
            print "  TraceTaskEvent::CLONE tid=", $6, " parent=", $3, " clone_flags=", $5 == "thread" ? "0x3d0f00" : "0x1200011"
            living[$6] = 1
            next
        }
        $4 == "enter" || $4 == "exit" {
            name = $5; sub(/\(.*/, "", name)
            frame("SYSCALL: " name, $4 == "enter" ? "(state:ENTERING_SYSCALL) " : "(state:EXITING_SYSCALL) ")
            next
        }
        $4 == "death" { ends($3, /signal/ ? 9 : 0); next }
        $4 == "end" { for (tid in living) { $3 = tid; ends(tid, 9) } next }
        $4 == "stuck" { next }
        { frame("SCHED", "") }
    ' <("$refork" dump "${!#}/recording.refork")
    ;;
replay)
    while [ $# -gt 1 ]; do
        case $1 in
        -f | -p) pid=$2 && shift ;;
        -g) event=$2 && shift ;;
        -s) port=$2 && shift ;;
        -e) event=$("$refork" dump "${!#}/recording.refork" | awk '$4 == "end" { print $1 - 1 }') ;;
        esac
        shift
    done
    exec "$refork" gdb --listen "$port" --process "$pid" --at "$event" "$1/recording.refork"
    ;;
esac
exit 1
