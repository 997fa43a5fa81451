#include "rewards/verifiers/math/judge.h"

#include <algorithm>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "rewards/text.h"
#include "rewards/verifiers/math/choice.h"
#include "rewards/verifiers/math/compare.h"
#include "rewards/verifiers/math/extract.h"
#include "rewards/verifiers/math/find_number.h"
#include "rewards/verifiers/math/moment.h"
#include "rewards/verifiers/math/normalize.h"
#include "rewards/verifiers/math/parser.h"
#include "rewards/verifiers/math/rational.h"
#include "rewards/verifiers/math/rewrite.h"
#include "rewards/verifiers/math/units.h"

namespace aha::rewards::math {
namespace {

constexpr std::size_t kShown = 80;  // characters of an answer in a reason

// A text read once, in every way that it may be meant.
struct Reading {
  std::string normal;       // Normalize's text, trimmed
  std::vector<Node> trees;  // 1,234 may be a number or a list
  std::optional<char> choice;
  std::string choices;                // of several letters
  std::optional<std::string> moment;  // a date or a time of day
  bool sound = true;
  bool too_large = false;
  bool mathematical = false;
};

Reading Read(std::string_view raw) {
  Reading reading;
  const std::string_view trimmed = TrimAnswer(raw);
  const std::u32string flat = Flatten(trimmed);
  Parsed parsed = ParseAnswer(flat, true);
  reading.sound = parsed.sound;
  reading.too_large = parsed.too_large;
  reading.mathematical = parsed.mathematical;
  if (parsed.tree) reading.trees.push_back(*std::move(parsed.tree));
  if (parsed.grouped) {
    Parsed apart = ParseAnswer(flat, false);
    if (apart.tree) reading.trees.push_back(*std::move(apart.tree));
  }
  const Normalized normal = Normalize(trimmed);
  reading.sound = reading.sound && normal.sound;
  reading.normal = TrimAnswer(normal.text);
  reading.choice = ChoiceLetter(reading.normal);
  reading.choices = ChoiceLetters(reading.normal);
  reading.moment = MomentOf(reading.normal);
  return reading;
}

bool IsDate(const Reading& reading) {
  return reading.moment && reading.moment->find('/') != std::string::npos;
}

std::string Show(const Reading& reading) {
  return reading.trees.empty() ? '"' + reading.normal + '"' : ToText(reading.trees[0]);
}

class Judge {
 public:
  explicit Judge(const MathQuestion& input) : input_(input) {}

  MathVerdict Run() {
    if (!ReadReference()) return std::move(verdict_);
    if (const auto marked = ExtractMarked(input_.completion)) {
      constexpr const char* kFound[] = {"tag", "box", "phrase", "number"};
      verdict_.found = kFound[static_cast<std::size_t>(marked->how)];
      JudgeMarked(marked->text);
    } else {
      Unmarked();
    }
    return std::move(verdict_);
  }

 private:
  bool Fault(std::string fault) {
    verdict_.fault = std::move(fault);
    return false;
  }

  // A worked solution stands for its box or its last line.
  static std::string AnswerOf(std::string_view reference) {
    if (auto boxes = LastBoxes(reference, true)) return *std::move(boxes);
    const auto mark = reference.rfind("####");
    return std::string(mark == std::string_view::npos ? reference : reference.substr(mark + 4));
  }

