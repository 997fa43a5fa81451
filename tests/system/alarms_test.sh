#!/usr/bin/env bash
# Every alarm of an rl stage by a run in which the thing really happens: what was done, and what `aha rl` said.
#
#   alarms_test.sh AHA SCRATCH
#
# Prints a table; each row must have the alarm, in warnings that name figures and a remedy, and with "stop" end the
# run with exit code 1 and the last good checkpoint's name. Exit codes: 0 all as expected, 1 not.
set -uo pipefail

aha=$(readlink -f -- "$1")
scratch=$2
source "$(dirname -- "$(readlink -f -- "${BASH_SOURCE[0]}")")/tiny_recipe.sh"

failures=0
rows=0

Die() {
  printf 'alarms_test: %s\n' "$*" >&2
  exit 1
}

# Recipe NAME STEPS EXTRA: an rl stage of the base, with keys of its own in place of the tiny recipe's.
Recipe() {
  {
    printf 'name: "%s"\nseed: 3\nthreads: 1\nmodel: "%s"\n' "$1" "$scratch/base/base/checkpoint"
    printf 'stage { name: "zero" rl {\n'
    printf '  steps: %s prompts_per_step: 4 group_size: 4 micro_batch_tokens: 512 commit_every: 1\n' "$2"
    [[ $3 == *max_new_tokens* ]] || printf '  max_new_tokens: 24\n'
    printf '%s\n} }\n' "$3"
  } >"$scratch/$1.textproto"
  printf '%s' "$scratch/$1.textproto"
}

Row() { printf '| %s | %s | %s | %s |\n' "$1" "$2" "$3" "${4//$scratch\//}"; }

# Alarm NAME HOW STEPS EXTRA REGEX [AFTER]: warns and goes on (to an error that matches AFTER), then stops.
Alarm() {
  local name=$1 how=$2 steps=$3 extra=$4 regex=$5 after=${6-} recipe mode line status outcome
  recipe=$(Recipe "$name" "$steps" "$extra")
  for mode in warn stop; do
    ((++rows))
    timeout 120 "$aha" -q rl "$recipe" --out "$scratch/run-$name-$mode" --set "zero.alarms.$name=$mode" >"$scratch/out" 2>"$scratch/err"
    status=$?
    line=$(grep -aE "alarm $name: " "$scratch/err" | head -n 1 | sed -E 's/^.*(step [0-9]+: alarm )/\1/')
    outcome=ok
    grep -aqE -- "$regex" <<<"$line" || outcome="WRONG: does not match $regex; $(tail -n 1 "$scratch/err")"
    if [[ $mode == stop ]]; then
      ((status == 1)) || outcome="WRONG: exit code $status"
      grep -aqE "says $name: \"stop\"; the last good checkpoint: (step [0-9]+ in |none yet, so )" "$scratch/err" ||
        outcome="WRONG: no checkpoint named; $(tail -n 1 "$scratch/err")"
      ! grep -q "alarm/$name" <(head -n -1 "$scratch/run-$name-stop/zero/metrics.jsonl") || outcome="WRONG: went on after it"
      grep -q "alarm/$name" "$scratch/run-$name-stop/zero/metrics.jsonl" || outcome="WRONG: not in metrics.jsonl"
    elif [[ -n $after ]]; then
      grep -aqE -- "$after" "$scratch/err" || outcome="WRONG: does not match $after; $(tail -n 1 "$scratch/err")"
    elif ((status != 0)); then
      outcome="WRONG: exit code $status with warn; $(tail -n 1 "$scratch/err")"
    fi
    [[ $outcome == ok ]] || ((++failures))
    if [[ $mode == warn ]]; then Row "$name" "$how" "$outcome" "$line"; else
      Row "$name: \"stop\"" "" "$outcome" "...$(grep -aoE 'Stopped because .*' "$scratch/err" | head -n 1)"
    fi
  done
}

Prepare() {
  [[ -x $aha ]] || Die "$1 is not a program"
  rm -rf -- "$scratch"
  mkdir -p -- "$scratch"
  scratch=$(readlink -f -- "$scratch")
  { printf 'name: "base"\nseed: 3\nthreads: 1\n'; PretrainStage 4; } >"$scratch/base.textproto"
  "$aha" -q run "$scratch/base.textproto" --out "$scratch/base" >/dev/null 2>"$scratch/err" ||
    Die "the model could not be made: $(tail -n 1 "$scratch/err")"
  # Every second reference is mathematics that nobody can read.
  for ((i = 0; i < 8; ++i)); do printf '{"question": "%d + 1", "answer": "#### %s"}\n' "$i" "$( ((i % 2)) && printf '\\\\frac{1' || printf 7)"; done >"$scratch/half.jsonl"
}

