#include "pipelines/tasks/problem.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <numeric>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "base/content_hash.h"
#include "pipelines/tasks/families/family.h"

namespace aha::pipelines {
namespace {

constexpr std::uint32_t kHardestBand = 3;
constexpr std::uint64_t kHeldOutOneIn = 8;
constexpr std::array<std::string_view, 3> kSplitNames = {"train", "dev", "test"};
constexpr std::uint64_t kMostTries = 512;

std::uint64_t ProblemId(std::string_view family, const std::vector<int>& content) {
  const std::string hex =
      ContentHash().AddField(family).AddField(fmt::format("{}", fmt::join(content, ","))).Hex();
  std::uint64_t id = 0;
  std::from_chars(hex.data(), hex.data() + 16, id, 16);
  return id;
}

Split SplitOf(std::uint64_t id, std::uint32_t band) {
  if (band != kHardestBand && id % kHeldOutOneIn != 0) return Split::kTrain;
  return id / kHeldOutOneIn % 2 == 1 ? Split::kDev : Split::kTest;
}

// Levenshtein's distance.
std::size_t EditDistance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), std::size_t{0});
  for (std::size_t i = 1; i <= a.size(); ++i) {
    std::size_t diagonal = row[0];
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t change = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
      diagonal = row[j];
      row[j] = std::min({row[j] + 1, row[j - 1] + 1, change});
    }
  }
  return row[b.size()];
}

// Families and bands draw apart, or a test problem would begin like the training problem of its
// key.
KeyedRandom KeyFor(const TaskSpec& spec, KeyedRandom random) {
  random = random.With(spec.band);
  for (const char c : spec.family)
    random = random.With(static_cast<unsigned char>(c));
  return random;
}

Problem PutIntoWords(const Family& family, const TaskSpec& spec, std::uint64_t id, Draft draft) {
  const Language language = spec.language == "zh" ? Language::kChinese : Language::kEnglish;
  Pen steady({}, KeyedRandom(0, ""));  // never slips, so what it draws does not matter
  Problem problem;
  problem.id = id;
  problem.family = spec.family;
  problem.band = spec.band;
  problem.language = spec.language;
  problem.general = family.info.general;
  problem.question = family.ask(draft, language);
  problem.answer = family.think(draft, language, steady);
  problem.content = std::move(draft.content);
  problem.surface = std::move(draft.surface);
  return problem;
}

}  // namespace

std::string_view SplitName(Split split) {
  return kSplitNames[static_cast<std::size_t>(split)];
}

Result<Split> SplitNamed(std::string_view name) {
  const auto* const it = std::find(kSplitNames.begin(), kSplitNames.end(), name);
  if (it == kSplitNames.end()) {
    return Fail(Code::kInvalidArgument, "split {}: not known, give one of {}", name,
                fmt::join(kSplitNames, ", "));
  }
  return static_cast<Split>(it - kSplitNames.begin());
}

std::span<const FamilyInfo> TaskFamilies() {
  static const std::vector<FamilyInfo> all = [] {
    std::vector<FamilyInfo> infos;
    for (const Family* family : Families())
      infos.push_back(family->info);
    return infos;
  }();
  return all;
}

Result<std::vector<std::string>> FamiliesNamed(std::string_view name) {
  std::vector<std::string> found;
  std::vector<std::string_view> known;
  for (const FamilyInfo& info : TaskFamilies()) {
    known.push_back(info.name);
    if (name == info.name || name == (info.general ? "general" : "reasoning")) {
      found.emplace_back(info.name);
    }
  }
  if (!found.empty()) return found;
  known.insert(known.end(), {"reasoning", "general"});
  const std::string_view typed = name.substr(0, 64);
  const auto nearest = std::min_element(known.begin(), known.end(), [&](auto a, auto b) {
    return EditDistance(typed, a) < EditDistance(typed, b);
  });
  return Fail(Code::kInvalidArgument, "{}: no such task family; nearest: {}; known: {}", typed,
              *nearest, fmt::join(known, ", "));
}

Status CheckTaskSpec(const TaskSpec& spec, Split split) {
  if (FindFamily(spec.family) == nullptr) {
    AHA_TRY(FamiliesNamed(spec.family));
    return Fail(Code::kInvalidArgument, "{}: a group of families, not one", spec.family);
  }
  if (spec.band < 1 || spec.band > kHardestBand) {
    return Fail(Code::kInvalidArgument, "band {}: out of range, give 1, 2 or 3", spec.band);
  }
  if (spec.band == kHardestBand && split == Split::kTrain) {
    return Fail(Code::kInvalidArgument, "band 3: held out for tests, train on bands 1 and 2");
  }
  if (spec.language != "en" && spec.language != "zh") {
    return Fail(Code::kInvalidArgument, "language {}: not known, give en or zh", spec.language);
  }
  return {};
}

Split SplitOf(const Problem& problem) {
  return SplitOf(problem.id, problem.band);
}

Result<Problem> MakeProblem(const TaskSpec& spec, Split split, KeyedRandom random) {
  AHA_TRY(CheckTaskSpec(spec, split));
  const Family& family = *FindFamily(spec.family);
  const KeyedRandom key = KeyFor(spec, random);
  for (std::uint64_t attempt = 0; attempt < kMostTries; ++attempt) {
    DrawSequence draw(key.With(attempt));
    Draft draft = family.draw(spec.band, draw);
    const std::uint64_t id = ProblemId(spec.family, draft.content);
    if (SplitOf(id, spec.band) == split) return PutIntoWords(family, spec, id, std::move(draft));
  }
  return Fail(Code::kExhausted, "{} band {}: no problem of the {} split in {} draws", spec.family,
              spec.band, SplitName(split), kMostTries);
}

}  // namespace aha::pipelines
