#!/bin/bash
# Rust's Mutex, RwLock and Once, held by a thread that a fork left behind. ('make deps' does not install Rust: 275 MB.)
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
# shellcheck source=tests/real.sh
. "$(dirname "$0")/../real.sh"
rustc=$(command -v rustc) || skip "no Rust: apt install rustc"
"$rustc" --version >/dev/null 2>&1 || skip "rustc does not run"
for level in 0 2; do
    "$rustc" -g -C opt-level=$level -o rust_locks "$sources/rust_locks.rs" 2>rustc.log || fail "rustc: $(cat rustc.log)"
    at="holder=reporter acquired=rust_locks::write_report waiting=rust_locks::in_child fork=rust_locks::main"
    verdict mutex-$level 120 "\
orphaned-lock confidence=proved lockkind=Rust_Mutex lock=rust_locks::LOG $at
cross-process-wait cause=orphaned-lock waiting=rust_locks::main" "$work/rust_locks" mutex
    verdict rwlock-$level 120 "\
orphaned-lock confidence=proved lockkind=Rust_RwLock lock=rust_locks::TABLE $at
cross-process-wait cause=orphaned-lock waiting=rust_locks::main" "$work/rust_locks" rwlock
    verdict once-$level 120 "\
vanished-waker lockkind=Rust_Once lock=rust_locks::CACHE waker=reporter waiting=rust_locks::in_child fork=rust_locks::main
cross-process-wait cause=vanished-waker waiting=rust_locks::main" "$work/rust_locks" once
done
rm -rf ./*.refork rust_locks
echo good
