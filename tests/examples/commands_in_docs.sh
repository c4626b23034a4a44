#!/usr/bin/env bash
# Every `./ascendsim COMMAND examples/...` line in a code block of README.md, docs/ and examples/ must be a line of some
# examples/*/commands.txt. Runs in the repository root.
set -uo pipefail
known=$(sed -nE 's/^[0-9]+ //p' examples/*/commands.txt)
result=0
while IFS= read -r line; do
  if ! grep -qxF -- "${line#*:./}" <<<"$known"; then
    echo "not in any commands.txt: $line"
    result=1
  fi
done < <(grep -HE '^\./ascendsim [a-z]+ .*examples/' README.md docs/*.md examples/*/README.md)
exit $result
