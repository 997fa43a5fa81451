#include "rewards/verifiers/math/compare.h"

#include <vector>

namespace aha::rewards::math {
namespace {

bool SameInOrder(const std::vector<Answer>& reference, const std::vector<Answer>& answer) {
  if (reference.size() != answer.size()) return false;
  for (std::size_t i = 0; i < reference.size(); ++i) {
    if (!SameAnswer(reference[i], answer[i])) return false;
  }
  return true;
}

// Each item of the reference takes the first free item of the answer that equals it.
bool SameInAnyOrder(const std::vector<Answer>& reference, const std::vector<Answer>& answer) {
  if (reference.size() != answer.size()) return false;
  std::vector<bool> taken(answer.size(), false);
  for (const Answer& want : reference) {
    bool found = false;
    for (std::size_t i = 0; i < answer.size() && !found; ++i) {
      if (!taken[i] && SameAnswer(want, answer[i])) found = taken[i] = true;
    }
    if (!found) return false;
  }
  return true;
}

bool SameItems(const Answer& reference, const Answer& answer) {
  using Kind = Answer::Kind;
  if (reference.kind == Kind::kTuple && answer.kind == Kind::kTuple) {
    return reference.open == answer.open && reference.close == answer.close &&
           SameInOrder(reference.items, answer.items);
  }
  if (reference.kind == Kind::kTuple || answer.kind == Kind::kTuple) {
    const bool list = reference.kind == Kind::kList || answer.kind == Kind::kList;
    return list && SameInOrder(reference.items, answer.items);
  }
  return SameInAnyOrder(reference.items, answer.items);
}

}  // namespace

bool SameAnswer(const Answer& reference, const Answer& answer) {
  using Kind = Answer::Kind;
  if (!reference.name.empty() && !answer.name.empty() && reference.name != answer.name)
    return false;
  if (reference.key == answer.key) return !reference.key.empty();
  if (reference.kind == Kind::kNumber && answer.kind == Kind::kNumber) {
    if (!reference.unit.empty() && !answer.unit.empty() && reference.unit != answer.unit) {
      return false;
    }
    return SameNumber(*reference.number, *answer.number);
  }
  if (reference.items.empty() || answer.items.empty()) return false;
  return SameItems(reference, answer);
}

}  // namespace aha::rewards::math
