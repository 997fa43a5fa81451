#include "rewards/verifiers/language.h"

#include <algorithm>
#include <optional>
#include <vector>

#include <unicode/locid.h>
#include <unicode/uchar.h>
#include <unicode/uscript.h>

#include "rewards/text.h"
#include "rewards/verifiers/language_evidence.h"
#include "rewards/verifiers/language_id.h"
#include "rewards/verifiers/markup.h"

namespace aha::rewards {
namespace {

using Text = std::u32string_view;

struct Target {
  std::vector<UScriptCode> scripts;
  bool english = false;
  bool latin = false;     // Latin is one of the scripts
  std::string_view code;  // as CLD2 calls it; empty when it does not know it
};

// Scripts that stand for several of Unicode's, or for a style of one.
std::vector<UScriptCode> PlainScripts(UScriptCode script) {
  switch (script) {
    case USCRIPT_SIMPLIFIED_HAN:
    case USCRIPT_TRADITIONAL_HAN:
    case USCRIPT_HAN_WITH_BOPOMOFO:
      return {USCRIPT_HAN};
    case USCRIPT_JAPANESE:
      return {USCRIPT_HAN, USCRIPT_HIRAGANA, USCRIPT_KATAKANA};
    case USCRIPT_KOREAN:
      return {USCRIPT_HANGUL};
    case USCRIPT_LATIN_FRAKTUR:
    case USCRIPT_LATIN_GAELIC:
      return {USCRIPT_LATIN};
    default:
      return {script};
  }
}

std::optional<Target> TargetOf(std::string_view language) {
  if (language.empty() || language.size() > 64) return std::nullopt;
  std::string code(language);
  for (char& c : code) {
    const bool allowed = (c >= '0' && c <= '9') || ((c | 32) >= 'a' && (c | 32) <= 'z');
    if (c == '-') c = '_';
    if (!allowed && c != '_') return std::nullopt;
  }
  icu::Locale locale(code.c_str());
  Target target;
  target.english = std::string_view(locale.getLanguage()) == "en";
  target.code = IdentifiableCode(code);
  UErrorCode error = U_ZERO_ERROR;
  locale.addLikelySubtags(error);
  if (U_FAILURE(error) != 0 || locale.getScript()[0] == '\0') return std::nullopt;
  const int script = u_getPropertyValueEnum(UCHAR_SCRIPT, locale.getScript());
  if (script == UCHAR_INVALID_CODE) return std::nullopt;
  target.scripts = PlainScripts(static_cast<UScriptCode>(script));
  target.latin = std::find(target.scripts.begin(), target.scripts.end(), USCRIPT_LATIN) !=
                 target.scripts.end();
  return target;
}

std::string_view Thinking(std::string_view text) {
  constexpr std::string_view kOpen = "<think>";
  if (const auto open = text.find(kOpen); open != std::string_view::npos) {
    text.remove_prefix(open + kOpen.size());
  }
  return text.substr(0, text.rfind("</think>"));
}

// Common is no script of its own; the rest must be one of the target's.
enum class Belongs { kNoScript, kTarget, kOther };

Belongs ScriptBelongs(CodePoint c, const Target& target) {
  if (c < 0x80 && IsLetter(c)) return target.latin ? Belongs::kTarget : Belongs::kOther;
  UErrorCode error = U_ZERO_ERROR;
  const UScriptCode script = uscript_getScript(static_cast<UChar32>(c), &error);
  if (U_FAILURE(error) != 0 || script == USCRIPT_COMMON || script == USCRIPT_INHERITED) {
    return Belongs::kNoScript;
  }
  for (const UScriptCode known : target.scripts) {
    if (script == known) return Belongs::kTarget;
  }
  return Belongs::kOther;
}

bool IsApostrophe(CodePoint c) {
  return c == '\'' || c == 0x2019;
}

bool IsSpelled(CodePoint c) {
  return IsLetter(c) && !IsHan(c) && !IsKana(c);
}

bool EndsSentence(Text text, std::size_t i) {
  switch (text[i]) {
    case '\n':
    case '!':
    case '?':
    case 0x3002:  // ideographic full stop
    case 0x2026:
      return true;
    case '.':
      return i + 1 == text.size() || IsWhiteSpace(text[i + 1]);
    default:
      return false;
  }
}

// One run of letters and marks, judged when it ends.
class Run {
 public:
  explicit Run(const Target& target) : target_(target) {}

  void Add(CodePoint c) {
    if (!IsLetter(c)) return;
    ++letters_;
    last_ = c;
    const Belongs belongs = ScriptBelongs(c, target_);
    scripted_ = scripted_ || belongs != Belongs::kNoScript;
    other_ = other_ || belongs == Belongs::kOther;
  }

  // Whether it is a word, and if so whether by script in the target language.
  std::optional<bool> End() {
    const bool word = scripted_ && !IsLoneLatin();
    const bool target = !other_;
    letters_ = 0;
    scripted_ = other_ = false;
    return word ? std::optional(target) : std::nullopt;
  }

