#!/bin/bash
# spdlog's asynchronous logger in a child: its queue fills up, and the thread that would empty it vanished.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
# shellcheck source=tests/real.sh
. "$(dirname "$0")/../real.sh"
library libspdlog.so.1.10 libspdlog-dev
verdict async 120 "\
vanished-waker lockkind=pthread_cond waker=spdlog gone=spdlog waiting=pthread_cond_wait,main fork=fork,main
cross-process-wait cause=vanished-waker" \
    "$programs/spdlog_async"
