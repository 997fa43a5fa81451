#pragma once
/// Language consistency of DeepSeek-R1 (arXiv:2501.12948 2.3.2): the share of the thinking's words
/// that are in the question's language. The paper leaves "word" open; this is the rule:
///
/// Over the thinking (after the first `<think>` if there is one, up to the last `</think>` after
/// that if there is one; the whole text when there are no tags), normalised to NFKC, without what
/// `Prose` (markup.h) takes out:
///  - a Han character or a kana is one word;
///  - elsewhere a run of letters and marks with at least one letter is one, inner apostrophes
///    included;
///  - a single Latin letter is none, except a, A and I when the target is English;
///  - digits, punctuation and emoji are none.
/// A word is in the target language when all its letters are of a script that the language is
/// written in: Latin for en, Han for zh, Han and kana for ja. Languages that share a script are not
/// told apart.

#include <cstddef>
#include <string>
#include <string_view>

#include "rewards/reward.h"

namespace aha::rewards {

struct WordCount {
  std::size_t target = 0;  ///< words in the target language
  std::size_t all = 0;     ///< words in any language
};

/// target / all. Without words: `no_words_score` and reason "no_words". An item whose language has
/// no known script is a BAD_REFERENCE failure. Pure.
class LanguageReward : public Reward {
 public:
  /// `fallback` is the target of items that name no language; empty: such items fail.
  LanguageReward(std::string fallback, double no_words_score)
      : fallback_(std::move(fallback)), no_words_score_(no_words_score) {}

  /// Whether the script of `language` (en, zh-TW, sr_Latn, ...) is known.
  static bool Knows(std::string_view language);

  [[nodiscard]] Outcome Score(const ScoreInput& input) const override;

 private:
  std::string fallback_;
  double no_words_score_;
};

/// The rule above. `language` must be known.
WordCount CountWords(std::string_view completion, std::string_view language);

}  // namespace aha::rewards
