#include "policy/reference/attention_ops.h"

#include <algorithm>
#include <limits>

#include <ATen/TensorOperators.h>
#include <ATen/ops/bmm.h>
#include <ATen/ops/full.h>
#include <ATen/ops/softmax.h>
#include <ATen/ops/tensor.h>

namespace aha::policy::reference::kernels {
AttentionPlan PlanAttention(const std::vector<std::int64_t>& new_S) {
  const std::vector<std::int64_t> none(new_S.size(), 0);
  return PlanCachedAttention(new_S, none, *std::max_element(new_S.begin(), new_S.end()));
}

AttentionPlan PlanCachedAttention(const std::vector<std::int64_t>& new_S,
                                  const std::vector<std::int64_t>& context_S,
                                  std::int64_t longest_context) {
  AttentionPlan plan;
  plan.sequences = static_cast<std::int64_t>(new_S.size());
  plan.longest_query = *std::max_element(new_S.begin(), new_S.end());
  plan.longest_context = longest_context;
  const std::int64_t wide = plan.longest_query;
  std::vector<std::int64_t> pad(static_cast<std::size_t>(plan.sequences * wide), 0);
  std::vector<std::int64_t> unpad;
  plan.mask_SQL = at::full({plan.sequences, wide, 1, longest_context},
                           -std::numeric_limits<float>::infinity(), at::kFloat);
  auto* mask = plan.mask_SQL.mutable_data_ptr<float>();
  for (std::int64_t s = 0; s < plan.sequences; ++s) {
    const auto at = static_cast<std::size_t>(s);
    for (std::int64_t q = 0; q < wide; ++q) {
      const std::int64_t place = s * wide + q;
      if (q < new_S[at]) {
        pad[static_cast<std::size_t>(place)] = static_cast<std::int64_t>(unpad.size());
        unpad.push_back(place);
      }
      // A padded query sees the first key, so that its softmax stays finite; nobody reads it.
      const std::int64_t seen = q < new_S[at] ? context_S[at] + q + 1 : 1;
      std::fill_n(mask + place * longest_context, seen, 0.0F);
    }
  }
  plan.pad_SQ = at::tensor(pad, at::kLong);
  plan.unpad_T = at::tensor(unpad, at::kLong);
  return plan;
}

at::Tensor LatentAttention(const at::Tensor& query_TAW,
                           const at::Tensor& keys_SLW,
                           std::int64_t latent_width,
                           double scale,
                           const AttentionPlan& plan) {
  const std::int64_t heads = query_TAW.size(1);
  const std::int64_t wide = query_TAW.size(2);
  const std::int64_t rows = plan.longest_query * heads;
  const bool uniform = plan.sequences * plan.longest_query == query_TAW.size(0);
  const at::Tensor query_SXW = (uniform ? query_TAW : query_TAW.index_select(0, plan.pad_SQ))
                                   .reshape({plan.sequences, rows, wide});
  const at::Tensor scores_SXL = at::bmm(query_SXW, keys_SLW.transpose(1, 2));
  const at::Tensor shape_SQAL =
      scores_SXL.view({plan.sequences, plan.longest_query, heads, plan.longest_context})
          .to(at::kFloat);
  const at::Tensor weights_SXL = at::softmax(shape_SQAL * scale + plan.mask_SQL, -1)
                                     .to(query_TAW.scalar_type())
                                     .view({plan.sequences, rows, plan.longest_context});
  const at::Tensor mixed_SXR = at::bmm(weights_SXL, keys_SLW.slice(-1, 0, latent_width));
  const at::Tensor mixed_NAR =
      mixed_SXR.view({plan.sequences * plan.longest_query, heads, latent_width});
  return uniform ? mixed_NAR : mixed_NAR.index_select(0, plan.unpad_T);
}

at::Tensor GroupedAttention(const at::Tensor& query_TAD,
                            const at::Tensor& rows_SLW,
                            std::int64_t key_heads,
                            double scale,
                            const AttentionPlan& plan) {
  const std::int64_t heads = query_TAD.size(1);
  const std::int64_t width = query_TAD.size(2);
  const std::int64_t group = heads / key_heads;
  const std::int64_t wide = plan.longest_query;
  const std::int64_t deep = plan.longest_context;
  const std::int64_t batch = plan.sequences * key_heads;
  const bool uniform = plan.sequences * wide == query_TAD.size(0);
  // Heads that share a key fold into the rows of one product.
  const at::Tensor query_BXD = (uniform ? query_TAD : query_TAD.index_select(0, plan.pad_SQ))
                                   .reshape({plan.sequences, wide, key_heads, group, width})
                                   .permute({0, 2, 1, 3, 4})
                                   .reshape({batch, wide * group, width});
  const auto heads_of = [&](std::int64_t first) {
    return rows_SLW.narrow(-1, first * key_heads * width, key_heads * width)
        .view({plan.sequences, deep, key_heads, width})
        .transpose(1, 2)
        .reshape({batch, deep, width});
  };
  const at::Tensor scores_BXL = at::bmm(query_BXD, heads_of(0).transpose(1, 2));
  const at::Tensor shape_SPQGL =
      scores_BXL.view({plan.sequences, key_heads, wide, group, deep}).to(at::kFloat);
  const at::Tensor weights_BXL = at::softmax(shape_SPQGL * scale + plan.mask_SQL.unsqueeze(1), -1)
                                     .to(query_TAD.scalar_type())
                                     .view({batch, wide * group, deep});
  const at::Tensor mixed_NAD = at::bmm(weights_BXL, heads_of(1))
                                   .view({plan.sequences, key_heads, wide, group, width})
                                   .permute({0, 2, 1, 3, 4})
                                   .reshape({plan.sequences * wide, heads, width});
  return uniform ? mixed_NAD : mixed_NAD.index_select(0, plan.unpad_T);
}

}  // namespace aha::policy::reference::kernels
