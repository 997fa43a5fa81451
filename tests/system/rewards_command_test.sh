#!/usr/bin/env bash
# aha rewards, aha keygen and aha score from the outside: rewards_command_test.sh AHA SCRATCH PLUGINS
set -uo pipefail
aha="$1"
scratch="$2"
plugins="$3"
rm -rf "$scratch"
mkdir -p "$scratch"
cd "$scratch"
failures=0

Expect() {  # Expect WHAT WANTED GOT: GOT must contain WANTED
  case "$3" in
    *"$2"*) ;;
    *) echo "FAILED: $1: wanted '$2', got: $3"; failures=$((failures + 1)) ;;
  esac
}
Equal() {
  [ "$2" = "$3" ] || { echo "FAILED: $1: wanted '$2', got '$3'"; failures=$((failures + 1)); }
}

# --- keys -------------------------------------------------------------------------------------------
for name in scorer learner stranger; do "$aha" keygen --out $name >/dev/null || { echo "FAILED: keygen"; exit 1; }; done
Equal "mode of a public file" 644 "$(stat -c %a scorer.public)"
Equal "mode of a secret file" 600 "$(stat -c %a scorer.secret)"
before="$(cat scorer.secret)"
"$aha" keygen --out scorer >out 2>&1
Equal "keygen over a key fails" 1 $?
Expect "keygen says why" "never overwritten" "$(cat out)"
Equal "the key is as it was" "$before" "$(cat scorer.secret)"
cat learner.public >allowed.txt

# --- a service with keys ----------------------------------------------------------------------------
"$aha" rewards --bind 'tcp://0.0.0.0:0' >out 2>&1
Equal "beyond this machine without keys" 2 $?
Expect "it says what is missing" "CURVE" "$(cat out)"
port=$((20000 + $$ % 20000))
"$aha" rewards --bind "tcp://0.0.0.0:$port" --key scorer.secret --allow allowed.txt 2>service.log &
service=$!
Status() { "$aha" -q rewards --status "tcp://127.0.0.1:$port" --timeout 8 "$@" 2>&1; }
Expect "status with the right keys" '"queue_depth":0' "$(Status --key learner.secret --server-key scorer.public --json)"
Expect "a stranger is refused" "refuses the connection" "$(Status --key stranger.secret --server-key scorer.public)"
Expect "so is one without keys" "refuses the connection" "$(Status)"
sleep 1
Expect "the service names the stranger's key" "$(cat stranger.public)" "$(cat service.log)"
kill -TERM $service
wait $service
Equal "SIGTERM ends the service well" 0 $?
Expect "it says that it stops" "stops;" "$(cat service.log)"

# --- a service without, status, list ----------------------------------------------------------------
"$aha" rewards --bind "ipc://$scratch/socket" --plugin "$plugins/libtest_plugin_good.so" 2>service.log &
service=$!
Expect "status as text" "requests: 0 answered" "$("$aha" -q rewards --status "ipc://$scratch/socket" 2>&1)"
kill -TERM $service
wait $service
"$aha" -q rewards --status "ipc://$scratch/nobody" --timeout 0.2 >out 2>&1
Equal "status of nobody fails" 1 $?
Expect "it says who" "ipc://$scratch/nobody" "$(cat out)"
list="$("$aha" rewards --list --plugin "$plugins/libtest_plugin_good.so")"
for name in counts format instructions language math overlength repetition; do Expect "--list" "$name" "$list"; done
Expect "--list tells keys with their meaning" "factor (number, default 1.5): what a byte is worth" "$list"
Expect "--list --json" '"name":"overlength"' "$("$aha" rewards --list --json)"

# --- the new rewards through aha score --------------------------------------------------------------
Expect "overlength" '"score":-0.5' "$(echo '{"id":1,"completion":"x","tokens":18432}' | "$aha" score --reward overlength)"
Expect "repetition" '"score":-0.25' "$(echo '{"id":1,"completion":"a b c a b c"}' | "$aha" score --reward repetition)"
Expect "steps" '"steps":[{"end":9,"score":1.0},{"end":19,"score":0.0}]' "$(echo '{"id":1,"completion":"3 + 4 = 7 7 + 1 = 9"}' | "$aha" score --reward steps)"
Expect "instructions" '"score":0.5' "$(echo '{"id":1,"completion":"a, b","reference":[{"kind":"punctuation:no_comma"},{"kind":"startend:end_checker","end_phrase":"b"}]}' | "$aha" score --reward instructions)"
Expect "an unknown kind is no score" '"failure":"BAD_REFERENCE"' "$(echo '{"id":1,"completion":"a","reference":[{"kind":"x"}]}' | "$aha" score --reward instructions)"
Expect "language" '"score":0.0' "$(echo '{"id":1,"language":"en","completion":"Nous devons calculer la somme des deux nombres entiers."}' | "$aha" score --reward language)"

[ $failures -eq 0 ] && echo "all kept"
exit $((failures > 0))
