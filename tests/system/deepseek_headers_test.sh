#!/usr/bin/env bash
# usage: deepseek_headers_test.sh AHA SCRATCH
#
# `aha inspect` of the released DeepSeek-R1 checkpoint's headers (deepseek_headers.py: 163 sparse files of their true
# sizes, 91,991 tensors): the parameters are those that the papers name, every tensor has its place, and what is wrong with
# a file is said by name. Needs python3; takes some seconds and 25 MB of disk.
set -uo pipefail

aha=$(readlink -f -- "$1")
scratch=$2
here=$(dirname -- "$(readlink -f -- "${BASH_SOURCE[0]}")")
failures=0

Fail() {
  printf 'WRONG: %s\n' "$*"
  failures=$((failures + 1))
}

# Has JSON PART
Has() { [[ $1 == *"$2"* ]] || Fail "no $2 in: $1"; }

# Refused EXIT PART COMMAND...
Refused() {
  local want=$1 part=$2 said status
  shift 2
  said=$("$@" 2>&1 >/dev/null)
  status=$?
  ((status == want)) || Fail "exit code $status, not $want: $*"
  Has "$said" "$part"
  printf '%s\n' "${said//$scratch\//}"
}

rm -rf -- "$scratch"
mkdir -p -- "$scratch"
trap 'rm -rf -- "$scratch"' EXIT
python3 "$here/deepseek_headers.py" "$scratch/r1" || exit 1

json=$("$aha" inspect "$scratch/r1" --json) || Fail "inspect ended with $?"
printf '%s\n' "$json"
# arXiv:2412.19437: 671B parameters, 37B of them active; 688.6 GB of files. A token's cache is 61 layers of 512 + 64
# numbers in bf16.
Has "$json" '"parameters":671026419200,'
Has "$json" '"active_parameters":37'
Has "$json" '"kv_bytes_per_token":70272,'
Has "$json" '"files":163,"tensors":91991,"bytes":688574839360,'
Has "$json" '"missing":[],"unexpected":[],"wrong_shape":[],"wrong_type":[]'

sed -i 's/"n_routed_experts": 256/"n_routed_experts": 255/' "$scratch/r1/config.json"
Refused 2 'n_group' "$aha" inspect "$scratch/r1" # 255 experts do not make 8 groups
sed -i 's/"n_routed_experts": 255/"n_routed_experts": 264/' "$scratch/r1/config.json"
Refused 1 'model.layers.3.mlp.gate.weight has shape [256, 7168]' "$aha" inspect "$scratch/r1"
sed -i 's/"n_routed_experts": 264/"n_routed_experts": 256/' "$scratch/r1/config.json"
truncate -s -1 -- "$scratch/r1/model-00100-of-000163.safetensors"
Refused 1 'model-00100-of-000163.safetensors' "$aha" inspect "$scratch/r1"
rm -- "$scratch/r1/model-00100-of-000163.safetensors"
Refused 1 'model-00100-of-000163.safetensors' "$aha" inspect "$scratch/r1"

((failures == 0))
