#include "rewards/verifiers/exact.h"

#include <string>

#include "rewards/text.h"
#include "rewards/verifiers/math/extract.h"

namespace aha::rewards {
namespace {

std::u32string Key(std::string_view text) {
  std::u32string out;
  for (const CodePoint c : ToNfkc(text)) {
    if (!IsWhiteSpace(c)) {
      out.push_back(FoldLatin(c));
    } else if (!out.empty() && out.back() != ' ') {
      out.push_back(' ');
    }
  }
  if (!out.empty() && out.back() == ' ') out.pop_back();
  return out;
}

std::u32string AnswerKey(std::string_view completion) {
  const auto marked = math::ExtractMarked(completion);
  return Key(marked ? marked->text : completion);
}

}  // namespace

std::vector<Finding> ExactReward::Explain(const ScoreInput& input) const {
  const std::u32string reference = Key(input.reference), answer = AnswerKey(input.completion);
  return {{"reference", Excerpt(EncodeUtf8(reference))},
          {"answer", Excerpt(EncodeUtf8(answer))},
          {"equal", answer == reference ? "yes" : "no"}};
}

Outcome ExactReward::Score(const ScoreInput& input) const {
  const std::u32string reference = Key(input.reference);
  if (reference.empty()) return Failed(proto::Failure::BAD_REFERENCE, "the reference is empty");
  if (!IsValidUtf8(input.reference)) {
    return Failed(proto::Failure::BAD_REFERENCE, "the reference is not UTF-8");
  }
  const std::u32string answer = AnswerKey(input.completion);
  if (answer == reference) return Scored(1);
  if (answer.empty()) return Scored(0, "empty answer");
  return Scored(0, "different: " + EncodeUtf8(std::u32string_view(answer).substr(0, 80)));
}

}  // namespace aha::rewards
