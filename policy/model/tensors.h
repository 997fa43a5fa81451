#pragma once
/// Every tensor of a policy's checkpoint by its Hugging Face name and shape, in one fixed order:
/// the one list that a policy is built, loaded, saved and counted by. Allocates no tensor and needs
/// no LibTorch.

#include <cstdint>
#include <string>
#include <vector>

#include "policy/config.h"

namespace aha::policy {

/// The place that a tensor takes in a policy.
enum class Part : std::uint8_t {
  kEmbedding,
  kHead,
  kFinalNorm,
  kInputNorm,
  kPostAttentionNorm,
  // Attention; kQ and kO of either kind.
  kQ,
  kQA,
  kQANorm,
  kQB,
  kKvA,  ///< latent, then the rotated key that all heads share
  kKvANorm,
  kKvB,  ///< a head's key rows, then its value rows
  kK,
  kV,
  kO,
  kQNorm,
  kKNorm,
  // SwiGLU networks: of a dense layer, shared, or of the expert that TensorSpec::expert names.
  kMlpGate,
  kMlpUp,
  kMlpDown,
  kSharedGate,
  kSharedUp,
  kSharedDown,
  kExpertGate,
  kExpertUp,
  kExpertDown,
  kSharedSwitch,  ///< [1, H]: sigmoid gate in front of the shared network
  kRouter,
  kSelectionBias,
  // Multi-token prediction.
  kMtpEmbeddingNorm,
  kMtpHiddenNorm,
  kMtpProjection,
  kMtpFinalNorm,
};

/// kSelectionBias: an fp32 buffer whatever the policy's number type is; the others have that type.
enum class TensorRole : std::uint8_t { kMatrix, kBias, kNorm, kSelectionBias };

struct TensorSpec {
  std::string name;
  std::vector<std::int64_t> shape;
  TensorRole role = TensorRole::kMatrix;
  Part part = Part::kEmbedding;
  bool trainable = true;     ///< by gradients
  std::int64_t layer = -1;   ///< num_hidden_layers: the MTP module; -1: of no layer
  std::int64_t expert = -1;  ///< routed expert; -1: of none
  /// Not empty: written after the tensor of this name, as the format wants, and not part of the
  /// policy.
  std::string copy_of;

  [[nodiscard]] std::int64_t numbers() const;
  [[nodiscard]] bool copy() const { return !copy_of.empty(); }
};

std::vector<TensorSpec> TensorsOf(const PolicyConfig& config);

/// What the names of the MTP module's tensors begin with. transformers writes config.json with the
/// module and files without it: whoever opens a folder looks for these names.
std::string MtpPrefix(const PolicyConfig& config);

}  // namespace aha::policy
