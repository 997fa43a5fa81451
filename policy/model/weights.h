#pragma once
/// A policy's weights in the one form that kernels read. Names, shapes and order are TensorsOf's;
/// checkpoints, the wire and the optimizer go through Read and Write, row-major, whatever the form
/// in memory.
///
/// Shapes: a matrix is [N, K]; H hidden, I intermediate width, E routed experts, A heads, R latent
/// rank.

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "base/keyed_random.h"
#include "policy/config.h"
#include "policy/kernels/cpu/cpu.h"
#include "policy/kernels/cpu/packed_matrix.h"
#include "policy/model/tensors.h"

namespace aha::policy {

/// Training holds every matrix transposed too, for the gradients of inputs.
enum class WeightsUse : std::uint8_t { kInference, kTraining };

/// Members that a family or kind of block lacks are empty. Vectors are fp32, holding bf16's values
/// when the policy is bf16.
struct PackedLinear {
  cpu::PackedMatrix matrix;      ///< [N, K]
  cpu::PackedMatrix transposed;  ///< [K, N], in training
  std::vector<float> bias;       ///< [N]

  [[nodiscard]] bool there() const { return matrix.n() > 0; }
  [[nodiscard]] const float* bias_data() const { return bias.empty() ? nullptr : bias.data(); }
};

/// SwiGLU network: dense, shared or one routed expert.
struct PackedNetwork {
  cpu::PackedGateUp gate_up;
  cpu::PackedMatrix gate_up_transposed;  ///< [K, rows of gate_up.both()]
  std::vector<float> gate_up_bias;       ///< laid out as gate_up.both()
  PackedLinear down;

  [[nodiscard]] bool there() const { return gate_up.intermediate() > 0; }
};

/// kv_b cut by heads, for absorption: a matrix a head each. `..._A` are the same, as products by
/// head take them.
struct PackedLatentHeads {
  std::vector<cpu::PackedMatrix> key_up;    ///< [R, nope]: a query becomes a query over latents
  std::vector<cpu::PackedMatrix> key_down;  ///< [nope, R], in training
  std::vector<cpu::PackedMatrix> value;     ///< [V, R]: mixed latents become the head's output
  std::vector<cpu::PackedMatrix> value_up;  ///< [R, V], in training
  std::vector<const cpu::PackedMatrix*> key_up_A, key_down_A, value_A, value_up_A;
};

/// Routed experts, and their matrices as grouped products take them.
struct PackedExperts {
  std::vector<PackedNetwork> networks;
  std::vector<const cpu::PackedGateUp*> gate_up_E;
  std::vector<const cpu::PackedMatrix*> both_E, both_transposed_E, down_E, down_transposed_E;
};

struct PackedBlock {
  std::vector<float> input_norm, post_attention_norm;
  /// What reads the normed input, stacked: latent, q_a (or q) and kv_a; grouped, q, k and v.
  PackedLinear in;
  std::vector<float> q_norm,
      k_norm;  ///< of the latents q_a and kv_a, or of each query and key head
  PackedLinear q_b;
  PackedLatentHeads latent;
  PackedLinear out;
  bool dense = false;
  PackedNetwork network;              ///< of a dense layer, or shared by all tokens of an MoE layer
  PackedLinear shared_switch;         ///< [1, H]: its sigmoid scales the shared network
  PackedLinear router;                ///< [E, H], fp32 always
  std::vector<float> selection_bias;  ///< [E] fp32, moved by the balance rule, no gradient
  PackedExperts experts;
};

/// The multi-token-prediction module (V3, section 2.2); embedding and head are the trunk's.
struct PackedMtp {
  std::vector<float> embedding_norm, hidden_norm, final_norm;
  PackedLinear projection;  ///< [H, 2H]: columns for the embedding first
  PackedBlock block;
};

class Weights {
 public:
  /// A tensor seen as rows; a vector is one row.
  struct Tensor {
    TensorSpec spec;
    std::size_t rows = 0, columns = 0;
    std::size_t offset =
        0;  ///< of its first number among those of all trainable tensors; of no meaning for others
    [[nodiscard]] std::size_t numbers() const { return rows * columns; }
  };

  /// Zero, norms one.
  explicit Weights(const PolicyConfig& config, WeightsUse use = WeightsUse::kInference);
  /// N(0, initializer_range) for matrices, ones for norms, zero for biases, each drawn by its place
  /// in the list.
  static Weights Initial(const PolicyConfig& config,
                         KeyedRandom random,
                         WeightsUse use = WeightsUse::kTraining);
  /// A deep copy.
  [[nodiscard]] Weights Clone(WeightsUse use) const;
  /// Overwrites the weights in place from `source`, which has the same config.
  void CopyFrom(const Weights& source);

  [[nodiscard]] const PolicyConfig& config() const { return config_; }
  [[nodiscard]] WeightsUse use() const { return use_; }
  [[nodiscard]] cpu::NumberKind kind() const {
    return config_.dtype == NumberType::kBf16 ? cpu::NumberKind::kBf16 : cpu::NumberKind::kFp32;
  }

  /// Every tensor but the copies that files hold, in TensorsOf's order: parameters and selection
  /// biases.
  [[nodiscard]] const std::vector<Tensor>& tensors() const { return tensors_; }
  [[nodiscard]] std::optional<std::size_t> IndexOf(std::string_view name) const;
  /// How many numbers gradients train: the size of masters, moments and gradients.
  [[nodiscard]] std::size_t trainable_numbers() const { return trainable_numbers_; }
  /// Indices of the selection biases by MoE layer, the MTP module's last.
  [[nodiscard]] const std::vector<std::size_t>& selection_biases() const {
    return selection_biases_;
  }

  /// Overwrites rows [first, first + rows.count) of a tensor; fp32 rounds to nearest even where the
  /// policy is bf16. Different tensors, or rows 32 apart of one tensor, may be written by different
  /// threads; nobody may compute with the weights then.
  void Write(std::size_t tensor, std::size_t first, cpu::Rows<const float> rows);
  void Write(std::size_t tensor, std::size_t first, cpu::Rows<const cpu::Bf16> rows);
  void Read(std::size_t tensor, std::size_t first, cpu::Rows<float> rows) const;
  void Read(std::size_t tensor, std::size_t first, cpu::Rows<cpu::Bf16> rows) const;

  // What a pass reads.
  [[nodiscard]] const PackedLinear& embedding() const { return embedding_; }
  [[nodiscard]] const PackedLinear& head() const {
    return config_.tie_word_embeddings ? embedding_ : head_;
  }
  [[nodiscard]] const std::vector<float>& final_norm() const { return final_norm_; }
  [[nodiscard]] const std::vector<PackedBlock>& blocks() const { return blocks_; }
  [[nodiscard]] const std::optional<PackedMtp>& mtp() const { return mtp_; }

 private:
  friend class WeightPlaces;
  PolicyConfig config_;
  WeightsUse use_;
  std::vector<Tensor> tensors_;
  std::size_t trainable_numbers_ = 0;
  std::vector<std::size_t> selection_biases_;
  PackedLinear embedding_, head_;
  std::vector<float> final_norm_;
  std::vector<PackedBlock> blocks_;
  std::optional<PackedMtp> mtp_;
};

}  // namespace aha::policy
