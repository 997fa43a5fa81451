#include "policy/reference/batch.h"

#include <algorithm>

#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros.h>

namespace aha::policy::reference {
namespace {

at::ScalarType TypeOf(const PolicyConfig& config) {
  return config.dtype == NumberType::kBf16 ? at::kBFloat16 : at::kFloat;
}

}  // namespace

KvPages MakeKvPages(const PolicyConfig& config,
                    std::int64_t pages,
                    std::int64_t page_tokens,
                    at::Device device) {
  KvPages cache;
  cache.page_tokens = page_tokens;
  for (std::int64_t l = 0; l < config.num_hidden_layers; ++l) {
    cache.layers.push_back(at::zeros({pages, page_tokens, config.kv_width()},
                                     at::TensorOptions(TypeOf(config)).device(device)));
  }
  return cache;
}

std::int64_t KvPageBytes(const PolicyConfig& config, std::int64_t page_tokens) {
  return config.num_hidden_layers * page_tokens * config.kv_width() * config.bytes_per_number();
}

RaggedBatch PackSequences(const std::vector<std::vector<std::int32_t>>& sequences) {
  RaggedBatch batch;
  std::vector<std::int64_t> ids, positions, owner;
  for (std::size_t s = 0; s < sequences.size(); ++s) {
    const auto length = static_cast<std::int64_t>(sequences[s].size());
    batch.new_S.push_back(length);
    ids.insert(ids.end(), sequences[s].begin(), sequences[s].end());
    for (std::int64_t i = 0; i < length; ++i)
      positions.push_back(i);
    owner.insert(owner.end(), sequences[s].size(), static_cast<std::int64_t>(s));
  }
  batch.ids_T = at::tensor(ids, at::kLong);
  batch.positions_T = at::tensor(positions, at::kLong);
  batch.sequence_T = at::tensor(owner, at::kLong);
  batch.plan = kernels::PlanAttention(batch.new_S);
  return batch;
}

RaggedBatch PackCached(const std::vector<CachedSequence>& sequences,
                       KvPages& cache,
                       const Accelerator* accelerator) {
  RaggedBatch batch;
  batch.cache = &cache;
  batch.accelerator = accelerator;
  std::vector<std::int64_t> ids, positions, owner, slots, context;
  std::size_t most_pages = 0;
  for (std::size_t s = 0; s < sequences.size(); ++s) {
    const CachedSequence& sequence = sequences[s];
    const auto added = static_cast<std::int64_t>(sequence.new_ids.size());
    batch.new_S.push_back(added);
    context.push_back(sequence.context);
    ids.insert(ids.end(), sequence.new_ids.begin(), sequence.new_ids.end());
    for (std::int64_t i = 0; i < added; ++i) {
      const std::int64_t at = sequence.context + i;
      const auto page = static_cast<std::size_t>(at / cache.page_tokens);
      positions.push_back(at);
      owner.push_back(static_cast<std::int64_t>(s));
      slots.push_back(sequence.pages->at(page) * cache.page_tokens + at % cache.page_tokens);
    }
    const std::int64_t used =
        (sequence.context + added + cache.page_tokens - 1) / cache.page_tokens;
    most_pages = std::max(most_pages, static_cast<std::size_t>(used));
  }
  std::vector<std::int64_t> pages(sequences.size() * most_pages, 0);
  for (std::size_t s = 0; s < sequences.size(); ++s) {
    const auto count = std::min(most_pages, sequences[s].pages->size());
    std::copy_n(sequences[s].pages->begin(), count,
                pages.begin() + static_cast<std::ptrdiff_t>(s * most_pages));
  }
  const at::Device device = cache.layers.front().device();
  const auto put = [&](const std::vector<std::int64_t>& numbers) {
    return at::tensor(numbers, at::kLong).to(device);
  };
  batch.ids_T = put(ids);
  batch.positions_T = put(positions);
  batch.sequence_T = put(owner);
  batch.slots_T = put(slots);
  batch.pages_SB = put(pages);
  const std::int64_t longest = static_cast<std::int64_t>(most_pages) * cache.page_tokens;
  if (accelerator != nullptr) {
    batch.plan.sequences = static_cast<std::int64_t>(sequences.size());
    batch.plan.longest_query = *std::max_element(batch.new_S.begin(), batch.new_S.end());
    batch.plan.longest_context = longest;
    return batch;
  }
  batch.plan = kernels::PlanCachedAttention(batch.new_S, context, longest);
  for (at::Tensor* tensor : {&batch.plan.pad_SQ, &batch.plan.unpad_T, &batch.plan.mask_SQL})
    *tensor = tensor->to(device);
  return batch;
}

}  // namespace aha::policy::reference
