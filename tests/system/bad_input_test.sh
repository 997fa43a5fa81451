#!/usr/bin/env bash
# What a user can get wrong, and what the machine can: each row is a command that must fail with one line that names
# the trouble, the right exit code, and a run directory that a good run can use afterwards.
#
#   bad_input_test.sh AHA SCRATCH [PLUGINS]
#
# PLUGINS is the folder with the test plug-ins; without it their rows are skipped, and so are those of
# disks where this script may not have a mount namespace.
# Prints a table: case, outcome, exit code, message. Exit codes: 0 all as expected, 1 not.
set -uo pipefail

aha=$(readlink -f -- "$1")
scratch=$2
plugins=${3-}
source "$(dirname -- "$(readlink -f -- "${BASH_SOURCE[0]}")")/tiny_recipe.sh"

# Full and read-only disks are small tmpfs mounts, in a mount namespace of their own that ends with this script.
if [[ -z ${AHA_TEST_MOUNTS-} ]]; then
  export AHA_TEST_MOUNTS=no
  for namespace in "--mount" "--user --map-root-user --mount"; do
    # shellcheck disable=SC2086  # two options are meant
    if unshare $namespace true 2>/dev/null; then AHA_TEST_MOUNTS=yes exec unshare $namespace bash "$0" "$@"; fi
  done
fi

failures=0
rows=0
background=

CleanUp() {
  [[ -z $background ]] || kill -KILL "$background" 2>/dev/null
}
trap CleanUp EXIT

Die() {
  printf 'bad_input_test: %s\n' "$*" >&2
  exit 1
}

Row() { printf '%-26s %-8s %-4s %s\n' "$1" "$2" "$3" "${4//$scratch\//}"; }

Skip() { Row "$1" skipped - "$2"; }

Wrong() {
  ((++failures))
  Row "$1" WRONG "$2" "$3"
}

# Recipe NAME: reads stages from standard input; prints the file. Its model is $model.
Recipe() {
  {
    printf 'name: "%s"\nseed: 3\nthreads: 1\n' "$1"
    cat
  } >"$scratch/$1.textproto"
  printf '%s' "$scratch/$1.textproto"
}

# Expect NAME EXIT REGEX COMMAND...: the row itself. The message is the line that begins with "aha: ".
Expect() {
  local name=$1 want=$2 regex=$3 status message
  shift 3
  ((++rows))
  timeout 60 "$@" >"$scratch/out" 2>"$scratch/err"
  status=$?
  message=$(grep -a '^aha: ' "$scratch/err")
  if ((status != want)); then
    Wrong "$name" "$status" "exit code $want expected; $(tail -n 1 "$scratch/err")"
  elif [[ -z $message || $message == *$'\n'* ]]; then
    Wrong "$name" "$status" "not one line: $(tail -n 3 "$scratch/err")"
  elif ! grep -aqE -- "$regex" <<<"$message"; then
    Wrong "$name" "$status" "does not match $regex: ${message#aha: }"
  else
    Row "$name" ok "$status" "${message#aha: }"
    return 0
  fi
  return 1
}

# Works NAME OUT: a good run in the directory that the bad one left ends with the weights of any other good run.
Works() {
  timeout 60 "$aha" -q run "$good" --out "$2" >"$scratch/out" 2>"$scratch/err"
  local status=$?
  if ((status != 0)) || ! cmp -s "$2/zero/checkpoint/model.safetensors" "$scratch/runs/good/zero/checkpoint/model.safetensors"; then
    Wrong "$1, then a good run" "$status" "$(tail -n 1 "$scratch/err")"
  fi
}

