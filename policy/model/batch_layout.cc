#include "policy/model/batch_layout.h"

#include <algorithm>

namespace aha::policy {

void BatchLayout::Build(const TokenBatch& batch) {
  const std::size_t page_tokens =
      batch.pool != nullptr ? batch.pool->page_tokens() : KvPool::kPageTokens;
  ids_T.clear();
  positions_T.clear();
  page_T.clear();
  slot_T.clear();
  sequences_S.clear();
  start_S1.assign(1, 0);
  own_pages.clear();
  reach = 0;
  if (batch.pool == nullptr) {
    std::size_t pages = 0;
    for (const SequenceTokens& s : batch.sequences)
      pages += (s.ids.size() + page_tokens - 1) / page_tokens;
    own_pages.resize(pages);
    for (std::size_t p = 0; p < pages; ++p)
      own_pages[p] = static_cast<std::int32_t>(p);
  }
  std::size_t next_page = 0;
  for (const SequenceTokens& s : batch.sequences) {
    std::span<const std::int32_t> pages = s.pages;
    if (batch.pool == nullptr) {
      pages =
          std::span(own_pages).subspan(next_page, (s.ids.size() + page_tokens - 1) / page_tokens);
      next_page += pages.size();
    }
    sequences_S.push_back({pages, s.context, ids_T.size(), s.ids.size()});
    for (std::size_t i = 0; i < s.ids.size(); ++i) {
      const std::size_t position = s.context + i;
      ids_T.push_back(s.ids[i]);
      positions_T.push_back(static_cast<std::int32_t>(position));
      page_T.push_back(pages[position / page_tokens]);
      slot_T.push_back(static_cast<std::int32_t>(position % page_tokens));
    }
    reach = std::max(reach, s.context + s.ids.size());
    start_S1.push_back(static_cast<std::int64_t>(ids_T.size()));
  }
}

}  // namespace aha::policy
