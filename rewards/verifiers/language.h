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
/// written in (Latin for en, Han for zh, Han and kana for ja), unless the words around it say
/// otherwise. Where languages share the script, that evidence is asked sentence by sentence:
///  - words of one script in a sentence, at least 4 with 24 letters: when CLD2 is sure that they
///  are
///    in another language than the target, they are not in the target language;
///  - Han in a sentence with kana, at least 8 characters and two separate runs of kana: Japanese
///  when
///    CLD2 is sure of it. For ja, 8 Han without any kana: Chinese when CLD2 is sure of it;
///  - a sentence with less counts as both its neighbours do, when they agree.
/// In texts of over half a million characters several sentences are judged at a time.
/// In short or undecided text the script alone decides, so that en and zh are exact by script.

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
  /// target, read (what is left of the thinking), words, in_target, others, foreign_sentences.
  [[nodiscard]] std::vector<Finding> Explain(const ScoreInput& input) const override;

 private:
  std::string fallback_;
  double no_words_score_;
};

/// The rule above. `language` must be known.
WordCount CountWords(std::string_view completion, std::string_view language);

}  // namespace aha::rewards
