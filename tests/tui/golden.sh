#!/bin/bash
# Golden screens: each line below is a screen that the TUI shows over the fixture, without a terminal. A difference from
# tests/tui/golden/NAME.txt fails. Below each screen stands its plane of roles (tui/roles.def), so that colours are tested
# by what they mean.
#   golden.sh [FIXTURE_TUI]            compares
#   golden.sh --update [FIXTURE_TUI]   writes them anew: look at `git diff` then
set -u
update=
if [ "${1:-}" = --update ]; then update=1; shift; fi
binary=$(realpath "${1:-build/tests/tui/fixture_tui}")
cd "$(dirname "$0")/golden" || exit 1
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
unset NO_COLOR
failed=0 count=0

# screen NAME KEYS [OPTION...]; the locale is $locale
locale=C.UTF-8
screen() {
    local name=$1 keys=$2
    shift 2
    count=$((count + 1))
    if ! TERM=xterm-256color LC_ALL=$locale "$binary" "$@" --script "$keys<Dump $work/$name.txt>" >"$work/out" 2>&1; then
        echo "golden: $name: the program failed:"; cat "$work/out"; failed=1; return
    fi
    if [ -n "$update" ]; then
        cp "$work/$name.txt" "$name.txt" || failed=1
    elif ! diff -u "$name.txt" "$work/$name.txt"; then
        echo "golden: $name differs; 'tests/tui/golden.sh --update $binary' writes it anew"; failed=1
    fi
}

screen first ""
screen first-200x50 "" --size 200x50
screen first-60x15 "" --size 60x15
screen too-small "" --size 30x8
screen first-ascii "" --ascii
screen no-colour "" --no-colour
locale=C
screen locale-c "" --size 60x15
locale=C.UTF-8
screen clean "" --clean
screen fails "" --fails
screen heap "" --heap
screen heap-made e --heap --size 100x40
screen heap-ascii ee --heap --ascii --size 60x15
screen fork f
screen acquire a
screen block fb
screen verdict fv
screen next pn
screen step-back ppp
screen jump ":12<Enter>"
screen jump-outside ":99<Enter>"
screen evidence ee
screen task ":44<Enter>.."
screen cause "["
screen effect "f]"
screen story "1jj"
screen lanes "2k"
screen locks 4j
screen stack 5j
for size in 60x15 80x24 120x30 200x50; do
    screen "waits-$size" 6 --size $size
    screen "history-$size" 7kk --size $size
done
for size in 60x15 80x24 120x30 200x50; do screen "variables-$size" 8jjj --size $size; done
screen variables-none 5g8 --ascii
for size in 80x24 200x50; do
    screen "examine-$size" xlog --size $size
    screen "memory-$size" 'xlog_l<Enter>x0x555555558090,16<Enter>On' --size $size
    screen "change-$size" '8jjjjw{' --size $size
    screen "change-before-$size" '8jjjjw{{' --size $size
done
screen change-none '8jjjjw}' --ascii
screen change-register '8jw'
screen examine-nothing 'xnothing<Enter>'
screen examine-forget 'xlog_m<Enter>xlog_length<Enter>8GX'
screen waits-enter "6jg<Enter>"
screen waits-ascii 6 --ascii
screen waits-none 6 --clean
screen waits-fails 6 --fails
screen history-ascii 7g --ascii --no-colour
screen history-none 7 --clean
screen maximised 5O
screen search "/clone<Enter>n"
screen search-end "/clone<Enter><Esc>n"
screen filter "Ffutex<Enter>"
screen filter-not "F!mprotect<Enter>" --size 200x50
screen zoomed "+++"
screen whole 0
screen mark "ma:1<Enter>'a"
for size in 60x15 80x24 120x30 200x50; do screen "palette-$size" "<^P>" --size $size; done
screen palette-typed ":lock"
screen palette-down ":pane<Down><Down>"
screen palette-runs ":waits<Enter>"
screen palette-mark "mb\"aseen here<Enter>:1<Enter>:seen"
screen palette-none ":no such thing"
screen note "fma\"athe child is born<Enter>"
screen help "?"
screen help-end "?G"
screen help-60x15 "?j" --size 60x15
screen long "" --long 5000000
for size in 60x15 80x24 120x30 200x50; do screen "server-$size" 2 --server --size $size; done
screen server-unfolded 2z --server
screen server-outside "2:60<Enter>" --server
screen server-events 2zSjj --server
screen server-tasks "T2007<Enter>" --server
screen server-not "T!2007<Enter>FREAD<Enter>" --server
screen server-back "T2007<Enter><Esc>" --server --size 120x30
screen times t
screen times-200x50 t --size 200x50
screen time-go ":20ms<Enter>"
screen time-after ":1<Enter>:+4.5ms<Enter>t"
screen time-before ":-1s<Enter>"
screen time-not ":4.5days<Enter>"
screen start "" --start 20
# Two recordings: side by side or one of them, at their differences, in step, at their ends
for size in 60x15 80x24 120x30 160x40 200x50; do screen "pair-$size" "" --pair --size $size; done
screen pair-other "<Tab>" --pair
screen pair-other-160x40 "<Tab>" --pair --size 160x40
screen pair-second d --pair --size 160x40
screen pair-previous "D<Tab>" --pair
screen pair-step "nn<Tab>p" --pair --size 160x40
screen pair-beyond "v" --pair --size 160x40
screen pair-start "" --pair --start 20 --size 160x40
screen pair-ascii "" --pair --ascii --size 160x40
screen pair-help "?" --pair --size 160x40
screen pair-small "" --pair --size 30x8
screen pair-same "" --same --size 160x40
screen pair-none d
echo "golden: $count screens, $([ $failed = 0 ] && echo all as expected || echo FAILED)"
exit $failed
