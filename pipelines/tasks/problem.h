#pragma once
/// Problems of the embedded world, made by seeded generators: short enough for a model of a few
/// million parameters, and such that it cannot answer at once but can work the answer out in steps.

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/keyed_random.h"
#include "base/result.h"

namespace aha::pipelines {

/// A problem is in exactly one split, by its id: what may be trained on, what settings are chosen
/// on, and what claims are judged on.
enum class Split : std::uint8_t { kTrain, kDev, kTest };

/// "train", "dev" or "test".
std::string_view SplitName(Split split);
/// The split of that name; kInvalidArgument for any other.
Result<Split> SplitNamed(std::string_view name);

/// One question with its right answer.
struct Problem {
  /// First eight bytes of SHA-256 over (family, content), big-endian. The language, the wording and
  /// the names in a story are no part of it: a test problem cannot be met in training in disguise.
  std::uint64_t id = 0;
  std::string family;
  std::uint32_t band = 0;  ///< difficulty, 1 to 3
  std::string language;    ///< "en" or "zh": the language it is asked in
  bool general = false;    ///< no reasoning needed
  std::string question;
  std::string answer;
  /// What the problem is, in its family's own code: the solver writes the working from it, in
  /// either language. Only MakeProblem fills it.
  std::vector<int> content;
  /// How it is told (wording, names, verbs), likewise.
  std::vector<int> surface;
};

/// A kind of problem that can be asked for.
struct TaskSpec {
  std::string family;
  std::uint32_t band = 1;
  std::string language = "en";
};

/// A task family, for `aha explain families`.
struct FamilyInfo {
  std::string_view name;
  std::string_view doc;
  bool general = false;
  std::string_view reward;  ///< the built-in reward that checks its answers: "math" or "exact"
};

/// Every family, reasoning first. Lives as long as the program.
std::span<const FamilyInfo> TaskFamilies();

/// Names of the families that `name` stands for: itself, or all of "reasoning" or "general".
/// kInvalidArgument for any other name; the message has the nearest name and the list.
Result<std::vector<std::string>> FamiliesNamed(std::string_view name);

/// kInvalidArgument unless MakeProblem can make such problems. Band 3 is for testing alone: how far
/// a model carries what it learnt on bands 1 and 2.
Status CheckTaskSpec(const TaskSpec& spec, Split split);

/// Held out when the band is 3 or id % 8 == 0; of those, dev when id / 8 is odd, else test.
Split SplitOf(const Problem& problem);

/// A problem of `spec` in `split`: a pure function of its arguments. The language does not enter
/// the draw: the same key asks the same problem in either language. Redraws until the content falls
/// into the split; kInvalidArgument for a bad spec, kExhausted after 512 draws in vain (chance
/// below 2^-47 where a family has many problems).
Result<Problem> MakeProblem(const TaskSpec& spec, Split split, KeyedRandom random);

}  // namespace aha::pipelines
