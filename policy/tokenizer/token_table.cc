#include "policy/tokenizer/token_table.h"

#include <algorithm>
#include <bit>

namespace aha::policy {
void TokenTable::Reserve(std::size_t tokens, std::size_t bytes) {
  text_.reserve(bytes);
  by_id_.reserve(tokens);
  if (2 * tokens > slots_.size()) Grow(std::bit_ceil(2 * tokens + 2));
}

std::size_t TokenTable::SlotFor(std::string_view token, std::size_t hash) const {
  const std::size_t mask = slots_.size() - 1;
  std::size_t at = hash & mask;
  const auto tag = static_cast<std::uint32_t>(hash >> 32U);
  while (slots_[at].id != kNone && (slots_[at].tag != tag || SpellingOf(slots_[at].id) != token))
    at = (at + 1) & mask;
  return at;
}

void TokenTable::Grow(std::size_t slots) {
  slots_.assign(slots, Slot());
  for (std::size_t id = 0; id < by_id_.size(); ++id) {
    if (by_id_[id].length == kAbsent) continue;
    const std::string_view token = SpellingOf(static_cast<std::int32_t>(id));
    const std::size_t hash = HashOf(token);
    slots_[SlotFor(token, hash)] = {static_cast<std::uint32_t>(hash >> 32U),
                                    static_cast<std::int32_t>(id)};
  }
}

TokenTable::Added TokenTable::Add(std::string_view token, std::int32_t id) {
  if (2 * (count_ + 1) > slots_.size()) Grow(std::max<std::size_t>(16, 2 * slots_.size()));
  const auto index = static_cast<std::size_t>(id);
  const std::size_t hash = HashOf(token);
  Slot& slot = slots_[SlotFor(token, hash)];
  if (slot.id != kNone) return Added::kSameToken;
  if (index < by_id_.size() && by_id_[index].length != kAbsent) return Added::kSameId;
  if (index >= by_id_.size()) by_id_.resize(index + 1);
  by_id_[index] = {static_cast<std::uint32_t>(text_.size()),
                   static_cast<std::uint32_t>(token.size())};
  text_ += token;
  slot = {static_cast<std::uint32_t>(hash >> 32U), id};
  ++count_;
  return Added::kNew;
}

std::optional<std::string_view> TokenTable::TokenOf(std::int32_t id) const {
  const auto index = static_cast<std::size_t>(id);
  if (id < 0 || index >= by_id_.size() || by_id_[index].length == kAbsent) return std::nullopt;
  return SpellingOf(id);
}

}  // namespace aha::policy
