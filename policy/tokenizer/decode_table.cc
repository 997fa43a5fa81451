#include "policy/tokenizer/decode_table.h"

#include <cstring>

#include "policy/tokenizer/utf8.h"

namespace aha::policy {
namespace {

// Tokens are short: copying this many bytes at once, whatever a token's length, costs less than
// asking for it. So many bytes may be read and written beyond the last token.
constexpr std::size_t kSlack = 16;

constexpr std::size_t kMostBytes = std::size_t{1} << 30U;

}  // namespace

bool DecodeTable::Add(std::string_view bytes, bool special) {
  if (bytes.size() >= kMostBytes - bytes_.size()) return false;
  bytes_.resize(bytes_.empty() ? 0 : bytes_.size() - kSlack);
  const bool whole = !FirstInvalidUtf8(bytes);
  entries_.push_back({static_cast<std::uint32_t>(bytes_.size()),
                      static_cast<std::uint32_t>(bytes.size()), special ? 1U : 0U,
                      whole ? 1U : 0U});
  bytes_ += bytes;
  bytes_.append(kSlack, '\0');
  return true;
}

std::string DecodeTable::Decode(std::span<const std::int32_t> ids, bool skip_special) const {
  const auto hidden = [&](std::int32_t id) {
    return !Knows(id) || (skip_special && IsSpecial(id));
  };
  std::size_t size = 0;
  for (const std::int32_t id : ids) {
    if (!hidden(id)) size += Of(id).length;
  }
  std::string text(size + kSlack, '\0');
  char* out = text.data();
  // Between tokens that are UTF-8 by themselves others may join into characters: only such runs can
  // be wrong.
  bool valid = true;
  const char* run = nullptr;
  const auto end_run = [&] {
    if (run == nullptr) return;
    valid = valid && !FirstInvalidUtf8({run, static_cast<std::size_t>(out - run)});
    run = nullptr;
  };
  for (const std::int32_t id : ids) {
    if (hidden(id)) continue;
    const Entry& entry = Of(id);
    if (entry.whole != 0) {
      end_run();
    } else if (run == nullptr) {
      run = out;
    }
    const char* from = bytes_.data() + entry.begin;
    std::memcpy(out, from, kSlack);
    if (entry.length > kSlack) std::memcpy(out + kSlack, from + kSlack, entry.length - kSlack);
    out += entry.length;
  }
  end_run();
  text.resize(size);
  return valid ? text : TakeUtf8(text, /*last=*/true);
}

}  // namespace aha::policy
