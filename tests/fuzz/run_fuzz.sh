#!/usr/bin/env bash
# run_fuzz.sh BINARY RUNS ENDING...: RUNS inputs from the examples with those endings, and mutations of them. Runs in the repository root.
set -euo pipefail
corpus=$(mktemp -d)
trap 'rm -rf "$corpus"' EXIT
count=0
for ending in "${@:3}"; do
  for file in examples/*/*."$ending"; do
    cp "$file" "$corpus/$((count += 1))"
  done
done
"$1" -seed=20261121 -runs="$2" -max_len=4096 -timeout=10 -rss_limit_mb=2048 -artifact_prefix="$corpus/" -close_fd_mask=1 "$corpus" || {
  status=$?
  for artifact in "$corpus"/crash-* "$corpus"/timeout-* "$corpus"/oom-*; do
    [[ -f $artifact ]] && base64 "$artifact"
  done
  exit $status
}
