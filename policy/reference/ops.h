#pragma once
/// The operations a forward pass is made of, behind one interface: what runs underneath (ATen
/// today) is this folder's business alone. All are differentiable, pure and thread-safe.
///
/// Shapes: T tokens of all sequences one after another, H hidden, K input width, N output width,
/// A attention heads, D width of a head.

#include <ATen/core/Tensor.h>

namespace aha::policy::reference::kernels {

/// A weight matrix [N, K] in the one form that it has in memory. `leaf()` is what the optimizer and
/// the checkpoint see; kernels may keep it packed in any way inside.
class PackedMatrix {
 public:
  PackedMatrix() = default;
  explicit PackedMatrix(at::Tensor leaf_NK) : leaf_NK_(std::move(leaf_NK)) {}
  [[nodiscard]] const at::Tensor& leaf() const { return leaf_NK_; }
  [[nodiscard]] bool defined() const { return leaf_NK_.defined(); }

 private:
  at::Tensor leaf_NK_;
};

/// Row counts that matrix products are run at: the smallest bucket that holds `rows`, eight to an
/// octave. oneDNN generates code for every shape it meets, which costs more than a small product.
std::int64_t RowBucket(std::int64_t rows);
/// `x_TK` with rows of zeros up to RowBucket(T); on another device than the CPU as it is.
at::Tensor PadRows(const at::Tensor& x_TK);

/// x W^T + bias: [T, K] -> [T, N], in x's number type; no bias when `bias_N` is undefined.
at::Tensor Linear(const at::Tensor& x_TK,
                  const PackedMatrix& weight_NK,
                  const at::Tensor& bias_N = {});

/// x / sqrt(mean(x^2) + eps) * weight, computed in fp32, returned in x's number type.
at::Tensor RmsNorm(const at::Tensor& x_TH, const at::Tensor& weight_H, double eps);

/// silu(gate) * up.
at::Tensor SwiGlu(const at::Tensor& gate_TK, const at::Tensor& up_TK);

/// Rotates pairs of the last dimension by the token's angle, in fp32. `interleave`: pairs are
/// (x_2j, x_2j+1), as DeepSeek stores them; else (x_j, x_{j+D/2}). The layout is kept.
///
/// @param x_TAD   [T, A, D].
/// @param cos_TD  fp32 [T, D/2], scaled as YaRN wants; sin_TD likewise.
at::Tensor Rotate(const at::Tensor& x_TAD,
                  const at::Tensor& cos_TD,
                  const at::Tensor& sin_TD,
                  bool interleave);

/// Rows of `table_VH` by id: [T] int64 -> [T, H].
at::Tensor Embed(const at::Tensor& ids_T, const PackedMatrix& table_VH);

}  // namespace aha::policy::reference::kernels
