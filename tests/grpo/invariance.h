#pragma once
/// A whole loop of reinforcement learning in one process, small, whose settings must change no bit:
/// the engine samples, a rule pays, the learner updates.

#include <algorithm>
#include <array>
#include <bit>
#include <cstdint>
#include <cstring>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "grpo/advantage.h"
#include "grpo/learner.h"
#include "rollout/engine.h"

namespace aha::grpo::invariance {

/// What may change no bit of the updated weights.
struct Setting {
  std::string name = "as it comes";
  std::int64_t micro_batch_tokens = 4096;
  bool shuffled = false;  ///< samples reach the learner in another order
  int threads = 1;
  bool recompute = false;             ///< activations are computed again on the way back
  std::size_t prompts_per_unit = 64;  ///< of a message to an engine
  std::size_t engines = 1;            ///< that share out the messages
};

inline std::vector<Setting> Settings() {
  std::vector<Setting> all(7);
  all[1].name = "micro-batches of 128 tokens";
  all[1].micro_batch_tokens = 128;
  all[2].name = "one sequence a micro-batch";
  all[2].micro_batch_tokens = 1;
  all[3].name = "another packing order";
  all[3].shuffled = true;
  all[3].micro_batch_tokens = 128;
  all[4].name = "two threads";
  all[4].threads = 2;
  all[5].name = "activations recomputed";
  all[5].recompute = true;
  all[6].name = "one prompt a unit, two engines";
  all[6].prompts_per_unit = 1;
  all[6].engines = 2;
  return all;
}

/// Two layers of each kind of policy, wide enough that kernels have more than one tile.
inline policy::PolicyConfig Config(bool experts, policy::NumberType type) {
  policy::PolicyConfig c;
  c.vocab_size = 130;
  c.hidden_size = 72;
  c.intermediate_size = 144;
  c.num_hidden_layers = 3;
  c.num_attention_heads = 4;
  c.max_position_embeddings = 256;
  c.initializer_range = 0.15;
  c.eos_token_id = 1;
  c.dtype = type;
  if (experts) {
    c.moe_intermediate_size = 40;
    c.num_key_value_heads = 4;
    c.q_lora_rank = 24;
    c.kv_lora_rank = 24;
    c.qk_nope_head_dim = 16;
    c.qk_rope_head_dim = 8;
    c.v_head_dim = 16;
    c.n_routed_experts = 8;
    c.n_shared_experts = 1;
    c.num_experts_per_tok = 2;
    c.n_group = 4;
    c.topk_group = 2;
    c.first_k_dense_replace = 1;
    c.num_nextn_predict_layers = 1;
  } else {
    c.family = policy::Family::kLlama;
    c.attention = policy::AttentionKind::kGrouped;
    c.num_key_value_heads = 2;
    c.head_dim = 18;
    c.rope_interleave = false;
    c.tie_word_embeddings = true;
  }
  return c;
}

/// The numbers that a run ends with.
struct Ending {
  std::vector<std::uint32_t> bits;  ///< weights, then masters and moments, as they lie in memory
  std::int64_t tokens = 0;          ///< that were learned from
  double loss = 0;                  ///< of the last step
};

class Loop {
 public:
  static constexpr std::uint64_t kPrompts = 4, kSamples = 4;

  Loop(const policy::PolicyConfig& config, const Setting& setting)
      : setting_(setting),
        cpu_(*policy::cpu::ChooseKernelTarget(), setting.threads),
        weights_(policy::Weights::Initial(config, KeyedRandom(5, "invariance"))),
        reference_(weights_.Clone(policy::WeightsUse::kInference)),
        learner_(weights_, cpu_, Options(setting)) {
    for (std::size_t e = 0; e < setting.engines; ++e) {
      engines_.push_back(std::make_unique<rollout::Engine>(
          weights_, cpu_, rollout::EngineOptions{.stop_ids = {1}}));
    }
  }

  /// Two updates.
  Status Step(std::uint64_t step) {
    AHA_ASSIGN(std::vector<Sample> samples, Sampled(step));
    if (setting_.shuffled) KeyedRandom(step, "packing").Shuffle(std::span(samples));
    AHA_ASSIGN(const LearnReport report, learner_.Step(samples, &reference_, 2e-3));
    ending_.tokens += report.tokens;
    ending_.loss = report.loss;
    for (auto& engine : engines_)
      engine->SwapWeights(step + 1);
    if (!report.not_finite.empty()) return Fail(Code::kInternal, "{}", report.not_finite);
    return {};
  }

  Ending End() {
    for (std::size_t t = 0; t < weights_.tensors().size(); ++t) {
      const auto& tensor = weights_.tensors()[t];
      std::vector<float> numbers(tensor.numbers());
      weights_.Read(t, 0, policy::cpu::Rows<float>(numbers.data(), tensor.rows, tensor.columns));
      for (const float number : numbers)
        ending_.bits.push_back(std::bit_cast<std::uint32_t>(number));
    }
    for (const policy::TensorView& state : learner_.optimizer().State()) {
      const std::size_t words = state.data.size() / sizeof(std::uint32_t);
      const std::size_t from = ending_.bits.size();
      ending_.bits.resize(from + words);
      std::memcpy(&ending_.bits[from], state.data.data(), words * sizeof(std::uint32_t));
    }
    return ending_;
  }

