#include "rewards/verifiers/language_evidence.h"

#include <algorithm>
#include <array>

#include "rewards/verifiers/language_id.h"

namespace aha::rewards {
namespace {

constexpr std::size_t kLeastWords = 4;
constexpr std::size_t kLeastLetters = 24;
constexpr std::size_t kSureLetters = 80;
constexpr std::size_t kLeastCharacters = 8;
constexpr std::size_t kMostUnits = 4096;
constexpr std::size_t kLeastUnit = 128;  // of a text of half a million characters
constexpr std::size_t kWholeEvidence = std::size_t{1} << 19U;

// What a short sentence may be taken for; CLD2 finds the others in names and abbreviations.
bool IsCommon(std::string_view code) {
  constexpr std::array<std::string_view, 26> kCommon = {
      "en", "fr", "de", "es", "it", "pt", "nl", "pl", "ru", "uk", "tr", "vi", "id",
      "ro", "cs", "sv", "hu", "ar", "fa", "ur", "hi", "mr", "bn", "el", "fi", "bg"};
  return std::find(kCommon.begin(), kCommon.end(), code) != kCommon.end();
}

}  // namespace

SentenceTally::SentenceTally(std::string_view code, std::size_t text_size)
    : code_(code),
      han_target_(code == "zh" || code == "ja"),
      unit_letters_(text_size / kMostUnits < kLeastUnit ? 0 : text_size / kMostUnits),
      stride_(1 + text_size / kWholeEvidence) {}

void SentenceTally::Spelled(std::u32string_view word, bool by_script) {
  ++spelled_.words;
  last_was_kana_ = false;
  // A word of another script says nothing about those that are in question.
  if (!by_script) return;
  ++spelled_.by_script;
  if (code_.empty()) return;
  spelled_.letters += word.size();
  if (spelled_.by_script % stride_ != 0) return;
  for (const CodePoint c : word)
    AppendUtf8(c, &spelled_.text);
  spelled_.text.push_back(' ');
}

void SentenceTally::Character(CodePoint c, bool kana, bool by_script) {
  ++characters_.words;
  characters_.by_script += by_script ? 1 : 0;
  characters_.letters += 1;
  characters_.kana += kana ? 1 : 0;
  characters_.kana_runs += kana && !last_was_kana_ ? 1 : 0;
  last_was_kana_ = kana;
  if (han_target_) AppendUtf8(c, &characters_.text);
}

void SentenceTally::Other() {
  last_was_kana_ = false;
}

void SentenceTally::EndSentence() {
  last_was_kana_ = false;
  const auto close = [&](Evidence* evidence, std::vector<Sentence>* sentences, auto judge) {
    if (evidence->words == 0 || evidence->letters < unit_letters_) return;
    sentences->push_back({evidence->words, evidence->by_script, judge(*evidence)});
    *evidence = {};
  };
  close(&spelled_, &spelled_sentences_, [&](const Evidence& e) { return JudgeSpelled(e); });
  close(&characters_, &character_sentences_, [&](const Evidence& e) { return JudgeCharacters(e); });
}

SentenceTally::Verdict SentenceTally::JudgeSpelled(const Evidence& evidence) const {
  if (code_.empty() || evidence.by_script < kLeastWords || evidence.letters < kLeastLetters) {
    return Verdict::kUnknown;
  }
  const std::string_view found = IdentifyLanguage(evidence.text);
  if (found.empty()) return Verdict::kUnknown;
  if (AreConfusable(found, code_)) return Verdict::kTarget;
  if (evidence.letters < kSureLetters && !IsCommon(found)) return Verdict::kUnknown;
  return Verdict::kForeign;
}

SentenceTally::Verdict SentenceTally::JudgeCharacters(const Evidence& evidence) const {
  if (!han_target_ || evidence.words < kLeastCharacters) return Verdict::kUnknown;
  const bool ask_japanese = code_ == "zh" && evidence.kana_runs >= 2;
  const bool ask_chinese = code_ == "ja" && evidence.kana == 0;
  if (!ask_japanese && !ask_chinese) {
    return evidence.kana == 0 || code_ == "ja" ? Verdict::kTarget : Verdict::kUnknown;
  }
  const std::string_view found = IdentifyLanguage(evidence.text);
  if (found == code_) return Verdict::kTarget;
  return found == (ask_japanese ? "ja" : "zh") ? Verdict::kForeign : Verdict::kUnknown;
}

void SentenceTally::Add(const std::vector<Sentence>& sentences, WordCount* count) {
  for (std::size_t i = 0; i < sentences.size(); ++i) {
    Verdict verdict = sentences[i].verdict;
    if (verdict == Verdict::kUnknown && i > 0 && i + 1 < sentences.size() &&
        sentences[i - 1].verdict == sentences[i + 1].verdict) {
      verdict = sentences[i - 1].verdict;
    }
    count->all += sentences[i].words;
    count->target += verdict == Verdict::kForeign ? 0 : sentences[i].by_script;
  }
}

WordCount SentenceTally::Count() {
  unit_letters_ = 0;
  EndSentence();
  WordCount count;
  Add(spelled_sentences_, &count);
  Add(character_sentences_, &count);
  return count;
}

}  // namespace aha::rewards
