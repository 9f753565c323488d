#!/bin/bash
# The readers, one by one, with their kept inputs (crashes of the past among them) and changes of these. `make fuzz` goes on for longer.
exec "$(dirname "$0")/../fuzz/targets.sh" "$1" 300
