#include "pipelines/model/step_work.h"

#include <cmath>

namespace aha::pipelines {
namespace {

using policy::AttentionKind;
using policy::PolicyConfig;
using policy::cpu::Work;

// Numbers in the matrices of one layer's attention that a token meets.
double ProjectionNumbers(const PolicyConfig& c) {
  const auto hidden = static_cast<double>(c.hidden_size);
  const auto heads = static_cast<double>(c.num_attention_heads);
  if (c.attention == AttentionKind::kGrouped) {
    const auto head = static_cast<double>(c.head_dim);
    return hidden * head * (2 * heads + 2 * static_cast<double>(c.num_key_value_heads));
  }
  const auto rank = static_cast<double>(c.kv_lora_rank);
  const auto rope = static_cast<double>(c.qk_rope_head_dim);
  const auto nope = static_cast<double>(c.qk_nope_head_dim);
  const auto value = static_cast<double>(c.v_head_dim);
  const auto query = static_cast<double>(c.q_lora_rank);
  const double into =
      query > 0 ? hidden * query + query * heads * (nope + rope) : hidden * heads * (nope + rope);
  return into + hidden * (rank + rope) + heads * rank * (nope + value) + hidden * heads * value;
}

// Of a query head and a cached token, over all heads: multiply-adds.
double AttentionNumbers(const PolicyConfig& c) {
  const auto heads = static_cast<double>(c.num_attention_heads);
  return c.attention == AttentionKind::kGrouped
             ? heads * 2 * static_cast<double>(c.head_dim)
             : heads * static_cast<double>(2 * c.kv_lora_rank + c.qk_rope_head_dim);
}

}  // namespace

StepLoads LoadsOf(const PolicyConfig& c, const StepShape& shape) {
  StepLoads loads;
  const auto number = static_cast<double>(c.bytes_per_number());
  const auto weights = [&](Work work, double numbers, double bytes_each) {
    StepLoad& load = loads[static_cast<std::size_t>(work)];
    load.flops += 2 * shape.rows * numbers;
    load.bytes += numbers * bytes_each;
  };
  const auto hidden = static_cast<double>(c.hidden_size);
  for (std::int64_t layer = 0; layer < c.num_hidden_layers; ++layer) {
    weights(Work::kProjections, ProjectionNumbers(c), number);
    StepLoad& attention = loads[static_cast<std::size_t>(Work::kAttention)];
    attention.flops += 2 * shape.rows * shape.context * AttentionNumbers(c);
    attention.bytes += shape.rows * static_cast<double>(c.kv_width()) * number *
                       (shape.context - shape.shared + shape.shared / shape.samples);
    if (c.n_routed_experts == 0 || c.dense_layer(layer)) {
      weights(Work::kNetwork, 3 * hidden * static_cast<double>(c.intermediate_size), number);
      continue;
    }
    weights(Work::kNetwork, 3 * hidden * static_cast<double>(c.shared_width()), number);
    weights(Work::kRouter, hidden * static_cast<double>(c.n_routed_experts), sizeof(float));
    const double expert = 3 * hidden * static_cast<double>(c.moe_intermediate_size);
    const auto experts = static_cast<double>(c.n_routed_experts);
    const auto chosen = static_cast<double>(c.num_experts_per_tok);
    StepLoad& load = loads[static_cast<std::size_t>(Work::kExperts)];
    load.flops += 2 * shape.rows * chosen * expert;
    load.bytes += expert * number * experts * (1 - std::pow(1 - chosen / experts, shape.rows));
  }
  weights(Work::kHead, hidden * static_cast<double>(c.vocab_size), number);
  return loads;
}

StepLoad Sum(const StepLoads& loads) {
  StepLoad sum;
  for (const StepLoad& load : loads) {
    sum.flops += load.flops;
    sum.bytes += load.bytes;
  }
  return sum;
}

}  // namespace aha::pipelines
