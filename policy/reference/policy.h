#pragma once
/// The same mathematics on LibTorch with its autograd: the oracle that tests hold the CPU's own
/// pass to, and where a pass for other devices starts. No part of the program uses it.
///
/// Shapes: T tokens of a ragged batch, H hidden, V vocabulary, E routed experts.

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <ATen/core/Tensor.h>

#include "base/keyed_random.h"
#include "base/result.h"
#include "policy/config.h"
#include "policy/model/tensors.h"
#include "policy/model/weights.h"
#include "policy/reference/batch.h"
#include "policy/reference/experts_ops.h"
#include "policy/reference/logprob_ops.h"
#include "policy/reference/ops.h"

namespace aha::policy::reference {

/// A tensor by the name that Hugging Face's files give it.
struct NamedTensor {
  std::string name;
  at::Tensor value;
};

/// What a policy's attention lacks is undefined.
struct AttentionWeights {
  kernels::PackedMatrix q_proj;  ///< grouped attention, or latent when q_lora_rank is 0
  kernels::PackedMatrix o_proj;
  at::Tensor q_bias, o_bias;
  // Latent.
  kernels::PackedMatrix q_a_proj, q_b_proj;
  at::Tensor q_a_bias, q_a_layernorm;
  kernels::PackedMatrix kv_a_proj;  ///< latent, then the rotated key that all heads share
  at::Tensor kv_a_bias, kv_a_layernorm;
  kernels::PackedMatrix kv_b_proj;  ///< a head's key rows, then its value rows
  // Grouped.
  kernels::PackedMatrix k_proj, v_proj;
  at::Tensor k_bias, v_bias;
  at::Tensor q_norm, k_norm;  ///< over each head
};

struct BlockWeights {
  at::Tensor input_norm, post_attention_norm;
  AttentionWeights attention;
  bool dense = false;
  kernels::ExpertWeights mlp;     ///< dense layers
  kernels::ExpertWeights shared;  ///< undefined matrices when there are no shared experts
  kernels::PackedMatrix
      shared_switch;           ///< [1, H]: its sigmoid scales the shared network; undefined: none
  kernels::PackedMatrix gate;  ///< [E, H]
  at::Tensor gate_bias;  ///< fp32 [E]: selection only, moved by the balance rule, no gradient; or
                         ///< undefined
  std::vector<kernels::ExpertWeights> experts;
};

/// The multi-token-prediction module (V3, section 2.2); embedding and head are the trunk's.
struct MtpWeights {
  at::Tensor embedding_norm, hidden_norm, final_norm;
  kernels::PackedMatrix projection;  ///< [H, 2H]: columns for the embedding first, as released
  BlockWeights block;
};

/// cos and sin of the batch's angles: fp32 [T, rope width / 2] each, scaled as YaRN wants.
struct Angles {
  at::Tensor cos_TD, sin_TD;
};

/// What one pass leaves beside the hidden states.
struct ForwardTrace {
  bool balance = false;     ///< ask for `balance_loss`
  at::Tensor balance_loss;  ///< scalar: sum over sequences and MoE layers, before alpha
  std::vector<at::Tensor>
      expert_load;  ///< int64 [E] a MoE layer, in layer order, the MTP module's last
};

/// What a device computes by kernels of its own instead of ATen's operations, in batches with a
/// cache and without gradients.
class Accelerator {
 public:
  virtual ~Accelerator() = default;

  /// What a cached row holds; see KvPages.
  struct Keys {
    bool latent = false;
    std::int64_t heads = 1, key_width = 0, value_width = 0;
  };
  /// The mix of values that each head takes away, [T, A, D]; the batch's own rows are in `pages`
  /// already. @param query_TAW  [T, A, W], contiguous.
  [[nodiscard]] virtual at::Tensor Attend(const at::Tensor& query_TAW,
                                          const at::Tensor& pages,
                                          const Keys& keys,
                                          double scale,
                                          const RaggedBatch& batch) const = 0;
  /// As kernels::RunRoutedExperts.
  [[nodiscard]] virtual at::Tensor RunRoutedExperts(
      const at::Tensor& x_TH,
      const kernels::Routing& routing,
      const std::vector<kernels::ExpertWeights>& experts) const = 0;
};

class Policy {
 public:
  /// Random weights: N(0, initializer_range) for matrices, ones for norms, each drawn by its name.
  static Policy Initial(const PolicyConfig& config, KeyedRandom random);

