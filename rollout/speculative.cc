#include "rollout/speculative.h"

#include <algorithm>
#include <cstring>

namespace aha::rollout {

policy::cpu::SampleRequest DrawOf(const Row& row, std::size_t position) {
  const Sampling& sampling = row.group->request.sampling;
  policy::cpu::SampleRequest request;
  request.temperature = sampling.temperature;
  request.draw = row.group->request.random.With(row.sample).Uniform(position);
  request.top_k = sampling.top_k;
  request.top_p = sampling.top_p;
  request.min_p = sampling.min_p;
  return request;
}

void DraftByLookup(Row& row, std::size_t most) {
  row.drafts.clear();
  const std::size_t known = row.known();
  for (std::size_t length = 3; length >= 2; --length) {
    if (known <= length) continue;
    for (std::size_t end = known - 1; end >= length; --end) {
      std::size_t same = 0;
      while (same < length && row.token(end - 1 - same) == row.token(known - 1 - same))
        ++same;
      if (same < length) continue;
      for (std::size_t i = end; i < known && row.drafts.size() < most; ++i)
        row.drafts.push_back(row.token(i));
      return;
    }
  }
}

std::size_t StateRows::RowBytes(const policy::Hidden& hidden) {
  return hidden.width * (hidden.kind == policy::cpu::NumberKind::kBf16 ? 2 : 4);
}

const std::byte* StateRows::RowOf(const policy::Hidden& hidden, std::size_t row) {
  return static_cast<const std::byte*>(hidden.data) + row * RowBytes(hidden);
}

void StateRows::Put(const policy::Hidden& like, const std::byte* row) {
  kind_ = like.kind;
  width_ = like.width;
  const std::size_t bytes = RowBytes(like);
  if (bytes_.size() < (count_ + 1) * bytes)
    bytes_.resize(std::max((count_ + 1) * bytes, bytes_.size() * 2));
  std::memcpy(bytes_.data() + count_++ * bytes, row, bytes);
}

void StateRows::Add(const policy::Hidden& hidden, std::size_t row) {
  Put(hidden, RowOf(hidden, row));
}
void StateRows::AddSaved(const policy::Hidden& like, const std::byte* row) {
  Put(like, row);
}

// Entries of a part whose next token is known; those of a row end at what it has cached, as its
// last token follows.
void ModuleDrafter::AddPart(const Part& part, const StepStates& states, std::size_t start) {
  std::size_t& done =
      part.row != nullptr ? part.row->module_cached : part.group->prompt.module_cached;
  const std::size_t end = part.row != nullptr ? part.row->cached
                                              : std::min(part.group->prompt.cached,
                                                         part.group->request.prompt.size() - 1);
  if (end <= done) return;
  const Entry entry{part.group, part.row, done, end - done, ids_.size()};
  for (std::size_t i = done; i < end; ++i) {
    ids_.push_back(part.row != nullptr ? part.row->token(i + 1)
                                       : part.group->request.prompt[i + 1]);
    // The prompt's last state was saved for all its samples.
    if (i < part.first) {
      trunk_.AddSaved(states.hidden, part.group->prompt.last.data());
    } else {
      trunk_.Add(states.hidden, start + i - part.first);
    }
  }
  entries_.push_back(entry);
  done = end;
}

void ModuleDrafter::AddFresh(Row& row, const policy::Hidden& like) {
  entries_.push_back({row.group, &row, row.module_cached, 1, ids_.size()});
  ids_.push_back(row.token(row.cached));
  trunk_.AddSaved(like, row.group->prompt.last.data());
  row.module_cached = row.cached;
}

policy::Hidden ModuleDrafter::RunEntries(const policy::Hidden& trunk) {
  sequences_.clear();
  for (const Entry& e : entries_) {
    sequences_.push_back({std::span<const std::int32_t>(ids_).subspan(e.begin, e.count), e.first,
                          e.row != nullptr ? e.row->pages : e.group->prompt.pages});
  }
  return pass_.ForwardMtp({sequences_, &pages_.pool()}, trunk);
}

// A draft for each drafting row after its state: the token that its own key draws from the module.
void ModuleDrafter::Draw(const policy::Hidden& states, std::span<const std::int32_t> row_N) {
  requests_.clear();
  for (const Row* row : drafting_)
    requests_.push_back(DrawOf(*row, row->out.ids.size() + row->drafts.size()));
  drawn_.resize(requests_.size());
  head_.Sample(states, row_N, requests_, drawn_);
  for (std::size_t i = 0; i < drafting_.size(); ++i)
    drafting_[i]->drafts.push_back(drawn_[i].token);
}

void ModuleDrafter::Run(std::size_t most) {
  policy::Hidden states = RunEntries(trunk_.view());
  drafting_.clear();
  last_.clear();
  std::int32_t end = 0;
  for (const Entry& e : entries_) {
    end += static_cast<std::int32_t>(e.count);
    if (e.row == nullptr || e.row->finished() || e.row->pending() != 1) continue;
    drafting_.push_back(e.row);
    last_.push_back(end - 1);
  }
  for (std::size_t k = 0; k < most && !drafting_.empty(); ++k) {
    Draw(states, last_);
    if (k + 1 == most) return;
    // A further entry joins the module's own state with the draft, in pages that the row has.
    entries_.clear();
    ids_.clear();
    trunk_.Clear();
    std::size_t kept = 0;
    for (std::size_t i = 0; i < drafting_.size(); ++i) {
      Row& row = *drafting_[i];
      const std::size_t at = row.module_cached + k;
      if (at >= row.pages.size() * pages_.page_tokens()) continue;
      entries_.push_back({row.group, &row, at, 1, ids_.size()});
      ids_.push_back(row.drafts.back());
      trunk_.Add(states, static_cast<std::size_t>(last_[i]));
      drafting_[kept++] = &row;
    }
    drafting_.resize(kept);
    if (kept == 0) return;
    states = RunEntries(trunk_.view());
    last_.resize(kept);
    for (std::size_t i = 0; i < kept; ++i)
      last_[i] = static_cast<std::int32_t>(i);
  }
}

void ModuleDrafter::Follow(const Plan& plan,
                           std::span<Row* const> fresh,
                           const StepStates& states,
                           std::size_t most) {
  entries_.clear();
  ids_.clear();
  trunk_.Clear();
  for (std::size_t p = 0; p < plan.parts.size(); ++p) {
    const Part& part = plan.parts[p];
    if (part.row != nullptr) {
      part.row->drafts.clear();
      if (part.row->finished()) continue;
    }
    if (!part.group->error) AddPart(part, states, states.starts[p]);
  }
  for (Row* row : fresh) {
    if (!row->finished() && !row->group->error) AddFresh(*row, states.hidden);
  }
  if (!entries_.empty()) Run(most);
}

}  // namespace aha::rollout
