#!/bin/bash
# A Go program that calls fork by itself: the runtime's other threads vanished. With a symbol table and without one; and one
# that starts a program with os/exec is well. ('make deps' does not install Go: 450 MB.)
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
# shellcheck source=tests/real.sh
. "$(dirname "$0")/../real.sh"
[ -x /usr/bin/go ] || skip "no Go: apt install golang-go"
build_go() { # NAME OPTION...
    local name=$1
    shift
    clean env GOCACHE="$out/go-cache" GOFLAGS=-mod=mod GO111MODULE=off go build -o "$name" "$@" "$sources/go_fork.go" || fail "go build"
}
build_go named
build_go stripped -ldflags '-s -w'
# (Go's runtime asks for the CPUs that it may use: the recorder gives it one.)
for program in named stripped; do
    for threads in 1 4; do
        verdict $program-$threads 120 "\
vanished-waker confidence=likely lockkind=Go_runtime waiting=main.collectGarbage,main.forkAndWait,main.main fork=main.forkAndWait,main.main
cross-process-wait cause=vanished-waker waiting=syscall.Wait4,main.forkAndWait" \
            env GOMAXPROCS=$threads "$work/$program" fork
        clean "$refork" explain $program-$threads.refork | tr -s ' \n' '  ' >text
        grep -q "runtime's other threads vanished" text && grep -q 'os/exec' text || fail "$program: $(cat text)"
    done
done
verdict exec 0 none env GOMAXPROCS=4 "$work/named" exec
rm -rf ./*.refork named stripped
echo good
