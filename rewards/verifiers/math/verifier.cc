#include "rewards/verifiers/math/verifier.h"

#include <optional>
#include <string>

#include "rewards/text.h"
#include "rewards/verifiers/math/answer.h"
#include "rewards/verifiers/math/compare.h"
#include "rewards/verifiers/math/extract.h"
#include "rewards/verifiers/math/normalize.h"
#include "rewards/verifiers/math/units.h"

namespace aha::rewards {
namespace {

using math::Answer;
constexpr std::size_t kLongest = 64 * 1024;

// A reference, read once.
struct Reference {
  Answer answer;
  std::optional<char> choice;  // set when it is nothing but a letter
};

std::string_view ReferenceFault(std::string_view raw, const math::Normalized& normal) {
  if (!IsValidUtf8(raw)) return "the reference is not UTF-8";
  if (math::TextKey(math::TrimAnswer(normal.text)).empty()) return "the reference is empty";
  if (!normal.sound) return "the reference has unpaired braces, or nests them too deep";
  if (math::DividesByZero(normal.text)) return "the reference divides by zero";
  return {};
}

// The only number of a sentence whose other words leave it alone, with its unit.
std::optional<Answer> OnlyNumber(std::string_view normalized) {
  const auto numbers = math::NumbersIn(normalized, false);
  if (numbers.size() != 1) return std::nullopt;
  const auto at = static_cast<std::size_t>(numbers[0].data() - normalized.data());
  if (!math::AreHarmlessWords(normalized.substr(0, at))) return std::nullopt;
  Answer answer = math::ParseAnswer(normalized.substr(at));
  return answer.kind == Answer::Kind::kNumber ? std::optional<Answer>(std::move(answer))
                                              : std::nullopt;
}

// The last side of "3*4 = 12", when it is a number.
std::optional<Answer> LastSide(std::string_view normalized) {
  const auto equals = normalized.rfind('=');
  if (equals == std::string_view::npos) return std::nullopt;
  Answer answer = math::ParseAnswer(normalized.substr(equals + 1));
  return answer.kind == Answer::Kind::kNumber ? std::optional<Answer>(std::move(answer))
                                              : std::nullopt;
}

bool Matches(const Reference& reference, std::string_view normalized) {
  const Answer answer = math::ParseAnswer(normalized);
  if (math::SameAnswer(reference.answer, answer)) return true;
  if (reference.choice && math::ChoiceLetter(normalized) == reference.choice) return true;
  const bool number = reference.answer.kind == Answer::Kind::kNumber;
  if (!number || answer.kind != Answer::Kind::kText || !answer.name.empty()) return false;
  const auto last = LastSide(normalized);
  if (last) return math::SameAnswer(reference.answer, *last);
  const auto only = OnlyNumber(normalized);
  return only && math::SameAnswer(reference.answer, *only);
}

Outcome Judge(const Reference& reference, const std::string& raw) {
  if (raw.size() > kLongest) return Scored(0, "answer too long");
  // A box inside the tag or the phrase is the answer proper.
  const auto boxed = math::LastBoxes(raw);
  const std::string normalized = math::Normalize(boxed ? *boxed : raw).text;
  const auto trimmed = math::TrimAnswer(normalized);
  if (trimmed.empty()) return Scored(0, "empty answer");
  if (Matches(reference, trimmed)) return Scored(1);
  // Inside the tag the phrase may be spelled out: <answer>The answer is 5.</answer>
  if (const auto phrase = boxed ? std::nullopt : math::AfterPhrase(raw)) {
    if (Matches(reference, math::TrimAnswer(math::Normalize(*phrase).text))) return Scored(1);
  }
  return Scored(0, "different: " + std::string(trimmed.substr(0, 80)));
}

// Without any mark: a bare answer as a whole, else the last number.
Outcome JudgeUnmarked(const Reference& reference, std::string_view completion) {
  const std::string normalized = math::Normalize(completion).text;
  const auto trimmed = math::TrimAnswer(normalized);
  if (trimmed.empty()) return Scored(0, "no answer");
  if (trimmed.size() <= kLongest && Matches(reference, trimmed)) return Scored(1);
  const auto numbers = math::NumbersIn(normalized, true);
  if (numbers.empty()) return Scored(0, "no answer");
  if (math::SameAnswer(reference.answer, math::ParseAnswer(numbers.back()))) return Scored(1);
  return Scored(0, "different: " + std::string(numbers.back().substr(0, 80)));
}

}  // namespace

Outcome MathReward::Score(const ScoreInput& input) const {
  constexpr auto kBad = proto::Failure::BAD_REFERENCE;
  if (input.reference.size() > kLongest) return Failed(kBad, "the reference is over 64 KiB");
  const math::Normalized normal = math::Normalize(input.reference);
  const auto fault = ReferenceFault(input.reference, normal);
  if (!fault.empty()) return Failed(kBad, fault);
  const Reference reference{math::ParseAnswer(normal.text), normal.text.size() <= 4
                                                                ? math::ChoiceLetter(normal.text)
                                                                : std::nullopt};
  const auto marked = math::ExtractMarked(input.completion);
  return marked ? Judge(reference, marked->text) : JudgeUnmarked(reference, input.completion);
}

}  // namespace aha::rewards
