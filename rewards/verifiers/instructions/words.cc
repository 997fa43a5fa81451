// Instructions about words, sentences, paragraphs, case and languages.

#include <algorithm>
#include <set>

#include <nlohmann/json.hpp>
#include <unicode/uchar.h>

#include "rewards/text.h"
#include "rewards/verifiers/instructions/instructions.h"
#include "rewards/verifiers/instructions/text_parts.h"
#include "rewards/verifiers/language_id.h"

namespace aha::rewards::instructions {
namespace {

using Json = nlohmann::json;

Result<bool> HasKeywords(std::string_view text, const Json& arguments) {
  AHA_ASSIGN(const auto keywords, TextsArgument(arguments, "keywords"));
  const std::u32string lower = Lower(text);
  return std::all_of(keywords.begin(), keywords.end(), [&](const std::string& keyword) {
    return lower.find(Lower(keyword)) != std::u32string::npos;
  });
}

Result<bool> KeywordFrequency(std::string_view text, const Json& arguments) {
  AHA_ASSIGN(const std::string keyword, TextArgument(arguments, "keyword"));
  const std::u32string lower = Lower(text);
  const std::u32string sought = Lower(keyword);
  if (sought.empty()) return Fail(Code::kInvalidArgument, "'keyword' is empty");
  std::int64_t count = 0;
  for (std::size_t at = lower.find(sought); at != std::u32string::npos;
       at = lower.find(sought, at + sought.size())) {
    ++count;
  }
  return Compare(count, arguments, "relation", "frequency");
}

Result<bool> LacksForbiddenWords(std::string_view text, const Json& arguments) {
  AHA_ASSIGN(const auto words, TextsArgument(arguments, "forbidden_words"));
  const std::u32string lower = Lower(text);
  for (const std::string& word : words) {
    if (HasWholeWord(lower, Lower(word))) return false;
  }
  return true;
}

Result<bool> LetterFrequency(std::string_view text, const Json& arguments) {
  AHA_ASSIGN(const std::string letter, TextArgument(arguments, "letter"));
  const std::u32string sought = Lower(letter);
  if (sought.size() != 1) return Fail(Code::kInvalidArgument, "'letter' must be one character");
  const std::u32string lower = Lower(text);
  return Compare(std::count(lower.begin(), lower.end(), sought[0]), arguments, "let_relation",
                 "let_frequency");
}

Result<bool> InLanguage(std::string_view text, const Json& arguments) {
  AHA_ASSIGN(const std::string language, TextArgument(arguments, "language"));
  const std::string_view wanted = IdentifiableCode(language);
  if (wanted.empty()) {
    return Fail(Code::kInvalidArgument, "'language' is '{}', which cannot be identified", language);
  }
  const std::string_view found = IdentifyLanguage(text);
  return !found.empty() && AreConfusable(found, wanted);
}

Result<bool> WordCountKept(std::string_view text, const Json& arguments) {
  return Compare(CountWordsOf(text), arguments, "relation", "num_words");
}

Result<bool> SentenceCountKept(std::string_view text, const Json& arguments) {
  return Compare(CountSentences(text), arguments, "relation", "num_sentences");
}

// Paragraphs that *** divides, as IFEval asks for them.
Result<bool> ParagraphCountKept(std::string_view text, const Json& arguments) {
  AHA_ASSIGN(const std::int64_t wanted, NumberArgument(arguments, "num_paragraphs"));
  const auto parts = SplitAt(text, "***");
  auto count = static_cast<std::int64_t>(parts.size());
  for (std::size_t i = 0; i < parts.size(); ++i) {
    if (!IsBlank(parts[i])) continue;
    if (i > 0 && i + 1 < parts.size()) return false;
    --count;
  }
  return count == wanted;
}

Result<bool> NthParagraphBegins(std::string_view text, const Json& arguments) {
  AHA_ASSIGN(const std::int64_t wanted, NumberArgument(arguments, "num_paragraphs"));
  AHA_ASSIGN(const std::int64_t nth, NumberArgument(arguments, "nth_paragraph"));
  AHA_ASSIGN(const std::string first, TextArgument(arguments, "first_word"));
  if (nth < 1 || nth > wanted)
    return Fail(Code::kInvalidArgument, "'nth_paragraph' is out of range");
  const auto parts = SplitAt(text, "\n\n");
  std::int64_t count = 0;
  for (const auto part : parts)
    count += IsBlank(part) ? 0 : 1;
  if (count != wanted || nth > static_cast<std::int64_t>(parts.size())) return false;
  std::u32string paragraph = Lower(Trimmed(parts[static_cast<std::size_t>(nth - 1)]));
  std::u32string word;
  for (const CodePoint c : paragraph) {
    if (IsWhiteSpace(c) || std::u32string_view(U".,?!").find(c) != std::u32string_view::npos) break;
    if (word.empty() && (c == '\'' || c == '"')) continue;
    if (c == '\'' || c == '"') break;
    word.push_back(c);
  }
  return !word.empty() && word == Lower(first);
}

// Python's str.isupper and str.islower: some letter has case, and none the other.
bool AllInCase(std::string_view text, bool upper) {
  bool some = false;
  for (const CodePoint c : DecodeUtf8(text)) {
    const auto point = static_cast<UChar32>(c);
    const bool is_upper = u_hasBinaryProperty(point, UCHAR_UPPERCASE) != 0 || u_istitle(point) != 0;
    const bool is_lower = u_hasBinaryProperty(point, UCHAR_LOWERCASE) != 0;
    if (upper ? is_lower : is_upper) return false;
    some = some || (upper ? is_upper : is_lower);
  }
  return some;
}

// English by what CLD2 is sure of; in capitals it is asked about the text in lower case.
bool IsEnglish(std::string_view text) {
  const std::string_view found = IdentifyLanguage(EncodeUtf8(Lower(text)));
  return found.empty() || found == "en";
}

Result<bool> EnglishCapital(std::string_view text, const Json& arguments) {
  static_cast<void>(arguments);
  return AllInCase(text, true) && IsEnglish(text);
}

Result<bool> EnglishLowercase(std::string_view text, const Json& arguments) {
  static_cast<void>(arguments);
  return AllInCase(text, false) && IsEnglish(text);
}

Result<bool> CapitalWordFrequency(std::string_view text, const Json& arguments) {
  std::int64_t count = 0;
  for (const std::string& word : WordsOf(text))
    count += AllInCase(word, true) ? 1 : 0;
  return Compare(count, arguments, "capital_relation", "capital_frequency");
}

Result<bool> NoComma(std::string_view text, const Json& arguments) {
  static_cast<void>(arguments);
  return text.find(',') == std::string_view::npos;
}

}  // namespace

void AddWordKinds(std::map<std::string, Check, std::less<>>* kinds) {
  kinds->insert({{"keywords:existence", HasKeywords},
                 {"keywords:frequency", KeywordFrequency},
                 {"keywords:forbidden_words", LacksForbiddenWords},
                 {"keywords:letter_frequency", LetterFrequency},
                 {"language:response_language", InLanguage},
                 {"length_constraints:number_words", WordCountKept},
                 {"length_constraints:number_sentences", SentenceCountKept},
                 {"length_constraints:number_paragraphs", ParagraphCountKept},
                 {"length_constraints:nth_paragraph_first_word", NthParagraphBegins},
                 {"change_case:english_capital", EnglishCapital},
                 {"change_case:english_lowercase", EnglishLowercase},
                 {"change_case:capital_word_frequency", CapitalWordFrequency},
                 {"punctuation:no_comma", NoComma}});
}

}  // namespace aha::rewards::instructions
