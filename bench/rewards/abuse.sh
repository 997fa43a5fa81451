#!/usr/bin/env bash
# Runs the programs that abuse the sandbox and writes what became of each: bench/rewards/abuse.sh [BUILD] > bench/rewards/abuse.md
# BUILD: build/release unless given; ninja -C BUILD sandbox_abuse_test makes the test. Exit code 1 when a verdict is wrong.
set -euo pipefail
root="$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)"
test="${1:-$root/build/release}/tests/rewards/sandbox_abuse_test"
output="$(mktemp)"
trap 'rm -f -- "$output"' EXIT
status=0
"$test" >"$output" 2>&1 || status=$?

echo "# Programs that abuse the sandbox"
echo
echo "Printed by \`bench/rewards/abuse.sh\`, which runs \`sandbox_abuse_test\`: every verdict is checked, within 200 ms of the limits (1 s of"
echo "time, 128 MiB, 1 MiB of output, 16 MiB of files, 16 processes; 6 s to compile), and nothing may be left behind."
echo
sed -n 's/^in force: \(.*\)$/In force: \1./p' "$output"
echo
echo "| program | verdict | ms | tried |"
echo "|---|---|---|---|"
awk '/^[A-Za-z0-9]+ +(AC|WA|RE|TLE|MLE|OLE|CE) +[0-9]+ ms  / {
  name = $1; verdict = $2; ms = $3; sub(/^[A-Za-z0-9]+ +[A-Z]+ +[0-9]+ ms  /, ""); gsub(/\|/, "\\|")
  print "| " name " | " verdict " | " ms " | " $0 " |"; count[verdict]++; all++ }
END { printf "\n%d programs:", all; split("AC WA RE TLE MLE OLE CE", names, " ")
  for (i = 1; i in names; i++) if (count[names[i]]) printf " %d %s", count[names[i]], names[i]; print "." }' "$output"
echo
echo
grep -E '^\[  (PASSED|FAILED)  \]|SKIPPED' "$output" | sed 's/^/    /'
exit "$status"
