#!/bin/bash
# Formatting, manual page, shell scripts: as `make lint`.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
cd "$root" && make --no-print-directory lint