 private:
  [[nodiscard]] bool IsLoneLatin() const {
    if (letters_ != 1) return false;
    if (target_.english && (last_ == 'a' || last_ == 'A' || last_ == 'I')) return false;
    UErrorCode error = U_ZERO_ERROR;
    return uscript_getScript(static_cast<UChar32>(last_), &error) == USCRIPT_LATIN;
  }

  const Target& target_;
  std::size_t letters_ = 0;
  CodePoint last_ = 0;
  bool scripted_ = false;
  bool other_ = false;
};

// Walks over the words of a text and tells `tally` of each, and of each sentence's end.
template <class Tally>
void WalkWords(Text text, const Target& target, Tally* tally) {
  Run run(target);
  std::size_t begin = 0;
  const auto end_run = [&](std::size_t end) {
    if (const auto word = run.End()) tally->Spelled(text.substr(begin, end - begin), *word);
    begin = end + 1;
  };
  for (std::size_t i = 0; i < text.size(); ++i) {
    const CodePoint c = text[i];
    if (IsHan(c) || IsKana(c)) {
      end_run(i);
      // By the first script of its extensions: the long-vowel mark is Common by itself.
      const bool kana = !IsHan(c);
      const Belongs belongs = ScriptBelongs(kana ? 0x30A2 : c, target);
      tally->Character(c, kana, belongs == Belongs::kTarget);
    } else if (IsLetter(c) || IsMark(c)) {
      run.Add(c);
    } else if (!(IsApostrophe(c) && i > 0 && i + 1 < text.size() &&
                 (IsSpelled(text[i - 1]) || IsMark(text[i - 1])) && IsSpelled(text[i + 1]))) {
      end_run(i);
      tally->Other();
      if (EndsSentence(text, i)) tally->EndSentence();
    }
  }
  end_run(text.size());
}

WordCount Count(Text text, const Target& target) {
  SentenceTally tally(target.code, text.size());
  WalkWords(text, target, &tally);
  return tally.Count();
}

WordCount CountFor(std::string_view completion, const Target& target) {
  return Count(Prose(ToNfkc(Thinking(completion))), target);
}

// For people: words, and the first of those whose script is another.
struct Listed {
  static constexpr std::size_t kMost = 12;
  std::size_t words = 0, by_script = 0, others = 0;
  std::string list;

  void Spelled(Text word, bool target) { Take(word, target); }
  void Character(CodePoint c, bool, bool target) { Take(Text(&c, 1), target); }
  void Other() {}
  void EndSentence() {}

 private:
  void Take(Text word, bool target) {
    ++words;
    by_script += target ? 1 : 0;
    if (target || ++others > kMost) return;
    list += (list.empty() ? "" : ", ") + EncodeUtf8(word.substr(0, 40));
  }
};

std::string ScriptNames(const Target& target) {
  std::string out;
  for (const UScriptCode script : target.scripts)
    out += (out.empty() ? "" : ", ") + std::string(uscript_getName(script));
  return out;
}

}  // namespace

bool LanguageReward::Knows(std::string_view language) {
  return TargetOf(language).has_value();
}

WordCount CountWords(std::string_view completion, std::string_view language) {
  const auto target = TargetOf(language);
  return target ? CountFor(completion, *target) : WordCount{};
}

std::vector<Finding> LanguageReward::Explain(const ScoreInput& input) const {
  const std::string_view language = input.language.empty() ? fallback_ : input.language;
  const auto target = TargetOf(language);
  if (!target) return {{"target", "no script is known for " + Excerpt(language, 64)}};
  const std::u32string prose = Prose(ToNfkc(Thinking(input.completion)));
  Listed listed;
  WalkWords(prose, *target, &listed);
  const WordCount count = Count(prose, *target);
  std::vector<Finding> findings = {
      {"target", std::string(language) + " (" + ScriptNames(*target) + ")"},
      {"read", Excerpt(EncodeUtf8(TrimBlanks(prose)))},
      {"words", std::to_string(count.all)},
      {"in_target", std::to_string(count.target)}};
  if (listed.others > 0) {
    std::string others = listed.list;
    if (listed.others > Listed::kMost)
      others += ", and " + std::to_string(listed.others - Listed::kMost) + " more";
    findings.push_back({"other_script", others});
  }
  if (listed.by_script > count.target) {
    findings.push_back({"other_language", std::to_string(listed.by_script - count.target) +
                                              " words of the right script, in sentences of another "
                                              "language"});
  }
  return findings;
}

Outcome LanguageReward::Score(const ScoreInput& input) const {
  const std::string_view language = input.language.empty() ? fallback_ : input.language;
  const auto target = TargetOf(language);
  if (!target) {
    const std::string what =
        language.empty() ? "the item names no language; set it, or the config key 'target'"
                         : "no script is known for the language code '" +
                               std::string(language.substr(0, 64)) + "'; give en, zh, fr, ...";
    return Failed(proto::Failure::BAD_REFERENCE, what);
  }
  const WordCount count = CountFor(input.completion, *target);
  if (count.all == 0) return Scored(no_words_score_, "no_words");
  return Scored(static_cast<double>(count.target) / static_cast<double>(count.all));
}

}  // namespace aha::rewards
