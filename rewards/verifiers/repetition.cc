#include "rewards/verifiers/repetition.h"

#include <cstdint>
#include <string>
#include <unordered_map>
#include <vector>

#include "rewards/text.h"

namespace aha::rewards {
namespace {

// Words as numbers, equal for equal words.
std::vector<std::uint32_t> WordIds(std::string_view text) {
  std::unordered_map<std::string, std::uint32_t> ids;
  std::vector<std::uint32_t> out;
  std::string word;
  const auto end_word = [&] {
    if (word.empty()) return;
    out.push_back(ids.emplace(word, static_cast<std::uint32_t>(ids.size())).first->second);
    word.clear();
  };
  for (std::size_t at = 0; at < text.size();) {
    const CodePoint c = DecodeNext(text, &at).point;
    if (IsWhiteSpace(c)) {
      end_word();
    } else if (IsHan(c) || IsKana(c)) {
      end_word();
      AppendUtf8(c, &word);
      end_word();
    } else {
      AppendUtf8(FoldLatin(c), &word);
    }
  }
  end_word();
  return out;
}

}  // namespace

NGrams CountNGrams(std::string_view text, std::size_t n) {
  // Exact, not by hashes that a text could make collide: the grams of length k + 1 are numbered by
  // pairs of a gram of length k and the word behind it.
  const std::vector<std::uint32_t> words = WordIds(text);
  if (words.size() < n) return {};
  std::vector<std::uint32_t> grams = words;
  std::size_t distinct = 0;
  for (std::size_t length = 1; length <= n; ++length) {
    std::unordered_map<std::uint64_t, std::uint32_t> ids;
    const std::size_t count = words.size() - length + 1;
    for (std::size_t i = 0; i < count; ++i) {
      const std::uint64_t tail = length == 1 ? 0 : words[i + length - 1];
      const std::uint64_t pair = std::uint64_t{grams[i]} << 32U | tail;
      grams[i] = ids.emplace(pair, static_cast<std::uint32_t>(ids.size())).first->second;
    }
    distinct = ids.size();
  }
  return {.distinct = distinct, .all = words.size() - n + 1};
}

Outcome RepetitionReward::Score(const ScoreInput& input) const {
  const NGrams grams = CountNGrams(input.completion, n_);
  if (grams.all == 0) return Scored(0, "too short");
  const double repeated =
      1.0 - static_cast<double>(grams.distinct) / static_cast<double>(grams.all);
  // No negative zero.
  return Scored(repeated == 0 ? 0 : -max_penalty_ * repeated);
}

}  // namespace aha::rewards
