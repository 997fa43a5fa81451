#include "pipelines/recipes/nearest.h"

#include <algorithm>
#include <vector>

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace aha::pipelines {
namespace {

constexpr std::size_t kLongestWord = 100;  // what is longer is not a mistyped key

}  // namespace

std::size_t EditDistance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> before_last(b.size() + 1), last(b.size() + 1), row(b.size() + 1);
  for (std::size_t j = 0; j <= b.size(); ++j)
    last[j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t replace = last[j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1);
      row[j] = std::min({last[j] + 1, row[j - 1] + 1, replace});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) {
        row[j] = std::min(row[j], before_last[j - 2] + 1);
      }
    }
    before_last.swap(last);
    last.swap(row);
  }
  return last[b.size()];
}

std::optional<std::string> Nearest(std::string_view word, std::span<const std::string> names) {
  if (word.size() > kLongestWord) return std::nullopt;
  const std::string* best = nullptr;
  std::size_t distance = std::max<std::size_t>(1, word.size() / 3) + 1;
  for (const std::string& name : names) {
    const std::size_t edits = EditDistance(word, name);
    if (edits >= distance || edits >= name.size()) continue;
    distance = edits;
    best = &name;
  }
  return best == nullptr ? std::nullopt : std::optional(*best);
}

std::string Suggestion(std::string_view word, std::span<const std::string> names) {
  if (const auto near = Nearest(word, names)) return fmt::format("did you mean `{}`?", *near);
  if (names.empty()) return "there are none";
  return fmt::format("valid here: {}", fmt::join(names, ", "));
}

}  // namespace aha::pipelines
