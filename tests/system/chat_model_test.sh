#!/usr/bin/env bash
# usage: chat_model_test.sh AHA SCRATCH
#
# An imported model with a chat template of its own, from GGUF to answers: a tiny Llama learns one question by heart, and what
# training wrote, generation, chat, evaluation and RL must read back: they agree only when all of them render the same
# prompt and end at the same token. Then generation_config.json's list of stop tokens, and a template that nobody knows.
set -uo pipefail

aha=$(readlink -f -- "$1")
scratch=$2
root=$(dirname -- "$(readlink -f -- "${BASH_SOURCE[0]}")")/../..
failures=0

Check() { # NAME WANT GOT
  if [[ $3 == *"$2"* ]]; then
    printf 'ok     %s\n' "$1"
  else
    printf 'WRONG  %s: no "%s" in: %s\n' "$1" "$2" "$3"
    failures=$((failures + 1))
  fi
}

rm -rf -- "$scratch"
mkdir -p -- "$scratch"
scratch=$(readlink -f -- "$scratch")
model=$scratch/model
"$aha" -q import "$root/tests/policy/golden/gguf/llama.gguf" "$model" --dtype fp32 >/dev/null || exit 1
Check "unknown template" 'none of those that Aha knows' "$("$aha" generate "$model" --prompt Hi --template auto 2>&1)"

# ChatML's tokens in place of the model's own, and a folder's chat_template.jinja.
sed -i 's/<|begin|>/<|im_start|>/g; s/<|end|>/<|im_end|>/g' "$model"/{tokenizer,tokenizer_config,special_tokens_map}.json
printf '%s' "{% for message in messages %}{{'<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n'}}{% endfor %}" \
  "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}" >"$model/chat_template.jinja"

question='What is 6 * 7?'
answer='6 * 7 is 42. #### 42'
printf '{"question": "%s", "answer": "%s"}\n' "$question" "$answer" >"$scratch/one.jsonl"
cat >"$scratch/recipe.textproto" <<TEXT
name: "chat" model: "$model" threads: 1
stage {
  name: "learn"
  sft {
    jsonl { path: "one.jsonl" } epochs: 80 batch: 1 mtp_loss: 0
    optimizer { learning_rate: 5e-3 warmup_steps: 5 weight_decay: 0 }
  }
}
stage {
  name: "reward"
  init: "learn"
  rl {
    prompts { jsonl { path: "one.jsonl" } }
    reward { name: "math" }
    steps: 1 prompts_per_step: 2 group_size: 4 max_new_tokens: 48 mtp_loss: 0
  }
}
TEXT
"$aha" -q sft "$scratch/recipe.textproto" --out "$scratch/run" >/dev/null || exit 1
learnt=$scratch/run/learn/checkpoint
Check "the template goes along" "assistant" "$(cat "$learnt/chat_template.jinja")"

greedy=$("$aha" -q generate "$learnt" --prompt "$question" --template auto --temperature 0 --max-new 48 --json)
Check "generate answers" "\"text\":\"$answer\"" "$greedy"
Check "generate stops" '"finish":"stop"' "$greedy"
rendered=$'<|im_start|>user\n'$question$'<|im_end|>\n<|im_start|>assistant\n'
Check "the prompt is the template's" "$greedy" \
  "$("$aha" -q generate "$learnt" --prompt "$rendered" --temperature 0 --max-new 48 --json)"
cut=$("$aha" -q generate "$learnt" --prompt "$question" --template auto --temperature 0 --max-new 48 --json --stop nowhere --stop ' is')
Check "a stop string is left out" '"text":"6 * 7"' "$cut"
Check "and is the end" '"finish":"stop"' "$cut"
Check "an empty one" 'must not be empty' "$("$aha" -q generate "$learnt" --prompt Hi --stop '' 2>&1)"
Check "ids that are missing" 'an id is missing' "$("$aha" -q logits "$learnt" --ids '' --out "$scratch/none" 2>&1)"
Check "chat answers" "$answer" "$(printf '%s\n' "$question" | "$aha" -q chat "$learnt" --temperature 0 --max-new 48)"
Check "eval finds it right" '"pass_at_1":1.0' \
  "$("$aha" -q eval "$learnt" --task "$scratch/one.jsonl" --samples 1 --count 1 --temperature 0 --max-new 48 --json)"
reward=$("$aha" -q rl "$scratch/recipe.textproto" --out "$scratch/run" --json)
Check "RL rewards it" '"reward":' "$reward"
mean=$(sed 's/.*"reward":\([0-9.]*\).*/\1/' <<<"$reward")
Check "nearly always" yes "$(awk -v m="$mean" 'BEGIN { print (m >= 0.75 ? "yes" : "mean " m) }')"

# A token of the answer becomes one of several stop tokens; the completion is cut there and the token is its last one.
tokens=$(sed 's/.*"tokens":\[\([0-9,]*\)\].*/\1/' <<<"$greedy")
first=$(cut -d, -f1-5 <<<"$tokens")
stop=${first##*,}
while [[ ,${first%,*}, == *",$stop,"* ]]; do # the first place where it appears
  first=$(cut -d, -f1-$(($(tr -cd , <<<"$first" | wc -c) + 2)) <<<"$tokens")
  stop=${first##*,}
done
printf '{"eos_token_id": [280, %s]}\n' "$stop" >"$learnt/generation_config.json"
listed=$("$aha" -q generate "$learnt" --prompt "$question" --template auto --temperature 0 --max-new 48 --json)
Check "a listed token stops" "\"tokens\":[$first]" "$listed"
Check "and says so" '"finish":"stop"' "$listed"
printf '{"eos_token_id": [280, 99999]}\n' >"$learnt/generation_config.json"
Check "one that is no token" '99999' "$("$aha" -q generate "$learnt" --prompt Hi 2>&1)"

((failures == 0))