# Refused NAME EXIT REGEX RECIPE [OPTION]...: `aha run` of it fails so, and the run directory works afterwards.
Refused() {
  local name=$1 want=$2 regex=$3 recipe=$4
  shift 4
  local out=$scratch/runs/${name// /-}
  Expect "$name" "$want" "$regex" "$aha" -q run "$recipe" --out "$out" "$@"
  Works "$name" "$out"
}

# Changed NAME SED: prints a recipe file, the good one with a sed command applied.
Changed() {
  sed -E "$2" "$good" >"$scratch/$1.textproto"
  printf '%s' "$scratch/$1.textproto"
}

# BrokenModel NAME: a copy of the model to break, and a recipe "NAME" that starts from it.
BrokenModel() {
  cp -r -- "$model" "$scratch/models/$1"
  sed "s|^model: .*|model: \"$scratch/models/$1\"|" "$good" >"$scratch/$1.textproto"
}

Prepare() {
  [[ -x $aha ]] || Die "$1 is not a program"
  rm -rf -- "$scratch"
  mkdir -p -- "$scratch/models" "$scratch/runs"
  scratch=$(readlink -f -- "$scratch")
  model=$scratch/base/base/checkpoint
  "$aha" -q run "$(PretrainStage 2 | Recipe base)" --out "$scratch/base" >/dev/null 2>"$scratch/err" ||
    Die "the model could not be made: $(tail -n 1 "$scratch/err")"
  good=$({
    printf 'model: "%s"\n' "$model"
    RlStage 1 model | sed 's/kl: 0.01/kl: 0/; /reference_every/d'
  } | Recipe good)
  "$aha" -q run "$good" --out "$scratch/runs/good" >/dev/null 2>"$scratch/err" || Die "the good run failed: $(tail -n 1 "$scratch/err")"
}

Recipes() {
  Refused "unknown key" 2 'unknown-key.textproto:[0-9]+.*group_sise.*group_size' "$(Changed unknown-key 's/group_size/group_sise/')"
  Refused "key never read" 2 'never-read.textproto:[0-9]+.*final_ratio.*never read' \
    "$(Changed never-read 's/learning_rate: 1e-3/learning_rate: 1e-3 final_ratio: 0.5/')"
  Refused "value out of range" 2 'range.textproto:[0-9]+.*group_size.* 1[ ,;].*2' "$(Changed range 's/group_size: 4/group_size: 1/')"
  Refused "value of another type" 2 'type.textproto:[0-9]+.*' "$(Changed type 's/group_size: 4/group_size: "four"/')"
  Refused "unknown key by --set" 2 'zero.kl_weight' "$good" --set zero.kl_weight=1
  Refused "unknown task family" 2 'zero: prompts.task.*chains.*chain' "$(Changed family 's/"chain"/"chains"/')"
  Refused "unknown reward" 2 'zero: reward maths: .*math' "$(Changed reward 's/"math"/"maths"/')"
  Refused "unknown key of a reward" 2 'zero: reward math: .*strictnes' "$(Changed reward-key 's/name: "math"/name: "math" config: "strictnes: 1"/')"
  Refused "missing recipe" 2 'nowhere.textproto.*No such file' "$scratch/nowhere.textproto"
  Refused "a folder for a recipe" 2 'directory' "$scratch/models"
  head -c 300 /bin/true >"$scratch/binary.textproto"
  Refused "no text at all" 2 'binary.textproto:[0-9]+' "$scratch/binary.textproto"
}

Models() {
  Refused "missing model folder" 1 'nowhere/model: no such model folder' "$(Changed no-model 's|^model: .*|model: "/nowhere/model"|')"
  BrokenModel no-weights
  rm -- "$scratch/models/no-weights/model.safetensors"
  Refused "missing safetensors" 1 'no-weights.*safetensors' "$scratch/no-weights.textproto"
  BrokenModel cut
  truncate -s -100 -- "$scratch/models/cut/model.safetensors"
  Refused "truncated safetensors" 1 'cut/model.safetensors' "$scratch/cut.textproto"
  BrokenModel empty
  : >"$scratch/models/empty/model.safetensors"
  Refused "empty safetensors" 1 'empty/model.safetensors' "$scratch/empty.textproto"
  BrokenModel shape
  sed -i 's/"intermediate_size": 64/"intermediate_size": 72/' "$scratch/models/shape/config.json"
  Refused "wrong shape" 1 'shape/model.safetensors.*mlp.*\[64, 32\].*\[72, 32\]|\[32, 64\].*\[32, 72\]' "$scratch/shape.textproto"
  BrokenModel dtype
  LC_ALL=C sed -i '0,/"BF16"/s//"I16" /' "$scratch/models/dtype/model.safetensors"
  Refused "wrong dtype" 1 'dtype/model.safetensors.*tensor .*type' "$scratch/dtype.textproto"
  BrokenModel config
  printf '{"architectures": ' >"$scratch/models/config/config.json"
  Refused "config.json cut off" 1 'config/config.json.*JSON' "$scratch/config.textproto"
  BrokenModel other
  sed -i 's/"DeepseekV3ForCausalLM"/"GPT2LMHeadModel"/' "$scratch/models/other/config.json"
  Refused "another architecture" 2 'architectures.*GPT2LMHeadModel.*DeepseekV3ForCausalLM' "$scratch/other.textproto"
  BrokenModel tokenizer
  sed -i -E 's/"vocab_size": [0-9]+/"vocab_size": 290/' "$scratch/models/tokenizer/config.json"
  Refused "tokenizer of another model" 2 'tokenizer.json has [0-9]+ tokens.*290.*belong together' "$scratch/tokenizer.textproto"
  BrokenModel no-tokenizer
  rm -- "$scratch/models/no-tokenizer/tokenizer.json"
  Refused "missing tokenizer" 1 'no-tokenizer/tokenizer.json' "$scratch/no-tokenizer.textproto"
}

Rewards() {
  if [[ -z $plugins ]]; then
    Skip "plug-ins" "no folder of test plug-ins was given"
  else
    Refused "plug-in of another ABI" 2 'wrong_abi.so.*77' "$good" --plugin "$plugins/libtest_plugin_wrong_abi.so"
    Refused "no plug-in at all" 2 'no_symbol.so.*aha_reward_plugin' "$good" --plugin "$plugins/libtest_plugin_no_symbol.so"
    Refused "missing plug-in" 1 'nowhere.so' "$good" --plugin "$scratch/nowhere.so"
    Refused "plug-in that throws" 1 'no sample.*throws.*CRASH.*no good' "$(Changed throws 's/"math"/"throws"/')" \
      --plugin "$plugins/libtest_plugin_throwing.so"
    Refused "plug-in that gives NaN" 1 'no sample.*not_a_number.*NOT_FINITE' "$(Changed nan 's/"math"/"not_a_number"/')" \
      --plugin "$plugins/libtest_plugin_nan.so"
  fi
  Refused "dead reward service" 1 "ipc://$scratch/dead" \
    "$(Changed dead "s|^threads: 1|threads: 1 reward_endpoint: \"ipc://$scratch/dead\"|; s/kl: 0/kl: 0 reward_timeout_s: 1/")"
  Refused "reward service far away" 2 'tcp://203.0.113.1:5555' \
    "$(Changed far 's|^threads: 1|threads: 1 reward_endpoint: "tcp://203.0.113.1:5555"|')"
}

