#!/usr/bin/env bash
# Time of the whole process, warm: median of CPU time (user and system) and of wall time, in milliseconds. With an older
# build beside it, the two run in turns, so that both see the same machine, and the ratio of their CPU times is printed.
#   tests/bench/process_time.sh [--beside OLD_BINARY] [--runs N] [BINARY [ARGUMENT...]]
# Default: 20 runs of build/release/ascendsim with the first command of examples/mindie-context-parallel. For instance
#   tests/bench/process_time.sh --beside ../old/build/release/ascendsim --runs 3 build/release/ascendsim ring --all
set -euo pipefail
export LC_ALL=C
cd "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/../.."
old= runs=20
while [[ ${1:-} == --* ]]; do
  case $1 in
    --beside) old=${2:?--beside needs the path of an older binary} ;;
    --runs) runs=${2:?--runs needs a number} ;;
    *) echo "unknown option $1: --beside OLD_BINARY or --runs N" >&2; exit 2 ;;
  esac
  shift 2
done
binary=${1:-build/release/ascendsim}
if (($# > 1)); then
  arguments=("${@:2}")
else
  read -r -a arguments < <(sed -nE 's/^[0-9]+ ascendsim //p' examples/mindie-context-parallel/commands.txt)
fi
for b in "$binary" ${old:+"$old"}; do
  [[ -x $b ]] || { echo "$b is missing: ./ascendsim --version builds it" >&2; exit 2; }
done

# One line a run: the name, CPU and wall time in milliseconds.
run() {
  local TIMEFORMAT="%3U %3S %3R" times
  times=$({ time "$2" "${arguments[@]}" >/dev/null 2>&1 || true; } 2>&1)
  awk -v name="$1" '{ printf "%s %.3f %.3f\n", name, ($1 + $2) * 1e3, $3 * 1e3 }' <<<"$times"
}
measured=$(mktemp)
trap 'rm -f "$measured"' EXIT
warm=$((runs < 5 ? 0 : 3))  # the first runs only warm the caches
for ((i = -warm; i < runs; ++i)); do
  for name in new ${old:+old}; do
    [[ $name == new ]] && line=$(run new "$binary") || line=$(run old "$old")
    ((i < 0)) || echo "$line"
  done
done >"$measured"

median() { awk -v name="$1" -v column="$2" '$1 == name { print $column }' "$measured" | sort -n | awk '{ t[NR] = $1 } END { print (t[int((NR + 1) / 2)] + t[int(NR / 2) + 1]) / 2 }'; }
report() { printf '%-4s CPU %.1f ms, wall %.1f ms (medians of %d runs)   %s\n' "$1" "$(median "$1" 2)" "$(median "$1" 3)" "$runs" "$2"; }
report new "$binary"
if [[ -n $old ]]; then
  report old "$old"
  awk -v new="$(median new 2)" -v old="$(median old 2)" 'BEGIN { printf "CPU time of new over old: %.2f\n", new / old }'
fi
