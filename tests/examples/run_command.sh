#!/usr/bin/env bash
# run_command.sh BINARY EXAMPLE-FOLDER NUMBER
# Runs the NUMBERth command of EXAMPLE-FOLDER/commands.txt from the repository root and compares its exit code and, where
# EXAMPLE-FOLDER/expected/NUMBER.txt exists, its standard output. ASCENDSIM_UPDATE=1 rewrites that file instead.
set -uo pipefail
binary=$1 folder=$2 number=$3
export LC_ALL=C

line=$(grep -E '^[0-9]+ ' "$folder/commands.txt" | sed -n "${number}p")
wanted=${line%% *} command=${line#* }
if [[ $command != ascendsim\ * ]]; then
  echo "$folder/commands.txt, command $number: not an ascendsim command: '$command'"
  exit 1
fi

# shellcheck disable=SC2317  # called by eval
ascendsim() { "$binary" "$@"; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
(eval "$command") >"$work/stdout" 2>"$work/stderr" </dev/null
code=$?

expected=$folder/expected/$number.txt
result=0
if [[ $code != "$wanted" ]]; then
  echo "exit code $code, expected $wanted: $command"
  echo "-- stdout"
  cat "$work/stdout"
  result=1
elif [[ -f $expected && ${ASCENDSIM_UPDATE-} == 1 ]]; then
  cp "$work/stdout" "$expected"
elif [[ -f $expected ]] && ! diff -u "$expected" "$work/stdout"; then
  echo "standard output differs from $expected: $command"
  echo "if it is right: ASCENDSIM_UPDATE=1 ./ascendsim test -R '^examples\\.'"
  result=1
fi
if ((result)); then
  echo "-- stderr"
  cat "$work/stderr"
fi
exit $result
