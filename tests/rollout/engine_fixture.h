#pragma once
/// Small models with weights of their own, and requests of every kind, for the engine's tests.

#include <algorithm>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "policy/model/head.h"
#include "policy/model/pass.h"
#include "rollout/engine.h"

namespace aha::rollout {

inline policy::PolicyConfig TinyLatent(policy::NumberType type = policy::NumberType::kBf16,
                                       std::int64_t mtp = 1) {
  policy::PolicyConfig c;
  c.vocab_size = 96;
  c.hidden_size = 32;
  c.intermediate_size = 64;
  c.moe_intermediate_size = 32;
  c.num_hidden_layers = 2;
  c.num_attention_heads = 2;
  c.num_key_value_heads = 2;
  c.q_lora_rank = 16;
  c.kv_lora_rank = 16;
  c.qk_nope_head_dim = 16;
  c.qk_rope_head_dim = 8;
  c.v_head_dim = 16;
  c.n_routed_experts = 8;
  c.n_shared_experts = 1;
  c.num_experts_per_tok = 2;
  c.n_group = 2;
  c.topk_group = 2;
  c.first_k_dense_replace = 1;
  c.num_nextn_predict_layers = mtp;
  c.max_position_embeddings = 256;
  c.initializer_range = 0.3;
  c.eos_token_id = 1;
  c.dtype = type;
  return c;
}

inline policy::PolicyConfig TinyGrouped(policy::NumberType type = policy::NumberType::kBf16) {
  policy::PolicyConfig c;
  c.family = policy::Family::kLlama;
  c.attention = policy::AttentionKind::kGrouped;
  c.vocab_size = 96;
  c.hidden_size = 32;
  c.intermediate_size = 64;
  c.num_hidden_layers = 2;
  c.num_attention_heads = 4;
  c.num_key_value_heads = 2;
  c.head_dim = 16;
  c.max_position_embeddings = 256;
  c.initializer_range = 0.3;
  c.rope_interleave = false;
  c.tie_word_embeddings = true;
  c.eos_token_id = 1;
  c.dtype = type;
  return c;
}

inline const policy::cpu::Cpu& TestCpu(int threads = 1) {
  static const policy::cpu::Cpu one(*policy::cpu::ChooseKernelTarget(), 1);
  static const policy::cpu::Cpu two(*policy::cpu::ChooseKernelTarget(), 2);
  return threads == 1 ? one : two;
}

/// Options with a cache of so many pages.
inline EngineOptions WithPages(const policy::PolicyConfig& config,
                               std::size_t pages,
                               EngineOptions options = {}) {
  options.cache_bytes = pages * policy::KvPool::PageBytes(config, options.page_tokens);
  return options;
}

/// Request `id`: everything about it follows from the id.
inline Request MakeRequest(std::uint64_t id, const policy::PolicyConfig& config) {
  const KeyedRandom random = KeyedRandom(7, "test/request").With(id);
  Request r;
  r.id = id;
  const std::int64_t length = random.Integer(0, 1, 70);
  for (std::int64_t i = 0; i < length; ++i) {
    r.prompt.push_back(static_cast<std::int32_t>(
        random.Integer(static_cast<std::uint64_t>(100 + i), 2, config.vocab_size - 1)));
  }
  r.samples = static_cast<std::uint32_t>(random.Integer(1, 1, 4));
  r.random = random;
  r.sampling.temperature = random.Integer(2, 0, 4) == 0 ? 0.0F : 1.0F;
  r.sampling.max_new_tokens = static_cast<std::uint32_t>(random.Integer(3, 1, 60));
  if (random.Integer(4, 0, 2) == 0) r.sampling.top_k = 5;
  if (random.Integer(5, 0, 2) == 0) r.sampling.top_p = 0.8F;
  if (random.Integer(6, 0, 2) == 0) r.sampling.min_p = 0.05F;
  r.stop_ids = {1};
  return r;
}

/// Runs all; outcomes by id.
inline std::vector<Outcome> Drain(Engine& engine) {
  while (engine.Step()) {
  }
  std::vector<Outcome> all = engine.TakeOutcomes();
  std::sort(all.begin(), all.end(), [](const Outcome& a, const Outcome& b) { return a.id < b.id; });
  return all;
}

/// Log-probabilities of a whole sequence's completion, as the learner computes them.
inline std::vector<float> WholeLogprobs(const policy::Weights& weights,
                                        const policy::cpu::Cpu& cpu,
                                        const Request& request,
                                        const std::vector<std::int32_t>& completion) {
  std::vector<std::int32_t> ids = request.prompt;
  ids.insert(ids.end(), completion.begin(), completion.end());
  const std::vector<policy::SequenceTokens> sequence = {{ids, 0, {}}};
  policy::Pass pass(weights, cpu);
  policy::Head head(weights, cpu);
  const policy::Hidden hidden = pass.Forward({sequence, nullptr});
  std::vector<std::int32_t> rows;
  for (std::size_t i = 0; i < completion.size(); ++i)
    rows.push_back(static_cast<std::int32_t>(request.prompt.size() + i) - 1);
  std::vector<float> logprobs(rows.size());
  const float temperature = request.sampling.temperature == 0 ? 1 : request.sampling.temperature;
  head.Logprobs(hidden, rows, completion, temperature, logprobs);
  return logprobs;
}

inline void ExpectSame(const std::vector<Outcome>& a, const std::vector<Outcome>& b) {
  ASSERT_EQ(a.size(), b.size());
  for (std::size_t i = 0; i < a.size(); ++i) {
    ASSERT_EQ(a[i].id, b[i].id);
    ASSERT_EQ(a[i].samples.size(), b[i].samples.size());
    for (std::size_t s = 0; s < a[i].samples.size(); ++s) {
      EXPECT_EQ(a[i].samples[s].ids, b[i].samples[s].ids)
          << "request " << a[i].id << " sample " << s;
      EXPECT_EQ(a[i].samples[s].logprobs, b[i].samples[s].logprobs)
          << "request " << a[i].id << " sample " << s;
      EXPECT_EQ(a[i].samples[s].finish, b[i].samples[s].finish);
    }
  }
}

}  // namespace aha::rollout
