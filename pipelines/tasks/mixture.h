#pragma once
/// Draws problems from a recipe's weighted list of task families.

#include <cstdint>
#include <string>
#include <vector>

#include <google/protobuf/repeated_field.h>

#include "base/keyed_random.h"
#include "base/result.h"
#include "pipelines/tasks/problem.h"
#include "proto/recipe.pb.h"

namespace aha::pipelines {

/// A checked list of TaskMix entries. Immutable; safe to share between threads.
class Mixture {
 public:
  /// Bands default to 1 and 2, languages to en and zh; the family may be a name of TaskFamilies or
  /// one of the groups "reasoning" and "general", drawn from evenly. kInvalidArgument, naming the
  /// entry, for an empty list, an unknown family or language, a band out of range (or 3 in
  /// training) and weights that are negative, not finite or all zero.
  static Result<Mixture> Make(const google::protobuf::RepeatedPtrField<proto::TaskMix>& entries,
                              Split split);

  /// Problem number `k`: entry by weight, then family, band and language evenly, then the problem,
  /// all keyed by (random, k). kExhausted as MakeProblem.
  [[nodiscard]] Result<Problem> Draw(std::uint64_t k, KeyedRandom random) const;

 private:
  struct Entry {
    std::vector<std::string> families;
    std::vector<std::uint32_t> bands;
    std::vector<std::string> languages;
    double weight_until = 0;  ///< sum of the weights up to and including this entry
  };
  static Result<Entry> MakeEntry(const proto::TaskMix& entry, Split split);

  Split split_ = Split::kTrain;
  std::vector<Entry> entries_;  ///< those with a weight above 0; never empty
};

}  // namespace aha::pipelines
