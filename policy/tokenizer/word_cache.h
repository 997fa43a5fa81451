#pragma once
/// Remembers the ids of short pieces. Bounded, and never seen from outside: what it returns is what
/// was put in for exactly this piece.

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string_view>
#include <vector>

namespace aha::policy {

class WordCache {
 public:
  static constexpr std::size_t kMostBytes = 24;
  static constexpr std::size_t kMostIds = 9;

  /// A piece of 1 to kMostBytes bytes as three words; two pieces have the same key only if equal.
  struct Key {
    std::uint64_t a = 0, b = 0, c = 0;
    std::uint8_t length = 0;
    std::size_t hash = 0;
  };

  explicit WordCache(std::size_t slots_log2 = 15) : entries_(std::size_t{1} << slots_log2) {}

  static Key KeyOf(std::string_view piece) {
    const char* p = piece.data();
    const std::size_t n = piece.size();
    Key key;
    key.length = static_cast<std::uint8_t>(n);
    if (n < 4) {  // first, middle and last byte: all of them
      key.a = Byte(p) | (Byte(p + n / 2) << 8U) | (Byte(p + n - 1) << 16U);
    } else if (n <= 8) {
      key.a = (Load<std::uint32_t>(p) << 32U) | Load<std::uint32_t>(p + n - 4);
    } else if (n <= 16) {
      key.a = Load<std::uint64_t>(p);
      key.b = Load<std::uint64_t>(p + n - 8);
    } else {
      key.a = Load<std::uint64_t>(p);
      key.b = Load<std::uint64_t>(p + 8);
      key.c = Load<std::uint64_t>(p + n - 8);
    }
    key.hash =
        Mix(key.a ^ 0x9E3779B97F4A7C15ULL, key.b ^ key.length ^ (key.c * 0xD6E8FEB86659FD93ULL));
    return key;
  }

  /// The ids, or an empty span. Valid until the next Put.
  [[nodiscard]] std::span<const std::int32_t> Find(const Key& key) const {
    const std::size_t at = key.hash & (entries_.size() - 1);
    for (const Entry* entry : {&entries_[at], &entries_[at ^ 1U]}) {
      if (entry->a == key.a && entry->b == key.b && entry->c == key.c &&
          entry->length == key.length) {
        return {entry->ids.data(), entry->count};
      }
    }
    return {};
  }

  /// `ids` are 1 to kMostIds. The older of the two entries that share a place makes room.
  void Put(const Key& key, std::span<const std::int32_t> ids) {
    const std::size_t at = key.hash & (entries_.size() - 1);
    entries_[at ^ 1U] = entries_[at];
    Entry& entry = entries_[at];
    entry.a = key.a;
    entry.b = key.b;
    entry.c = key.c;
    entry.length = key.length;
    entry.count = static_cast<std::uint8_t>(ids.size());
    std::memcpy(entry.ids.data(), ids.data(), ids.size_bytes());
  }

  void Prefetch(const Key& key) const {
    __builtin_prefetch(&entries_[key.hash & (entries_.size() - 1)]);
  }

 private:
  struct alignas(64) Entry {
    std::uint64_t a = 0, b = 0, c = 0;
    std::array<std::int32_t, kMostIds> ids{};
    std::uint8_t length = 0;  // 0: free
    std::uint8_t count = 0;
  };
  static_assert(sizeof(Entry) == 64);

  static std::uint64_t Byte(const char* p) { return static_cast<std::uint8_t>(*p); }
  template <class Word>
  static std::uint64_t Load(const char* p) {
    Word word;
    std::memcpy(&word, p, sizeof word);
    return word;
  }
  static std::uint64_t Mix(std::uint64_t x, std::uint64_t y) {
    x = (x ^ (y * 0xBF58476D1CE4E5B9ULL)) * 0x9E3779B97F4A7C15ULL;
    x = (x ^ (x >> 32U)) * 0x94D049BB133111EBULL;
    return x ^ (x >> 29U);
  }

  std::vector<Entry> entries_;
};

}  // namespace aha::policy
