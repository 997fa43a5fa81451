#pragma once
/// What a task family is made of. Families are constant tables of pure functions; families.cc lists
/// them. A new family needs an entry there, its functions, and a case in the tests.

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/keyed_random.h"
#include "pipelines/tasks/families/pen.h"
#include "pipelines/tasks/problem.h"

namespace aha::pipelines {

/// A problem before it is put into words.
struct Draft {
  std::vector<int> content;  ///< what it is; bands of one family never share a content
  std::vector<int> surface;  ///< how it is told; surface[0] picks the wording
};

struct Family {
  FamilyInfo info;
  Draft (*draw)(std::uint32_t band, DrawSequence& draw) = nullptr;
  std::string (*ask)(const Draft& draft, Language language) = nullptr;
  /// Writes the working and returns the answer it arrives at; `language` is the question's.
  std::string (*think)(const Draft& draft, Language language, Pen& pen) = nullptr;
  /// A wrong answer of the right kind.
  std::string (*wrong)(const Draft& draft, Language language, DrawSequence& draw) = nullptr;
};

/// All families in the order of TaskFamilies().
std::span<const Family* const> Families();
/// nullptr when there is none of that name.
const Family* FindFamily(std::string_view name);

extern const Family kChain;
extern const Family kShop;
extern const Family kClock;
extern const Family kSwap;
extern const Family kCount;
extern const Family kLargest;
extern const Family kRepeat;
extern const Family kPick;
extern const Family kTranslate;

/// An index for surface[0] that picks evenly among two or three wordings.
inline int DrawWording(DrawSequence& draw) {
  return static_cast<int>(draw.Integer(0, 5));
}

/// The wording that surface[0] picks.
template <class Range>
const auto& Wording(const Draft& draft, const Range& wordings) {
  return wordings[static_cast<std::size_t>(draft.surface[0]) % std::size(wordings)];
}

/// `shortest` items in band 1, `per_band` more for each further band, and one of `per_band`
/// lengths.
inline int DrawLength(std::uint32_t band, int shortest, int per_band, DrawSequence& draw) {
  const int from = shortest + per_band * (static_cast<int>(band) - 1);
  return static_cast<int>(draw.Integer(from, from + per_band - 1));
}

/// A number up to `reach` away from `right`, never `right`, never below 0.
int NearMiss(int right, int reach, DrawSequence& draw);

}  // namespace aha::pipelines
