#pragma once
/// Gradients of all parameters: one flat fp32 array, row-major, in the order of Weights::tensors().
///
/// Every number adds its tokens one by one, in the order in which micro-batches come; so their size
/// changes no bit. What several parts of the policy share (embedding and head) adds each part's
/// tokens apart; `Finish` puts them together. Of a tied embedding only the rows that were looked up
/// are kept apart: a table of zeros would take as much memory as the head's gradient.

#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include "policy/kernels/cpu/cpu.h"
#include "policy/kernels/cpu/numbers.h"
#include "policy/model/weights.h"

namespace aha::policy {

/// Users of the vocabulary's two tables (one, when tied).
enum class TableUse : std::uint8_t { kEmbedding, kHead, kMtpEmbedding, kMtpHead };

class Gradients {
 public:
  /// Zero. `weights` is borrowed for its list of tensors.
  explicit Gradients(const Weights& weights);

  /// Where a tensor's gradient is added up.
  [[nodiscard]] cpu::Rows<float> of(std::size_t tensor);
  /// The same by place; `layer` as in TensorSpec. A bias that there is not is null.
  [[nodiscard]] cpu::Rows<float> weight(std::int64_t layer, Part part);
  [[nodiscard]] float* bias(std::int64_t layer, Part part);
  [[nodiscard]] cpu::Rows<float> expert(std::int64_t layer, std::size_t expert, Part part);
  /// [V, H] of one user of a table; not of the embedding.
  [[nodiscard]] cpu::Rows<float> table(TableUse use);
  /// Where the embedding's gradients of these ids are added up: rows, and which of them each id
  /// has. Until the next call.
  struct Looked {
    cpu::Rows<float> rows;
    std::vector<std::int32_t> row_T;
  };
  [[nodiscard]] Looked embedding(std::span<const std::int32_t> ids_T);

  /// Adds what was kept apart; call once all micro-batches are in, before reading.
  void Finish(const cpu::Cpu& cpu);
  [[nodiscard]] std::span<const float> flat() const { return {data(), count_}; }
  void Clear(const cpu::Cpu& cpu);

 private:
  void ForgetLooked();
  static constexpr std::size_t kNone = ~std::size_t{0};
  static constexpr std::size_t kParts = static_cast<std::size_t>(Part::kMtpFinalNorm) + 1;
  // Tensors by part; those of a block, or (the first) of no layer.
  struct Layer {
    Layer() {
      weight.fill(kNone);
      bias.fill(kNone);
    }
    std::array<std::size_t, kParts> weight, bias;
    std::vector<std::size_t> expert_gate;
  };
  [[nodiscard]] const float* data() const { return reinterpret_cast<const float*>(memory_.data()); }
  const Weights& weights_;
  std::size_t count_;
  cpu::Buffer memory_;
  std::vector<Layer> layers_;
  std::array<cpu::Buffer, 4> apart_;  // by TableUse; made when first asked for
  // Of a tied embedding: row of each id or -1, ids in the order of rows, and the rows.
  std::vector<std::int32_t> row_V_, looked_;
  std::vector<float> looked_rows_;
};

}  // namespace aha::policy
