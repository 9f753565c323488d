#!/bin/bash
# A part of `make faults`: every so many-th fault.
exec "$(dirname "$0")/../faults/run.sh" "$1" 17 3
