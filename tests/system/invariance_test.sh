#!/usr/bin/env bash
# The same bits by whole runs of the program: 20 updates of an rl stage, with settings that only move work about and
# with rollout workers in processes of their own; for dense and routed policies in fp32 and bf16.
#
#   invariance_test.sh AHA SCRATCH [STEPS]
#
# Prints the bytes in which weights, masters and moments differ from those of the first row. Exit codes: 0 none, 1 some.
set -uo pipefail

aha=$(readlink -f -- "$1")
scratch=$2
steps=${3:-10}  # of two updates
source "$(dirname -- "$(readlink -f -- "${BASH_SOURCE[0]}")")/tiny_recipe.sh"

workers=()
trap '((${#workers[@]} == 0)) || kill -KILL "${workers[@]}" 2>/dev/null' EXIT

Die() {
  printf 'invariance_test: %s\n' "$*" >&2
  exit 1
}

# Base NAME: the recipe of a policy to begin with.
Base() {
  printf 'name: "%s"\nseed: 3\nthreads: 1\n' "$1"
  case $1 in
    dense-*) PretrainStage 2 | sed '/architecture {/,/^    }/c\    architecture { model_type: "llama" hidden_size: 48 intermediate_size: 96 num_hidden_layers: 2 num_attention_heads: 4 num_key_value_heads: 2 max_position_embeddings: 256 dtype: "'"${1#*-}"'" }' ;;
    *) PretrainStage 2 | sed 's/max_position_embeddings: 256/max_position_embeddings: 256 dtype: "'"${1#*-}"'"/' ;;
  esac
}

# Run POLICY SETTING [OPTION]...: an rl run; its weights, masters and moments are what is compared.
Run() {
  local out=$scratch/$1/$2 policy=$1
  shift 2
  timeout 300 "$aha" -q rl "$scratch/$policy.rl.textproto" --out "$out" "$@" >"$scratch/out" 2>"$scratch/err" ||
    Die "$out: $(tail -n 1 "$scratch/err")"
}

# Differing POLICY SETTING: bytes unlike those of the first run.
Differing() {
  local file total=0
  for file in checkpoint/model.safetensors "state/step-$steps/optimizer.safetensors" "state/step-$steps/buffers.safetensors" groups.bin; do
    local a=$scratch/$1/first/zero/$file b=$scratch/$1/$2/zero/$file
    [[ -s $a && -s $b && $(stat -c %s "$a") == $(stat -c %s "$b") ]] || { printf 'another size of %s' "$file"; return; }
    total=$((total + $(cmp -l "$a" "$b" | wc -l)))
  done
  printf '%d' "$total"
}

WithWorkers() {
  local endpoint="ipc://$scratch/$1.ipc" i
  for i in 1 2; do
    "$aha" -q rollout --connect "$endpoint" >/dev/null 2>>"$scratch/workers.err" &
    workers+=($!)
  done
  Run "$1" workers --set "rollout_endpoint=$endpoint" --set rollout_workers=2 --set zero.prompts_per_unit=1
  for i in "${workers[@]}"; do wait "$i" 2>/dev/null; done
  workers=()
}

[[ -x $aha ]] || Die "$1 is not a program"
rm -rf -- "$scratch"
mkdir -p -- "$scratch"
scratch=$(readlink -f -- "$scratch")
policies=(dense-fp32 dense-bf16 experts-fp32 experts-bf16)
settings=(small-micro-batches two-threads one-prompt-a-unit workers)
declare -A rows
bad=0
for policy in "${policies[@]}"; do
  Base "$policy" >"$scratch/$policy.textproto"
  "$aha" -q run "$scratch/$policy.textproto" --out "$scratch/$policy-base" >/dev/null 2>"$scratch/err" || Die "$(tail -n 1 "$scratch/err")"
  {
    printf 'name: "%s"\nseed: 3\nthreads: 1\nmodel: "%s"\n' "$policy" "$scratch/$policy-base/base/checkpoint"
    RlStage "$steps" model
  } >"$scratch/$policy.rl.textproto"
  Run "$policy" first
  Run "$policy" small-micro-batches --set zero.micro_batch_tokens=64
  Run "$policy" two-threads --set threads=2
  Run "$policy" one-prompt-a-unit --set zero.prompts_per_unit=1
  WithWorkers "$policy"
  for setting in "${settings[@]}"; do
    bytes=$(Differing "$policy" "$setting")
    [[ $bytes == 0 ]] || bad=1
    rows[$setting]+=" $bytes |"
  done
done
printf 'Differing bytes after %d updates:\n\n| setting | %s | %s | %s | %s |\n|---|---|---|---|---|\n' $((2 * steps)) "${policies[@]}"
for setting in "${settings[@]}"; do printf '| %s |%s\n' "$setting" "${rows[$setting]}"; done
exit "$bad"
