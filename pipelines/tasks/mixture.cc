#include "pipelines/tasks/mixture.h"

#include <algorithm>
#include <cmath>

namespace aha::pipelines {
namespace {

// Positions of the draws that choose the kind of a problem; its content has a coordinate of its
// own.
enum : std::uint64_t { kEntry, kFamily, kBand, kLanguage, kContent };

template <class T>
const T& PickOne(const std::vector<T>& choices, KeyedRandom random, std::uint64_t position) {
  const std::int64_t last = std::ssize(choices) - 1;
  return choices[static_cast<std::size_t>(random.Integer(position, 0, last))];
}

}  // namespace

Result<Mixture::Entry> Mixture::MakeEntry(const proto::TaskMix& entry, Split split) {
  Entry made;
  AHA_ASSIGN(made.families, FamiliesNamed(entry.family()));
  made.bands.assign(entry.band().begin(), entry.band().end());
  made.languages.assign(entry.language().begin(), entry.language().end());
  if (made.bands.empty()) made.bands = {1, 2};
  if (made.languages.empty()) made.languages = {"en", "zh"};
  for (const std::uint32_t band : made.bands) {
    AHA_TRY(CheckTaskSpec({made.families[0], band, made.languages[0]}, split));
  }
  for (const std::string& language : made.languages) {
    AHA_TRY(CheckTaskSpec({made.families[0], made.bands[0], language}, split));
  }
  if (!std::isfinite(entry.weight()) || entry.weight() < 0) {
    return Fail(Code::kInvalidArgument, "weight {}: give a finite number from 0", entry.weight());
  }
  return made;
}

Result<Mixture> Mixture::Make(const google::protobuf::RepeatedPtrField<proto::TaskMix>& entries,
                              Split split) {
  if (entries.empty()) {
    return Fail(Code::kInvalidArgument,
                "task: none given, add for example task {{ family: \"chain\" }}");
  }
  Mixture mixture;
  mixture.split_ = split;
  double total = 0;
  for (int i = 0; i < entries.size(); ++i) {
    Result<Entry> entry = MakeEntry(entries[i], split);
    if (!entry) return Within(std::move(entry).error(), "task {} ({})", i + 1, entries[i].family());
    if (entries[i].weight() == 0) continue;
    total += entries[i].weight();
    entry->weight_until = total;
    mixture.entries_.push_back(std::move(*entry));
  }
  if (mixture.entries_.empty() || !std::isfinite(total)) {
    return Fail(Code::kInvalidArgument, "task: the weights add up to {}, give at least one above 0",
                total);
  }
  return mixture;
}

Result<Problem> Mixture::Draw(std::uint64_t k, KeyedRandom random) const {
  const KeyedRandom key = random.With(k);
  const double point = key.Uniform(kEntry) * entries_.back().weight_until;
  const auto found = std::find_if(entries_.begin(), entries_.end() - 1,
                                  [&](const Entry& entry) { return point < entry.weight_until; });
  const TaskSpec spec = {PickOne(found->families, key, kFamily), PickOne(found->bands, key, kBand),
                         PickOne(found->languages, key, kLanguage)};
  return MakeProblem(spec, split_, key.With(kContent));
}

}  // namespace aha::pipelines
