#include "policy/reference/ops.h"

#include <algorithm>
#include <bit>
#include <optional>

#include <ATen/TensorOperators.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/constant_pad_nd.h>
#include <ATen/ops/embedding.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/silu.h>
#include <ATen/ops/stack.h>

namespace aha::policy::reference::kernels {

std::int64_t RowBucket(std::int64_t rows) {
  if (rows <= 16) return 16;
  const auto octave =
      static_cast<std::int64_t>(std::bit_floor(static_cast<std::uint64_t>(rows - 1)));
  const std::int64_t step = std::max<std::int64_t>(16, octave / 8);
  return (rows + step - 1) / step * step;
}

at::Tensor PadRows(const at::Tensor& x_TK) {
  if (!x_TK.device().is_cpu()) return x_TK;
  const std::int64_t missing = RowBucket(x_TK.size(0)) - x_TK.size(0);
  return missing == 0 ? x_TK : at::constant_pad_nd(x_TK, {0, 0, 0, missing});
}

at::Tensor Linear(const at::Tensor& x_TK, const PackedMatrix& weight_NK, const at::Tensor& bias_N) {
  const std::optional<at::Tensor> bias = bias_N.defined() ? std::optional(bias_N) : std::nullopt;
  return at::linear(PadRows(x_TK), weight_NK.leaf(), bias).narrow(0, 0, x_TK.size(0));
}

at::Tensor RmsNorm(const at::Tensor& x_TH, const at::Tensor& weight_H, double eps) {
  const at::Tensor wide_TH = x_TH.to(at::kFloat);
  const at::Tensor scale_T1 = (wide_TH * wide_TH).mean(-1, /*keepdim=*/true).add(eps).rsqrt();
  return (wide_TH * scale_T1 * weight_H.to(at::kFloat)).to(x_TH.scalar_type());
}

at::Tensor SwiGlu(const at::Tensor& gate_TK, const at::Tensor& up_TK) {
  return at::silu(gate_TK) * up_TK;
}

at::Tensor Rotate(const at::Tensor& x_TAD,
                  const at::Tensor& cos_TD,
                  const at::Tensor& sin_TD,
                  bool interleave) {
  const std::int64_t half = x_TAD.size(-1) / 2;
  const at::Tensor wide = x_TAD.to(at::kFloat);
  const at::Tensor first = interleave ? wide.slice(-1, 0, 2 * half, 2) : wide.slice(-1, 0, half);
  const at::Tensor second = interleave ? wide.slice(-1, 1, 2 * half, 2) : wide.slice(-1, half);
  const at::Tensor cos = cos_TD.unsqueeze(1);
  const at::Tensor sin = sin_TD.unsqueeze(1);
  const at::Tensor turned_first = first * cos - second * sin;
  const at::Tensor turned_second = second * cos + first * sin;
  const at::Tensor out = interleave ? at::stack({turned_first, turned_second}, -1).flatten(-2)
                                    : at::cat({turned_first, turned_second}, -1);
  return out.to(x_TAD.scalar_type());
}

at::Tensor Embed(const at::Tensor& ids_T, const PackedMatrix& table_VH) {
  return at::embedding(table_VH.leaf(), ids_T);
}

}  // namespace aha::policy::reference::kernels