# Jsonl NAME: a recipe whose questions are NAME.jsonl.
Jsonl() { Changed "$1" "s|task \{ family: \"chain\" \}|jsonl { path: \"$1.jsonl\" } template: \"plain\"|"; }

Data() {
  printf '{"question": "1 + 1", "answer": "#### 2"}\n{"question": "2 + 2", answer: 4}\n' >"$scratch/rows.jsonl"
  Refused "JSONL row is not JSON" 1 'rows.jsonl:2:' "$(Jsonl rows)"
  printf '{"question": "1 + 1", "answer": "#### 2"}\n\n{"question": "2"}\n' >"$scratch/blank.jsonl"
  Refused "blank JSONL row" 1 'blank.jsonl:2:' "$(Jsonl blank)"
  printf '{"question": "1 + 1", "answer": "2"}\n' >"$scratch/mark.jsonl"
  Refused "JSONL row without mark" 1 'mark.jsonl:1:.*####.*answer_mark' "$(Jsonl mark)"
  Refused "missing JSONL" 1 'gone.jsonl' "$(Jsonl gone)"
}

# SftOf NAME KEYS: an sft stage on NAME.jsonl.
SftOf() {
  printf 'model: "%s"\nstage { name: "tuned" sft { jsonl { path: "%s.jsonl" answer_mark: "" } template: "plain" batch: 2 %s } }\n' \
    "$model" "$1" "${2-}" | Recipe "$1"
}