  bool ReadReference() {
    const std::string_view whole = input_.reference;
    if (whole.size() > kLongestAnswer) return Fault("the reference is over 64 KiB");
    const std::string raw = AnswerOf(whole);
    if (raw.size() > kLongestAnswer) return Fault("the reference is over 64 KiB");
    if (!IsValidUtf8(raw)) return Fault("the reference is not UTF-8");
    reference_ = Read(raw);
    // Without a box a solution may say it: "... The final answer is $28\\%$."
    if (reference_.trees.empty() || reference_.trees[0].op == Op::kText) {
      if (const auto phrase = AfterPhrase(raw)) {
        Reading said = Read(*phrase);
        if (!said.trees.empty() && said.trees[0].op != Op::kText) reference_ = std::move(said);
      }
    }
    if (reference_.too_large)
      return Fault("the reference is too large: nested too deep, or a number too long");
    if (!reference_.sound)
      return Fault("the reference has unpaired braces, nests them too deep, or lacks an argument");
    if (TextKey(reference_.normal).empty()) return Fault("the reference is empty");
    if (const auto behind = BehindChoice(reference_.normal); !behind.empty()) {
      // "(B) 12" is the letter, or what it stands for; no product.
      Reading said = Read(std::string(behind));
      if (!said.too_large && said.sound) reference_.trees = std::move(said.trees);
    } else if (reference_.normal.size() > 4 && reference_.choice && reference_.trees.empty()) {
      // A letter and words.
    } else if (reference_.normal.size() > 4) {
      reference_.choice.reset();
    }
    if (reference_.trees.empty()) {
      if (reference_.mathematical && !reference_.choice)
        return Fault("the reference cannot be parsed: " +
                     std::string(reference_.normal.substr(0, kShown)));
    } else {
      Work work;
      const Status status = CheckReference(reference_.trees[0], &work);
      if (status == Status::kUndefined)
        return Fault("the reference has no value: it divides by zero or the like");
      if (status == Status::kTooLarge) return Fault("the reference is too large to evaluate");
    }
    verdict_.reference = Show(reference_);
    return true;
  }

  void Right(std::string rule, const Reading& answer) {
    verdict_.same = true;
    verdict_.answer = Show(answer);
    verdict_.rule = rule;
    verdict_.reason = std::move(rule);
  }

  void Wrong(std::string reason, const Reading& answer) {
    verdict_.answer = Show(answer);
    verdict_.reason = std::move(reason);
  }
  void Different(const Reading& answer) {
    Wrong(too_large_ ? "too_large" : "different: " + Shown(answer.normal), answer);
    if (verdict_.rule.empty()) verdict_.rule = rule_;
  }
  static std::string Shown(std::string_view text) {
    if (text.size() <= kShown) return std::string(text);
    std::size_t end = kShown;
    while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0) == 0x80)
      --end;
    return std::string(text.substr(0, end));
  }

  // One work budget for the whole answer, however many readings it has.
  bool Matches(const Reading& answer) {
    if (answer.too_large) too_large_ = true;
    // A date is no number; a time may be told without its half of the day.
    if ((reference_.moment && answer.moment) || IsDate(reference_) || IsDate(answer)) {
      rule_ = "moment";
      return reference_.moment == answer.moment;
    }
    if (!answer.normal.empty() && SameText(answer)) return true;
    if (reference_.choice && answer.choice == reference_.choice) {
      rule_ = "choice";
      return true;
    }
    if (!reference_.choices.empty() && answer.choices == reference_.choices) {
      rule_ = "choices";
      return true;
    }
    if (IsDecimalComma(reference_.normal) && answer.normal == Pointed(reference_.normal)) {
      rule_ = "decimal comma";
      return true;
    }
    for (const Node& want : reference_.trees) {
      for (const Node& have : Meant(want, answer)) {
        const Comparison comparison = Compare(want, have, &work_, input_.decimals);
        rule_ = comparison.rule;
        too_large_ = too_large_ || comparison.too_large;
        if (!comparison.same) continue;
        const auto named = TakeName(have);
        unevaluated_ = !input_.prompt.empty() && IsLiteral(want) &&
                       IsUnevaluated(named ? *named->value : have);
        return !unevaluated_;
      }
    }
    return false;
  }