  /// The same weights, on that device.
  static Policy Of(const Weights& weights, at::Device device = at::kCPU);

  [[nodiscard]] const PolicyConfig& config() const { return config_; }

  /// Hidden states after the final norm, [T, H]; with a cache in `batch`, its new rows are written.
  /// Differentiable unless gradients are off or a cache is used.
  at::Tensor Forward(const RaggedBatch& batch, ForwardTrace* trace = nullptr) const;

  /// Hidden states of the MTP module for predicting two tokens ahead, [T', H]: each sequence gives
  /// its first length-1 positions (length >= 2). `hidden_TH` is Forward's; detach it to keep the
  /// module's loss out of the trunk (`detach_ends` does the same for embedding and head).
  struct MtpOutput {
    at::Tensor hidden_MH;
    at::Tensor place_M;  ///< int64: the token of the ragged batch that each row stands at
  };
  MtpOutput ForwardMtp(const RaggedBatch& batch,
                       const at::Tensor& hidden_TH,
                       bool detach_embedding,
                       ForwardTrace* trace = nullptr) const;

  [[nodiscard]] const kernels::PackedMatrix& embedding() const { return embedding_; }
  [[nodiscard]] const kernels::PackedMatrix& head() const {
    return config_.tie_word_embeddings ? embedding_ : head_;
  }

  /// Every trainable tensor, in one fixed order.
  [[nodiscard]] const std::vector<NamedTensor>& parameters() const { return parameters_; }
  /// Tensors that are saved but not trained by gradients: the gates' selection biases.
  [[nodiscard]] const std::vector<NamedTensor>& buffers() const { return buffers_; }
  /// Selection biases in the order of ForwardTrace::expert_load.
  [[nodiscard]] std::vector<at::Tensor> gate_biases() const;

  /// Turns gradients of all parameters on or off.
  void RequireGrad(bool on);

  /// A deep copy without gradients.
  [[nodiscard]] Policy Clone() const;

  /// A policy over the same weights with gradients of its own: what one of several threads trains
  /// through. It sees every later change of the weights, which must not happen while it runs.
  [[nodiscard]] Policy Alias() const;

  /// Overwrites the weights in place from `source`, which has the same config.
  void CopyFrom(const Policy& source);

 private:
  explicit Policy(const PolicyConfig& config, at::Device device = at::kCPU);
  /// Puts a tensor in its place.
  void Bind(const TensorSpec& spec, const at::Tensor& value);

  at::Tensor LatentAttend(const AttentionWeights& w,
                          const at::Tensor& x_TH,
                          const RaggedBatch& batch,
                          const Angles& angles,
                          std::int64_t layer) const;
  at::Tensor GroupedAttend(const AttentionWeights& w,
                           const at::Tensor& x_TH,
                           const RaggedBatch& batch,
                           const Angles& angles,
                           std::int64_t layer) const;
  at::Tensor RunExperts(const BlockWeights& w,
                        const at::Tensor& u_TH,
                        const RaggedBatch& batch,
                        ForwardTrace* trace) const;
  at::Tensor RunBlock(const BlockWeights& w,
                      const at::Tensor& x_TH,
                      const RaggedBatch& batch,
                      const Angles& angles,
                      std::int64_t layer,
                      ForwardTrace* trace) const;

  PolicyConfig config_;
  kernels::PackedMatrix embedding_, head_;
  at::Tensor final_norm_;
  std::vector<BlockWeights> blocks_;
  std::optional<MtpWeights> mtp_;
  std::vector<NamedTensor> parameters_, buffers_;
};

/// Angles of `positions_T` (int64).
Angles RopeAngles(const PolicyConfig& config, const at::Tensor& positions_T);
/// Frequencies, scaling applied: fp32 [rope width / 2].
at::Tensor RopeFrequencies(const PolicyConfig& config);

}  // namespace aha::policy::reference
