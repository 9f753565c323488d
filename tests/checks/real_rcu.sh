#!/bin/bash
# liburcu in its five flavours: a reader that vanished at a fork, and a child that waits for a grace period.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
# shellcheck source=tests/real.sh
. "$(dirname "$0")/../real.sh"
[ -e /usr/include/urcu/urcu-bp.h ] || compgen -G '/usr/include/*/urcu/urcu-bp.h' >/dev/null || skip "no liburcu: apt install liburcu-dev"

# flavour NAME REST: builds readers-NAME
flavour() {
    "${CC:-gcc}" -g -O1 -D_GNU_SOURCE -DFLAVOUR="<urcu/urcu-$1.h>" -I"$root" -o "readers-$1" "$sources/urcu/readers.c" "-lurcu-$1" -lurcu-common -pthread 2>cc.err ||
        fail "$1: $(cat cc.err)"
}
# flavour, the finding of "inside", and that of "outside" where the child asks the vanished reader by a signal
while IFS=: read -r name inside outside; do
    flavour "$name"
    verdict "$name-inside" 120 "$inside lockkind=RCU_grace_period waiting=change,main
cross-process-wait" "$work/readers-$name" inside
    if [ -n "$outside" ]; then
        verdict "$name-outside" 120 "$outside lockkind=RCU_grace_period waiting=change,main
cross-process-wait" "$work/readers-$name" outside
    else
        verdict "$name-outside" 0 none "$work/readers-$name" outside
    fi
    verdict "$name-gone" 0 none "$work/readers-$name" gone
done <<EOF
memb:vanished-waker waker=reader
mb:vanished-waker waker=reader
qsbr:vanished-waker waker=reader
bp:orphaned-spin holder=reader
signal:orphaned-spin waker=reader:orphaned-spin waker=reader
EOF
rm -f ./*.refork readers-*
echo good