  // 3,14: digits, a comma, digits. 1,234 is a thousand to those who part thousands.
  static bool IsDecimalComma(std::string_view text) {
    if (text.starts_with('-')) text.remove_prefix(1);
    const auto comma = text.find(',');
    if (comma == 0 || comma == std::string_view::npos || text.size() > 32) return false;
    const std::string_view whole = text.substr(0, comma), part = text.substr(comma + 1);
    const auto digits = [](std::string_view run) {
      return !run.empty() && run.find_first_not_of("0123456789") == std::string_view::npos;
    };
    return digits(whole) && digits(part) && (part.size() != 3 || whole == "0");
  }
  static std::string Pointed(std::string text) {
    text[text.find(',')] = '.';
    return text;
  }

  // Where the reference is written with a decimal point, 3,14 may be 3.14.
  static std::vector<Node> Meant(const Node& reference, const Reading& answer) {
    std::vector<Node> trees = answer.trees;
    if (!HasPoint(reference) || !IsDecimalComma(answer.normal)) return trees;
    if (auto parsed = ParseAnswer(Flatten(Pointed(answer.normal)), false); parsed.tree)
      trees.push_back(*std::move(parsed.tree));
    return trees;
  }

  // Letters of mathematics have a case; words have none.
  bool SameText(const Reading& answer) {
    rule_ = "same text";
    if (answer.normal == reference_.normal) return !answer.too_large;
    const bool words = reference_.trees.empty() || reference_.trees[0].op == Op::kText;
    if (!words || TextKey(answer.normal) != TextKey(reference_.normal)) return false;
    // Blanks part numbers: 4 2 is not 42.
    const auto blanks = [](const std::string& text) {
      return std::count(text.begin(), text.end(), ' ');
    };
    return reference_.normal.find_first_of("0123456789") == std::string::npos ||
           blanks(answer.normal) == blanks(reference_.normal);
  }

  // The only formula or number of a sentence whose other words leave it alone.
  std::optional<Reading> OnlyFormula(std::string_view raw, const Reading& whole) {
    if (!whole.trees.empty() && whole.trees[0].op != Op::kText) return std::nullopt;
    const auto segments = MathSegments(raw);
    if (segments.size() == 1) {
      const auto at = static_cast<std::size_t>(segments[0].data() - raw.data());
      const std::string_view before = raw.substr(0, at),
                             after = raw.substr(at + segments[0].size());
      if (Harmless(before) && Harmless(after)) return Read(segments[0]);
    }
    const auto numbers = NumbersIn(whole.normal, false);
    if (numbers.size() != 1) return std::nullopt;
    const auto at = static_cast<std::size_t>(numbers[0].data() - whole.normal.data());
    if (!AreHarmlessWords(std::string_view(whole.normal).substr(0, at))) return std::nullopt;
    Reading rest = Read(std::string_view(whole.normal).substr(at));
    if (rest.trees.empty()) return std::nullopt;
    return rest;
  }
  // Delimiters go; what is left must be words.
  static bool Harmless(std::string_view words) {
    std::string plain;
    for (const char c : words) {
      if (std::string_view("$\\()[]*").find(c) == std::string_view::npos) plain.push_back(c);
    }
    return AreHarmlessWords(plain);
  }

  bool Try(std::string_view raw) {
    const Reading answer = Read(raw);
    if (Matches(answer)) {
      Right(rule_, answer);
      return true;
    }
    if (unevaluated_) {
      Wrong("unevaluated", answer);
      return true;
    }
    if (const auto formula = OnlyFormula(raw, answer)) {
      if (Matches(*formula)) {
        Right(rule_, *formula);
        return true;
      }
    }
    Different(answer);
    return false;
  }

  void JudgeMarked(const std::string& raw) {
    verdict_.extracted = raw;
    if (raw.size() > kLongestAnswer) {
      verdict_.reason = "too_large";
      return;
    }
    // A box inside the tag or the phrase is the answer proper.
    const auto boxed = LastBoxes(raw);
    if (boxed) verdict_.extracted = *boxed;
    const std::string text = verdict_.extracted;
    if (TrimAnswer(text).empty()) {
      verdict_.reason = "empty answer";
      return;
    }
    if (Try(text) || boxed) return;
    // Inside the tag the phrase may be spelled out: <answer>The answer is 5.</answer>
    if (const auto phrase = AfterPhrase(raw)) {
      if (Try(*phrase)) return;
    }
    if (verdict_.found != "phrase") return;
    // What is said to have been found stays, unless the rest of the sentence is right.
    const MathVerdict said = verdict_;
    BehindPhrase(text);
    if (!verdict_.same && verdict_.reason != "unevaluated") verdict_ = said;
  }

