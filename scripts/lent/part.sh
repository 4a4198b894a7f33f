#!/usr/bin/env bash
# part.sh PART [COMMAND]: on the lent machine, unpack one part of CIFAR-10 into $DATA (/tmp/data) while COMMAND runs.
# What COMMAND prints is kept as $OUT/PART.log. Ends with COMMAND's status, or with that of unpacking if it failed.
[ $# -ge 1 ] || { sed -n 2,3p "$0" >&2; exit 2; }
export PYTHONUNBUFFERED=1 PYTHONPATH=.
log=$(mktemp)
python3 ".carry/$1/unpack.py" "${DATA:-/tmp/data}" ".carry/$1/sheets" >"$log" 2>&1 & unpacking=$!
status=0
[ -z "${2:-}" ] || { bash -c "$2" 2>&1 | tee "${OUT:-.}/$1.log"; status=${PIPESTATUS[0]}; }
wait "$unpacking" || status=$?
cat "$log"
exit "$status"
