#pragma once
/// Token ids to text: what each id stands for, and the joining of many.

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace aha::policy {

class DecodeTable {
 public:
  /// What the next id (the first is 0) decodes to. False, and nothing changes, when all would take
  /// 1 GiB or more.
  [[nodiscard]] bool Add(std::string_view bytes, bool special);

  [[nodiscard]] std::size_t size() const { return entries_.size(); }
  [[nodiscard]] bool Knows(std::int32_t id) const {
    return id >= 0 && static_cast<std::size_t>(id) < entries_.size();
  }
  /// Of an id that is known.
  [[nodiscard]] bool IsSpecial(std::int32_t id) const { return Of(id).special != 0; }
  [[nodiscard]] std::string_view BytesOf(std::int32_t id) const {
    const Entry& entry = Of(id);
    return {bytes_.data() + entry.begin, entry.length};
  }

  /// The text of `ids`: unknown ids, and with `skip_special` special ones, are left out; what is no
  /// UTF-8 becomes U+FFFD as in `TakeUtf8`.
  [[nodiscard]] std::string Decode(std::span<const std::int32_t> ids, bool skip_special) const;

 private:
  struct Entry {
    std::uint32_t begin;
    std::uint32_t length : 30;
    std::uint32_t special : 1;
    std::uint32_t whole : 1;  // UTF-8 by itself, so between characters on both sides
  };
  [[nodiscard]] const Entry& Of(std::int32_t id) const {
    return entries_[static_cast<std::size_t>(id)];
  }

  std::vector<Entry> entries_;  // by id
  std::string bytes_;           // kSlack bytes longer than what has been added
};

}  // namespace aha::policy
