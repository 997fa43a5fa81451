# shellcheck shell=bash
# Sourced by the scripts of this folder: recipes small enough that a stage takes a second or two.

# Architecture PRETRAIN_STEPS: a pretrain stage "base" of a policy with some ten thousand parameters.
PretrainStage() {
  cat <<TEXT
stage {
  name: "base"
  pretrain {
    architecture {
      hidden_size: 32 intermediate_size: 64 moe_intermediate_size: 16
      num_hidden_layers: 2 num_attention_heads: 2
      kv_lora_rank: 16 qk_nope_head_dim: 8 qk_rope_head_dim: 8 v_head_dim: 8
      n_routed_experts: 4 num_experts_per_tok: 2 n_group: 2 topk_group: 1
      max_position_embeddings: 256
    }
    vocab_size: 300
    corpus { task { family: "reasoning" } }
    steps: $1
    batch_tokens: 1024
    micro_batch_tokens: 512
    optimizer { learning_rate: 3e-3 warmup_steps: 2 }
    commit_every: 3
  }
}
TEXT
}

# RlStage STEPS INIT: an rl stage "zero". A policy that has learned next to nothing is paid for words in the
# question's language: that differs from sample to sample, so there is something to learn from.
RlStage() {
  cat <<TEXT
stage {
  name: "zero"
  init: "$2"
  rl {
    prompts { task { family: "chain" } }
    reward { name: "math" }
    reward { name: "language" }
    steps: $1
    prompts_per_step: 4
    group_size: 4
    prompts_per_unit: 2
    max_new_tokens: 24
    micro_batch_tokens: 512
    updates_per_step: 2
    kl: 0.01
    reference_every: 3
    optimizer { learning_rate: 1e-3 }
    commit_every: 2
  }
}
TEXT
}

# RejectAndSft SFT_STEPS: stages "kept" and "tuned". What the policy cannot do, the solver writes.
RejectAndSft() {
  cat <<TEXT
stage {
  name: "kept"
  init: "zero"
  reject {
    prompts { task { family: "chain" } }
    prompt_count: 24
    samples: 2
    max_new_tokens: 24
    prompts_per_unit: 8
    keep { reward: "language" min_score: 0.5 }
    solver_below: 1
  }
}
stage {
  name: "tuned"
  init: "zero"
  sft { from: "kept" batch: 4 max_steps: $1 micro_batch_tokens: 512 commit_every: 2 optimizer { learning_rate: 1e-3 } }
}
TEXT
}
