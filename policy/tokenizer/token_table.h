#pragma once
/// A vocabulary: tokens as spelt in the file, by spelling and by id, in three flat arrays.

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace aha::policy {

class TokenTable {
 public:
  static constexpr std::int32_t kNone = -1;

  /// Ids of 2^22 and above are refused by every reader: they would make a small file ask for
  /// gigabytes.
  static constexpr std::int64_t kMaxId = (std::int64_t{1} << 22U) - 1;

  /// Room for so many tokens without growing.
  void Reserve(std::size_t tokens, std::size_t bytes);

  enum class Added : std::uint8_t { kNew, kSameToken, kSameId };
  /// Takes up a token; `id` is in [0, kMaxId]. Nothing changes unless kNew.
  Added Add(std::string_view token, std::int32_t id);

  /// The id of a token, or kNone.
  [[nodiscard]] std::int32_t Find(std::string_view token) const {
    return Find(token, HashOf(token));
  }
  /// The same in two steps, for many tokens at a time: memory fetches the slots meanwhile.
  [[nodiscard]] std::int32_t Find(std::string_view token, std::size_t hash) const {
    return slots_.empty() ? kNone : slots_[SlotFor(token, hash)].id;
  }
  static std::size_t HashOf(std::string_view token) { return std::hash<std::string_view>()(token); }
  void Prefetch(std::size_t hash) const {
    if (!slots_.empty()) __builtin_prefetch(&slots_[hash & (slots_.size() - 1)]);
  }

  /// The token with an id; nothing when there is none (a token may be empty).
  [[nodiscard]] std::optional<std::string_view> TokenOf(std::int32_t id) const;

  [[nodiscard]] std::size_t size() const { return count_; }
  /// Highest id plus one.
  [[nodiscard]] std::int32_t end_id() const { return static_cast<std::int32_t>(by_id_.size()); }

 private:
  struct Slot {
    std::uint32_t tag = 0;    // half of the token's hash
    std::int32_t id = kNone;  // kNone: the slot is free
  };
  struct Span {
    std::uint32_t begin = 0, length = kAbsent;
  };
  static constexpr std::uint32_t kAbsent = ~0U;

  [[nodiscard]] std::string_view SpellingOf(std::int32_t id) const {
    const Span& span = by_id_[static_cast<std::size_t>(id)];
    return std::string_view(text_).substr(span.begin, span.length);
  }
  [[nodiscard]] std::size_t SlotFor(std::string_view token, std::size_t hash) const;
  void Grow(std::size_t slots);

  std::string text_;  // the spellings, one after another
  std::vector<Span> by_id_;
  std::vector<Slot> slots_;  // open addressing; a power of two, at most half full
  std::size_t count_ = 0;
};

}  // namespace aha::policy
