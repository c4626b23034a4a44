#!/usr/bin/env bash
# readme_output.sh BINARY
# README.md shows how the output of its first command begins: so it must. ASCENDSIM_UPDATE=1 rewrites the block, as many lines of each
# table as are shown. Runs in the repository root.
set -euo pipefail
binary=$1
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
# shellcheck disable=SC2016  # a pattern, no command
command=$(sed -nE 's|^\./ascendsim (run .*)$|\1|p;T;q' README.md)
ascendsim() { "$binary" "$@"; }
eval "ascendsim $command" >"$work/stdout"
awk '/^<!-- output of the command above -->$/ { on = 1; getline; next } on && /^```$/ { exit } on' README.md >"$work/shown"
shown=$(grep -vcxE ' *\.\.\.' "$work/shown")
head -n "$shown" "$work/stdout" >"$work/begins"
if [[ ${ASCENDSIM_UPDATE-} == 1 ]]; then
  awk -v block="$work/begins" '
    { print }
    /^<!-- output of the command above -->$/ {
      getline; print
      while ((getline line < block) > 0) print line
      while ((getline line) > 0 && line != "```") if (line ~ /^ *\.\.\.$/) print line
      print "```"
    }' README.md >"$work/README.md"
  cp "$work/README.md" README.md
elif ! grep -vxE ' *\.\.\.' "$work/shown" | diff -u - "$work/begins"; then
  echo "README.md shows another output. If the new one is right: ASCENDSIM_UPDATE=1 ./ascendsim test -R '^examples\\.'"
  exit 1
fi
