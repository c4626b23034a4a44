#!/usr/bin/env bash
# Runs the properties of one test program, those written with RC_GTEST_PROP, and nothing else.
#
#   tests/properties.sh PROGRAM SOURCES             with the seeds of tests/seeds.txt that are for this folder of tests
#   tests/properties.sh PROGRAM SOURCES SEED...     with these
#
# SOURCES: the folder of the program's tests. Stops at the first property that is refuted, and says it with its seed.
set -euo pipefail
program=$1
sources=$2
shift 2
folder=$(basename "$sources")

# Suite.Name of each property, joined by colons.
all=$(find "$sources" -name '*_test.cpp' -exec cat {} + | tr '\n' ' ' |
  grep -oE 'RC_GTEST_PROP\( *[A-Za-z0-9_]+, *[A-Za-z0-9_]+' | sed -E 's/.*\( *([^,]+), */\1./' | paste -sd:)

# seed, then patterns of properties as --gtest_filter takes them
run() {
  local said refuted status=0
  said=$(RC_PARAMS="seed=$1" "$program" --gtest_brief=1 --gtest_filter="$2" 2>&1) || status=$?
  ((status == 0)) && return
  refuted=$(grep -oE '^\[  FAILED  \] [A-Za-z0-9_]+\.[A-Za-z0-9_]+' <<<"$said" | sed 's/.* //' | sort -u | paste -sd' ' || true)
  printf '%s\n\nseed %s refutes %s\nagain: RC_PARAMS=seed=%s %s --gtest_filter=%s\n' "$said" "$1" \
    "${refuted:-a property: the program ended with $status}" "$1" "$program" "${refuted// /:}"
  exit 1
}

if (($# > 0)); then
  for seed; do run "$seed" "$all"; done
  exit
fi
while read -r seed of patterns _; do
  [[ $seed == '' || $seed == '#' ]] && continue
  if [[ $of == all ]]; then run "$seed" "$all"; elif [[ $of == "$folder" ]]; then run "$seed" "$patterns"; fi
done <"$(dirname "${BASH_SOURCE[0]}")/seeds.txt"