 private:
  static LearnerOptions Options(const Setting& setting) {
    LearnerOptions options;
    options.rule.kl = 0.04;
    options.mtp_loss = 0.1;
    options.updates = 2;
    options.micro_batch_tokens = setting.micro_batch_tokens;
    if (setting.recompute) options.most_tape_bytes = 0;
    return options;
  }

  [[nodiscard]] std::vector<proto::SampleRequest> Units(std::uint64_t step) const {
    std::vector<proto::SampleRequest> units;
    for (std::uint64_t p = 0; p < kPrompts; ++p) {
      if (p % setting_.prompts_per_unit == 0) {
        proto::SampleRequest& unit = units.emplace_back();
        unit.set_unit(units.size() - 1);
        unit.set_seed(3);
        unit.set_stage("invariance");
        unit.set_weights_version(step);
        unit.mutable_sampling()->set_temperature(1);
        unit.mutable_sampling()->set_max_new_tokens(24);
      }
      proto::GroupRequest& group = *units.back().add_groups();
      group.set_prompt_id(step * kPrompts + p);
      group.set_samples(kSamples);
      const KeyedRandom random = KeyedRandom(9, "prompt").With(step * kPrompts + p);
      for (std::uint64_t t = 0; t < 3 + 5 * p; ++t)
        group.add_prompt_ids(static_cast<std::uint32_t>(random.Integer(t, 2, 129)));
    }
    return units;
  }

  // Completions of all units, in the units' order; each engine takes every so-many-th.
  Result<std::vector<proto::SampleReply>> Replies(const std::vector<proto::SampleRequest>& units) {
    std::vector<proto::SampleReply> replies(units.size());
    for (std::size_t e = 0; e < engines_.size(); ++e) {
      std::vector<proto::SampleRequest> own;
      for (std::size_t u = e; u < units.size(); u += engines_.size())
        own.push_back(units[u]);
      AHA_ASSIGN(std::vector<proto::SampleReply> answers, engines_[e]->RunAll(own));
      for (std::size_t a = 0; a < answers.size(); ++a)
        replies[e + a * engines_.size()] = std::move(answers[a]);
    }
    return replies;
  }

  // What pays: many different tokens.
  static double Reward(const proto::Completion& completion) {
    std::vector<std::uint32_t> ids(completion.ids().begin(), completion.ids().end());
    std::sort(ids.begin(), ids.end());
    return static_cast<double>(std::unique(ids.begin(), ids.end()) - ids.begin());
  }

  Result<std::vector<Sample>> Sampled(std::uint64_t step) {
    const std::vector<proto::SampleRequest> units = Units(step);
    AHA_ASSIGN(const std::vector<proto::SampleReply> replies, Replies(units));
    std::vector<Sample> samples;
    for (std::size_t u = 0; u < units.size(); ++u) {
      for (int g = 0; g < units[u].groups_size(); ++g) {
        GroupRewards rewards;
        for (std::uint64_t s = 0; s < kSamples; ++s)
          rewards.emplace_back(Reward(Of(replies[u], g, s)));
        const auto advantages = GroupAdvantages(rewards, GroupScale::kSample);
        for (std::uint64_t s = 0; s < kSamples; ++s) {
          const proto::Completion& c = Of(replies[u], g, s);
          Sample& sample = samples.emplace_back();
          const auto& prompt = units[u].groups(g).prompt_ids();
          sample.prompt.assign(prompt.begin(), prompt.end());
          sample.completion.assign(c.ids().begin(), c.ids().end());
          sample.rollout_logprobs.assign(c.logprobs().begin(), c.logprobs().end());
          sample.advantage = advantages[s];
          sample.order = samples.size() - 1;
        }
      }
    }
    return samples;
  }

  static const proto::Completion& Of(const proto::SampleReply& reply, int group, std::uint64_t s) {
    return reply.completions(group * static_cast<int>(kSamples) + static_cast<int>(s));
  }

  Setting setting_;
  policy::cpu::Cpu cpu_;
  policy::Weights weights_, reference_;
  Learner learner_;
  std::vector<std::unique_ptr<rollout::Engine>> engines_;
  Ending ending_;
};

/// Runs so many updates, two a step.
inline Result<Ending> RunLoop(const policy::PolicyConfig& config,
                              const Setting& setting,
                              int updates) {
  Loop loop(config, setting);
  for (std::uint64_t step = 0; step < static_cast<std::uint64_t>(updates) / 2; ++step)
    AHA_TRY(loop.Step(step));
  return loop.End();
}

/// Bits in which two runs end apart.
inline std::size_t DifferingBits(const Ending& a, const Ending& b) {
  if (a.bits.size() != b.bits.size()) return 32 * std::max(a.bits.size(), b.bits.size());
  std::size_t differing = 0;
  for (std::size_t i = 0; i < a.bits.size(); ++i)
    differing += static_cast<std::size_t>(std::popcount(a.bits[i] ^ b.bits[i]));
  return differing;
}

}  // namespace aha::grpo::invariance
