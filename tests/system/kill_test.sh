#!/usr/bin/env bash
# Law 4 on a whole run: killed by SIGKILL again and again and restarted each time, it ends with the bytes of the run
# that nobody disturbed.
#
#   kill_test.sh AHA SCRATCH [short|long] [SEED]
#
# A tiny recipe (pretrain, rl, reject, sft) runs once to its end, then in another directory with kills at random
# moments in every stage: ten of them (long), four (short). What both runs made is compared file by file; of the
# metrics only what no clock decides. Exit codes: 0 the same, 1 not.
set -uo pipefail

aha=$(readlink -f -- "$1")
scratch=$2
length=${3:-long}
RANDOM=${4:-1}  # seeds bash's generator
source "$(dirname -- "$(readlink -f -- "${BASH_SOURCE[0]}")")/tiny_recipe.sh"

# The stages in the recipe's order, their steps, and how many kills each gets.
stages=(base zero kept tuned)
if [[ $length == short ]]; then
  steps=(6 4 0 4) kills=(1 2 0 1)
else
  steps=(20 8 0 12) kills=(3 4 1 2)
fi
pid=

Die() {
  printf 'kill_test: %s\n' "$*" >&2
  exit 1
}

Now() { date +%s.%N; }
Evaluate() { awk -v r="$RANDOM" "BEGIN { u = r / 32768; printf \"%.3f\", $1 }"; }

# StageField RUN STAGE FIELD: from stages.textproto; nothing while it is not there.
StageField() {
  awk -v name="\"$2\"" -v field="$3:" '
    /^stage/ { here = 0 } $1 == "name:" { here = $2 == name } here && $1 == field { print $2; exit }
  ' "$1/stages.textproto" 2>/dev/null
}

CommittedStep() {
  local step
  step=$(sed -n 's/^step: //p' "$1/$2/state/commit" 2>/dev/null)
  printf '%s' "${step:-0}"
}

StartRun() {
  "$aha" -q run "$recipe" --out "$1" >>"$scratch/$2.out" 2>>"$scratch/$2.err" &
  pid=$!
}

# RunToEnd RUN LOG
RunToEnd() {
  StartRun "$1" "$2"
  wait "$pid" || Die "the run in $1 failed: $(tail -n 1 "$scratch/$2.err")"
}

# KillDuring STAGE STEP SECONDS: starts the run, waits until STAGE is under way and has committed STEP, and kills the
# run so long after that. Prints what the kill met.
KillDuring() {
  StartRun "$scratch/killed" killed
  while kill -0 "$pid" 2>/dev/null; do
    case $(StageField "$scratch/killed" "$1" state) in
      RUNNING) (($(CommittedStep "$scratch/killed" "$1") < $2)) || break ;;
      DONE) break ;;
    esac
    sleep 0.01
  done
  sleep "$3"
  kill -KILL "$pid" 2>/dev/null
  wait "$pid" 2>/dev/null
  local status=$? met=none stage
  for stage in "${stages[@]}"; do
    if [[ $(StageField "$scratch/killed" "$stage" state) == RUNNING ]]; then met=$stage; fi
  done
  if ((status == 137)); then
    ((landed++))
    printf '  %s, step %s, and %s s: met %s, committed %s\n' "$1" "$2" "$3" "$met" "$(CommittedStep "$scratch/killed" "$met")"
  elif ((status == 0)); then
    printf '  %s, step %s, and %s s: too late, the run had ended\n' "$1" "$2" "$3"
  else
    Die "the run failed instead of being killed: $(tail -n 1 "$scratch/killed.err")"
  fi
}

# Seconds are a clock's business, not the run's.
WithoutClock() { sed -E 's/"seconds\/[^"]*":[^,}]*,?//g; s/,\}/}/' "$1"; }

# HashOf RUN FILE
HashOf() {
  if [[ ! -f $1/$2 ]]; then
    printf missing
  elif [[ $2 == *metrics.jsonl ]]; then
    WithoutClock "$1/$2" | sha256sum | cut -d' ' -f1
  else
    sha256sum <"$1/$2" | cut -d' ' -f1
  fi
}

Compare() {
  local different=0 file calm killed
  printf '\n%-34s %-64s %s\n' file SHA-256 same
  for file in base/checkpoint/{model.safetensors,config.json,tokenizer.json} base/metrics.jsonl \
    zero/checkpoint/model.safetensors zero/groups.bin zero/metrics.jsonl \
    kept/data/examples.jsonl kept/groups.bin tuned/checkpoint/model.safetensors tuned/metrics.jsonl; do
    calm=$(HashOf "$scratch/calm" "$file")
    killed=$(HashOf "$scratch/killed" "$file")
    if [[ $calm == "$killed" && $calm != missing ]]; then
      printf '%-34s %s yes\n' "$file" "$calm"
    else
      different=1
      printf '%-34s %s NO\n%-34s %s\n' "$file" "$calm" "" "$killed"
    fi
  done
  return $different
}

# A comparison of runs that learn nothing would prove nothing.
CheckThatItLearns() {
  local hashes
  hashes=$(for stage in base zero tuned; do HashOf "$scratch/calm" "$stage/checkpoint/model.safetensors"; done | sort -u | wc -l)
  ((hashes == 3)) || Die "a stage left the weights as they were"
  local left=("$scratch"/killed/*.aside.* "$scratch"/killed/*/*.aside.* "$scratch"/killed/*/state/*.aside.*) file
  for file in "${left[@]}"; do [[ ! -e $file ]] || Die "$file was left lying about"; done
}

trap '[[ -z $pid ]] || kill -KILL "$pid" 2>/dev/null' EXIT  # nothing runs on when this script is stopped
[[ -x $aha ]] || Die "$1 is not a program"
rm -rf -- "$scratch"
mkdir -p -- "$scratch"
recipe=$scratch/recipe.textproto
{
  printf 'name: "kill"\nseed: 7\nthreads: 2\n'
  PretrainStage "${steps[0]}"
  RlStage "${steps[1]}" base
  RejectAndSft "${steps[3]}"
} >"$recipe"

begin=$(Now)
RunToEnd "$scratch/calm" calm
printf 'undisturbed: %.1f s;' "$(awk -v a="$begin" -v b="$(Now)" 'BEGIN { print b - a }')"
for stage in "${stages[@]}"; do printf ' %s %.1f' "$stage" "$(StageField "$scratch/calm" "$stage" seconds)"; done
printf '\nkills:\n'

landed=0
wanted=0
for i in "${!stages[@]}"; do
  for ((k = 0; k < kills[i]; ++k)); do
    ((wanted++))
    seconds=$(StageField "$scratch/calm" "${stages[i]}" seconds)
    KillDuring "${stages[i]}" $((steps[i] * k / kills[i])) "$(Evaluate "u * $seconds / ${kills[i]}")"
  done
done
RunToEnd "$scratch/killed" killed
printf '%d of %d kills met a run under way\n' "$landed" "$wanted"

CheckThatItLearns
Compare || Die "the killed run ended with other bytes; both are in $scratch"
((landed * 10 >= wanted * 7)) || Die "only $landed of $wanted kills met a run under way"