Prepare "$1"
chain='prompts { task { family: "chain" } }'
language='reward { name: "language" }'
quiet='optimizer { learning_rate: 1e-4 } kl: 0'
printf '| alarm | made by | outcome | said |\n|---|---|---|---|\n'
Alarm equal_rewards "a reward that a beginner never gets (format)" 4 \
  "$chain reward { name: \"format\" } $quiet alarms { equal_rewards_steps: 3 no_signal: \"off\" }" 'for 3 steps in a row: nothing is learned; .*verifier'
Alarm no_signal "the same" 2 "$chain reward { name: \"format\" } $quiet" 'all equal is 1, above 0.95; .*refill'
Alarm verifier_failures "references of which every second one cannot be read" 2 \
  'prompts { jsonl { path: "half.jsonl" } template: "plain" } reward { name: "math" } '"$quiet alarms { no_signal: \"off\" }" \
  'whose reward failed is 0.[0-9]+, above 0.2; .*aha why'
Alarm entropy_collapse "learning rate 1" 6 "$chain $language kl: 0 optimizer { learning_rate: 1 } alarms { entropy_floor: 0.2 no_signal: \"off\" gradient_norm: \"off\" }" \
  'entropy is .* nats a token, below 0.2: .*clip_high'
Alarm length_explosion "a reward for length alone (overlength with a negative weight), learning rate 0.01" 4 \
  "$chain reward { name: \"overlength\" weight: -1 config: \"max_length: 100 cache: 99\" } kl: 0 max_new_tokens: 100 optimizer { learning_rate: 1e-2 }
   alarms { window: 2 length_factor: 1.2 no_signal: \"off\" entropy_collapse: \"off\" gradient_norm: \"off\" }" 'completion_tokens is .* times the usual .*overlength'
Alarm kl_jump "learning rate 0.03, so that every step is further away" 6 \
  "$chain $language kl: 0.01 updates_per_step: 2 optimizer { learning_rate: 0.03 } alarms { window: 2 no_signal: \"off\" gradient_norm: \"off\" entropy_collapse: \"off\" }" \
  'kl is .* times the usual .*reference_every'
Alarm gradient_norm "the same, and what counts as an outlier set to 1.5 times" 8 \
  "$chain $language kl: 0.01 optimizer { learning_rate: 0.03 } alarms { window: 2 gradient_norm_factor: 1.5 no_signal: \"off\" kl_jump: \"off\" entropy_collapse: \"off\" }" \
  'gradient_norm is .* times the usual .*learning rate'
Alarm clip_fraction "four updates a step at learning rate 0.1, clipped at 1 %" 3 \
  "$chain $language kl: 0 updates_per_step: 4 clip_low: 0.01 clip_high: 0.01 optimizer { learning_rate: 0.1 } alarms { clip_fraction_share: 0.3 no_signal: \"off\" gradient_norm: \"off\" entropy_collapse: \"off\" }" \
  'ratio was clipped is .*, above 0.3; .*updates_per_step'
Alarm not_finite "AdamW without a second moment (beta2 0, epsilon 1e-20)" 8 \
  "$chain $language kl: 0 optimizer { learning_rate: 1 beta2: 0 epsilon: 1e-20 clip_norm: 0 } alarms { no_signal: \"off\" gradient_norm: \"off\" entropy_collapse: \"off\" }" \
  '(NaN|infinity|not finite).*learning rate' 'step [0-9]+: .*not finite.*; the last good checkpoint: step [0-9]+ in '
((++rows))
recipe=$(Recipe masked 2 "$chain $language $quiet max_new_tokens: 1 mask_truncated: true")
"$aha" -q rl "$recipe" --out "$scratch/run-masked" >"$scratch/out" 2>"$scratch/err"
line=$(grep -aE 'alarm no_signal: ' "$scratch/err" | head -n 1 | sed -E 's/^.*(step [0-9]+: alarm )/\1/')
if grep -q 'masked, and no other' <<<"$line"; then Row no_signal "every sample cut by max_new_tokens, with mask_truncated" ok "$line"; else
  ((++failures))
  Row no_signal "every sample cut" "WRONG: $(tail -n 1 "$scratch/err")" "$line"
fi
printf '\n%d rows, %d wrong\n' "$rows" "$failures"
((failures == 0))
