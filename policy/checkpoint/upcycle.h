#pragma once
/// Sparse upcycling (Komatsuzaki et al., arXiv:2212.05055): a dense model becomes a mixture of experts
/// that are copies of its feed-forward network. File to file, a piece of a tensor at a time in
/// memory.

#include <cstdint>
#include <filesystem>

#include "base/result.h"
#include "policy/checkpoint/shards.h"

namespace aha::policy {

struct UpcycleOptions {
  std::int64_t experts = 8;
  std::int64_t active = 2;
  double router_std = 0.02;  ///< routers are N(0, router_std^2), drawn by layer
  /// Every expert's weights get normal noise of this many times their matrix's root mean square;
  /// 0: exact copies.
  double noise = 0;
  std::uint64_t seed = 1;
  SaveOptions save = {};
};

/// LlamaForCausalLM becomes MixtralForCausalLM, Qwen2ForCausalLM Qwen2MoeForCausalLM. Weights of
/// the chosen experts are renormalised to one, so without noise the new model computes what the old
/// one did, to rounding, whatever its routers say. Qwen2Moe's shared expert starts with the dense
/// gate and up projections and a down projection of zeros behind a switch of zeros: it adds exactly
/// 0, and gradients reach it.
///
/// Number types stay as they are. Tokenizer and generation files are copied. `out` appears whole or
/// not at all. Errors name file and key or tensor; kInvalidArgument for another architecture or for
/// biases that Mixtral has no place for.
Status Upcycle(const std::filesystem::path& folder,
               const std::filesystem::path& out,
               const UpcycleOptions& options);

}  // namespace aha::policy