  void BehindPhrase(const std::string& text) {
    if (reference_.choice && ReasonedChoice(text)) return;
    // "The answer is not 5" says what it is not.
    if (text.starts_with("not ") && FindsNumber(text.substr(4))) return;
    // "The answer is $5$, since ...": a phrase goes on.
    const auto segments = MathSegments(text);
    if (!segments.empty() && IsBlank(std::string_view(text).substr(
                                 0, static_cast<std::size_t>(segments[0].data() - text.data())))) {
      Try(segments[0]);
    } else {
      LastExpression(text);
    }
  }
  // "B because A is wrong", "B, since ...".
  bool ReasonedChoice(std::string_view text) {
    for (const std::string_view reason : {" because ", " since ", " as ", " which ", " not "}) {
      const auto at = text.find(reason);
      if (at == std::string_view::npos || at > 12) continue;
      const std::string_view letter =
          TrimAnswer(text.substr(0, at > 0 && text[at - 1] == ',' ? at - 1 : at));
      return ChoiceLetter(letter) && Try(letter);
    }
    return false;
  }
  static bool FindsNumber(std::string_view text) {
    std::size_t at = 0;
    return FindNumber(text, &at);
  }
  static bool IsBlank(std::string_view text) {
    return text.find_first_not_of(" \t\r\n$\\([*:") == std::string_view::npos;
  }

  // Without any mark: a bare answer as a whole, else the last number or formula.
  void Unmarked() {
    std::string_view text = BehindThinking(input_.completion);
    if (TrimAnswer(text).empty()) text = input_.completion;
    // Of a very long text the end is read.
    if (text.size() > kLongestAnswer) {
      text.remove_prefix(text.size() - kLongestAnswer);
    } else {
      const Reading whole = Read(text);
      verdict_.extracted = TrimAnswer(text);
      verdict_.found = "whole";
      if (Matches(whole)) return Right(rule_, whole);
      if (unevaluated_) return Wrong("unevaluated", whole);
      // 5 cm from end to end is the answer; its number without the unit is not.
      if (!whole.trees.empty() && whole.trees[0].op == Op::kQuantity &&
          !whole.trees[0].name.empty() && IsLiteral(whole.trees[0]))
        return Different(whole);
    }
    LastExpression(text);
  }

  void LastExpression(std::string_view text) {
    const auto segments = MathSegments(text);
    const std::string_view last =
        segments.empty() ? std::string_view() : TrimAnswer(segments.back());
    // What no number follows is the last expression.
    const std::string_view behind =
        last.empty()
            ? text
            : text.substr(static_cast<std::size_t>(last.data() + last.size() - text.data()));
    const std::string normal = Normalize(behind).text;
    const auto numbers = NumbersIn(normal, true);
    if (!numbers.empty()) {
      verdict_.found = "number";
      verdict_.extracted = numbers.back();
      // 1,2 is one number here, no pair.
      const std::string number(numbers.back());
      Try(IsDecimalComma(number) ? Pointed(number) : number);
    } else if (!last.empty()) {
      verdict_.found = "expression";
      verdict_.extracted = last;
      Try(last);
    } else {
      verdict_.found = "nothing";
      verdict_.reason = "no answer";
    }
  }

  const MathQuestion& input_;
  Reading reference_;
  MathVerdict verdict_;
  Work work_;
  std::string rule_;
  bool too_large_ = false;
  bool unevaluated_ = false;
};

}  // namespace

MathVerdict JudgeMath(const MathQuestion& question) {
  FreeFlintWithThread();
  return Judge(question).Run();
}

}  // namespace aha::rewards::math