# What training can be given, and what can become of it.
Training() {
  local words
  words=$(printf '3 plus 4 is 7 . %.0s' {1..60})
  printf '{"question": "1 + 1", "answer": "%s"}\n' "$words" >"$scratch/long.jsonl"
  Refused "example beyond the model" 2 'tuned: example 1 has [0-9]+ tokens, the model takes 256; set max_tokens to 256' "$(SftOf long)"
  cp "$scratch/long.jsonl" "$scratch/longer.jsonl"
  Refused "every example too long" 2 'tuned: there is no example to train on \(1 were longer than max_tokens 20\)' "$(SftOf longer 'max_tokens: 20')"
  printf '{"question": "1 + 1", "answer": ""}\n' >"$scratch/blank-answer.jsonl"
  Refused "answer without a token" 1 'blank-answer.jsonl:1: "answer" is empty' "$(SftOf blank-answer)"
  printf '{"question": "1 + 1", "answer": "#### \\\\frac{1"}\n' >"$scratch/unread.jsonl"
  Refused "every verifier failed" 1 'step 1: no sample of 4 groups has a reward; the first failure: math: BAD_REFERENCE' \
    "$(Changed unread 's|task \{ family: "chain" \}|jsonl { path: "unread.jsonl" } template: "plain"|')"
  Refused "epsilon of 0" 2 'epsilon.* is 0; it must be from 1e-20 to 1' "$(Changed epsilon 's/learning_rate: 1e-3/learning_rate: 1e-3 epsilon: 0/')"
  BrokenModel nan-weights
  NotANumber "$scratch/models/nan-weights/model.safetensors"
  Refused "weights with NaN" 1 'nan-weights/model.safetensors: tensor .* holds NaN or infinity' "$scratch/nan-weights.textproto"
  SmallBudget
  BadSteps
}

# NotANumber FILE: the last number of a safetensors file in bf16 becomes NaN.
NotANumber() { printf '\xc0\x7f' | dd of="$1" bs=1 seek=$(($(stat -c %s "$1") - 2)) conv=notrunc status=none; }

# A sequence longer than the budget of a micro-batch stands alone; no bit changes.
SmallBudget() {
  ((++rows))
  "$aha" -q run "$good" --out "$scratch/runs/budget" --set zero.micro_batch_tokens=16 >"$scratch/out" 2>"$scratch/err"
  local status=$?
  if ((status == 0)) && cmp -s "$scratch/runs/budget/zero/checkpoint/model.safetensors" "$scratch/runs/good/zero/checkpoint/model.safetensors"; then
    Row "budget below a sequence" ok 0 "the weights of the good run"
  else Wrong "budget below a sequence" "$status" "$(tail -n 1 "$scratch/err")"; fi
}

