#!/usr/bin/env bash
# Median wall time of 20 warm runs of the release binary, whole process, in milliseconds.
#   tests/bench/process_time.sh [BINARY [ARGUMENT...]]      default: the first command of examples/mindie-context-parallel
set -euo pipefail
export LC_ALL=C
cd "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/../.."
binary=${1:-build/release/ascendsim}
if (($# > 1)); then
  arguments=("${@:2}")
else
  read -r -a arguments < <(sed -nE 's/^[0-9]+ ascendsim //p' examples/mindie-context-parallel/commands.txt)
fi
[[ -x $binary ]] || { echo "$binary is missing: ./ascendsim --version builds it" >&2; exit 2; }

for run in {0..22}; do
  start=$EPOCHREALTIME
  "$binary" "${arguments[@]}" >/dev/null 2>&1 || true
  end=$EPOCHREALTIME
  # The first runs only warm the caches.
  ((run < 3)) || echo $((${end/./} - ${start/./}))
done | sort -n | awk '{ t[NR] = $1 } END { printf "median %.2f ms, fastest %.2f ms, slowest %.2f ms of %d runs\n", (t[NR / 2] + t[NR / 2 + 1]) / 2e3, t[1] / 1e3, t[NR] / 1e3, NR }'
