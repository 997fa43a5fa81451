#include "policy/model/batch_layout.h"

#include <algorithm>

namespace aha::policy {
namespace {

std::size_t Pages(std::size_t tokens, std::size_t page_tokens) {
  return (tokens + page_tokens - 1) / page_tokens;
}

// The sequence that sequence `s` goes on from.
std::size_t ContextOf(std::span<const SequenceTokens> sequences, std::size_t s) {
  while (sequences[s].shares_context)
    ++s;
  return s;
}

}  // namespace

// Block tables, and where contexts lie: full pages of a context are in the tables of all that share
// it.
void BatchLayout::MakePages(const TokenBatch& batch, std::size_t page_tokens) {
  const std::span<const SequenceTokens> all = batch.sequences;
  std::vector<std::size_t> table_S1 = {0};
  for (const SequenceTokens& s : all)
    table_S1.push_back(table_S1.back() + Pages(s.context + s.ids.size(), page_tokens));
  tables_.resize(table_S1.back());
  for (std::size_t s = 0; s < all.size(); ++s) {
    const std::size_t shared = all[s].context / page_tokens;
    for (std::size_t p = table_S1[s] + shared; p < table_S1[s + 1]; ++p)
      tables_[p] = static_cast<std::int32_t>(own_pages++);
  }
  for (std::size_t s = 0; s < all.size(); ++s) {
    if (all[s].shares_context) {
      std::copy_n(&tables_[table_S1[ContextOf(all, s)]], all[s].context / page_tokens,
                  &tables_[table_S1[s]]);
    }
    sequences_S[s].pages = std::span(tables_).subspan(table_S1[s], table_S1[s + 1] - table_S1[s]);
  }
}

void BatchLayout::AddTokens(const SequenceTokens& s, std::size_t page_tokens) {
  const cpu::AttentionSequence& place = sequences_S[start_S1.size() - 1];
  for (std::size_t i = 0; i < s.ids.size(); ++i) {
    const std::size_t position = s.context + i;
    ids_T.push_back(s.ids[i]);
    positions_T.push_back(static_cast<std::int32_t>(position));
    page_T.push_back(place.pages[position / page_tokens]);
    slot_T.push_back(static_cast<std::int32_t>(position % page_tokens));
  }
  reach = std::max(reach, s.context + s.ids.size());
  start_S1.push_back(static_cast<std::int64_t>(ids_T.size()));
}

void BatchLayout::Build(const TokenBatch& batch) {
  const std::size_t page_tokens =
      batch.pool != nullptr ? batch.pool->page_tokens() : KvPool::kPageTokens;
  ids_T.clear();
  positions_T.clear();
  page_T.clear();
  slot_T.clear();
  sequences_S.clear();
  copies.clear();
  contexts.clear();
  start_S1.assign(1, 0);
  own_pages = reach = context_tokens = 0;
  continued = batch.continued;
  open = batch.open;
  std::size_t tokens = 0;
  for (const SequenceTokens& s : batch.sequences) {
    sequences_S.push_back({s.pages, s.context, tokens, s.ids.size()});
    tokens += s.ids.size();
  }
  if (batch.pool == nullptr) MakePages(batch, page_tokens);
  for (const SequenceTokens& s : batch.sequences)
    AddTokens(s, page_tokens);
  for (std::size_t s = 0; batch.pool == nullptr && s < batch.sequences.size(); ++s) {
    if (!batch.sequences[s].shares_context) continue;
    const std::size_t context = ContextOf(batch.sequences, s);
    if (s == 0 || !batch.sequences[s - 1].shares_context) {
      contexts.push_back({s, context, context_tokens});
      context_tokens += sequences_S[context].queries;
    }
    const std::size_t length = sequences_S[s].context;
    for (std::size_t i = length / page_tokens * page_tokens; i < length; ++i) {
      copies.push_back({sequences_S[context].first_row + i, sequences_S[s].pages[i / page_tokens],
                        static_cast<std::int32_t>(i % page_tokens)});
    }
  }
}

std::size_t BatchLayout::gradient_tokens() const {
  return tokens() - (open ? sequences_S.back().queries : 0);
}

}  // namespace aha::policy