# AdamW without a second moment soon has numbers that are none. The commit before stays; then its optimizer is
# exchanged for another policy's.
BadSteps() {
  local bad out=$scratch/runs/bad-step kept
  bad=$(Changed bad-step 's/learning_rate: 1e-3/learning_rate: 1 beta2: 0 epsilon: 1e-20 clip_norm: 0/; s/steps: 1$/steps: 8/; s/commit_every: 2/commit_every: 1/')
  Expect "NaN at a step" 1 'zero: step [0-9]+: .*(NaN|infinity|not finite).*; the last good checkpoint: step [0-9]+ in ' "$aha" -q run "$bad" --out "$out" || return
  kept=$(grep -ao 'the last good checkpoint: step [0-9]*' "$scratch/err" | head -n 1)
  kept=${kept##* }
  [[ $(sed -n 's/^step: //p' "$out/zero/state/commit") == "$kept" && -s $out/zero/state/step-$kept/optimizer.safetensors ]] ||
    Wrong "NaN at a step, its checkpoint" - "step $kept is not in force"
  PretrainStage 1 | sed 's/intermediate_size: 64 /intermediate_size: 72 /; s/commit_every: 3/commit_every: 1/' | Recipe wide >/dev/null
  "$aha" -q run "$scratch/wide.textproto" --out "$scratch/wide" >/dev/null 2>&1
  cp "$scratch/wide/base/state/step-1/optimizer.safetensors" "$out/zero/state/step-$kept/optimizer.safetensors"
  Expect "another policy's optimizer" 1 "step-$kept/optimizer.safetensors: tensor adamw.master has .*\[[0-9]+\].*\[[0-9]+\]" "$aha" -q run "$bad" --out "$out"
  Works "another policy's optimizer" "$out"
}

# MountTmpfs FOLDER OPTIONS
MountTmpfs() {
  mkdir -p -- "$1"
  [[ $AHA_TEST_MOUNTS == yes ]] && mount -t tmpfs -o "$2" tmpfs "$1" 2>/dev/null
}

Directories() {
  : >"$scratch/file"
  Expect "run below a file" 2 'file/run.*--out' "$aha" -q run "$good" --out "$scratch/file/run"
  Expect "a file for a run" 2 'file.*--out' "$aha" -q run "$good" --out "$scratch/file"
  if ! MountTmpfs "$scratch/read-only" size=1m,ro; then
    Skip "read-only run directory" "no mount namespace can be had here: not root, and user namespaces are off"
  else
    Expect "read-only run directory" 2 'read-only/run.*Read-only file system.*--out' "$aha" -q run "$good" --out "$scratch/read-only/run"
    mount -o remount,rw "$scratch/read-only" && Works "read-only run directory" "$scratch/read-only/run"
  fi

  local long
  long=$(Changed long 's/steps: 1$/steps: 100000/')
  "$aha" -q run "$long" --out "$scratch/runs/shared" >/dev/null 2>&1 &
  background=$!
  for ((i = 0; i < 200; ++i)); do [[ -s $scratch/runs/shared/stages.textproto ]] && break; sleep 0.05; done
  Expect "two runs in one directory" 1 "shared is in use by pid $background .*--out" "$aha" -q run "$good" --out "$scratch/runs/shared"
  kill -KILL "$background"
  wait "$background" 2>/dev/null
  background=
  Works "two runs in one directory" "$scratch/runs/shared"
}

# Every size from too small for the recipe to nearly enough for the checkpoint.
FullDisk() {
  local size whole
  whole=$(du -sk --apparent-size "$scratch/runs/good" | cut -f1)
  for size in 4k 16k 64k 512k $((whole - 40))k; do
    local disk=$scratch/disk-$size
    if ! MountTmpfs "$disk" "size=$size"; then
      Skip "full disk" "no mount namespace can be had here: not root, and user namespaces are off"
      return
    fi
    Expect "full disk, $size" 1 "disk-$size/.*No space left on device" "$aha" -q run "$good" --out "$disk/run"
    mount -o remount,size=64m "$disk" && Works "full disk, $size" "$disk/run"
  done
}

Prepare "$1"
printf '%-26s %-8s %-4s %s\n' case outcome exit message
Recipes
Models
Rewards
Data
Training
Directories
FullDisk
printf '%d cases, %d wrong\n' "$rows" "$failures"
((failures == 0))
