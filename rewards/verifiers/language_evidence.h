#pragma once
/// Words counted by sentence, and the evidence that those of a sentence are in another language
/// than their script allows (the rule in language.h).

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "rewards/text.h"
#include "rewards/verifiers/language.h"

namespace aha::rewards {

class SentenceTally {
 public:
  /// `code`: the target as language_id.h calls it; empty: no evidence is asked, scripts decide.
  /// `text_size`: of the whole text. In a long one (over half a million characters) several
  /// sentences are judged at a time, and by every other word or fewer, so that the time stays
  /// bounded.
  SentenceTally(std::string_view code, std::size_t text_size);

  /// A word that is a run of letters; by its script in the target language or not.
  void Spelled(std::u32string_view word, bool by_script);
  /// A word that is a Han character or a kana.
  void Character(CodePoint c, bool kana, bool by_script);
  /// What stands between words.
  void Other();
  void EndSentence();

  /// Judges, and adds up. Once, at the end.
  WordCount Count();

 private:
  enum class Verdict : char { kUnknown, kTarget, kForeign };
  // Words of one kind in a sentence (or a few).
  struct Evidence {
    std::string text;
    std::size_t words = 0;
    std::size_t by_script = 0;
    std::size_t letters = 0;
    std::size_t kana = 0;
    std::size_t kana_runs = 0;
  };
  struct Sentence {
    std::size_t words = 0;
    std::size_t by_script = 0;
    Verdict verdict = Verdict::kUnknown;
  };
  [[nodiscard]] Verdict JudgeSpelled(const Evidence& evidence) const;
  [[nodiscard]] Verdict JudgeCharacters(const Evidence& evidence) const;
  static void Add(const std::vector<Sentence>& sentences, WordCount* count);

  std::string_view code_;
  bool han_target_;           // zh or ja: characters are judged
  std::size_t unit_letters_;  // of sentences that are judged together
  std::size_t stride_;        // every how many words are evidence
  Evidence spelled_;
  Evidence characters_;
  bool last_was_kana_ = false;
  std::vector<Sentence> spelled_sentences_;
  std::vector<Sentence> character_sentences_;
};

}  // namespace aha::rewards
