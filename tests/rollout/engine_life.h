#pragma once
/// Lives of an engine under random load, each drawn from a seed: its architecture's weights, its
/// options, arrivals, cancels, refusals, weight swaps. Whatever comes out is held against passes
/// over whole sequences: the learner's, and the one that gradients are taken through.

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "policy/training/update.h"
#include "tests/rollout/engine_fixture.h"

namespace aha::rollout {

/// What happened in one life or many.
struct LifeTally {
  std::size_t lives = 0, steps = 0, requests = 0, refused = 0, cancelled = 0, failed = 0, swaps = 0;
  std::size_t preemptions = 0, drafted = 0, accepted = 0;
  std::size_t drawn = 0;
  std::size_t compared = 0;  ///< tokens, with TargetLogprobs over the whole sequence
  std::size_t trained = 0;   ///< of those, also with the forward pass of Update::Add
  std::size_t differing = 0;
  std::size_t wrong = 0;      ///< outcomes that should not have been
  std::string first_trouble;  ///< of differing and wrong

  void Add(const LifeTally& other);
  [[nodiscard]] bool good() const { return differing == 0 && wrong == 0 && compared > 0; }
};

/// One architecture and several versions of its weights.
class Subject {
 public:
  static constexpr std::uint64_t kVersions = 3;
  /// In every version of the spoiled weights, this token's embedding is not a number.
  static constexpr std::int32_t kSpoiledToken = 95;

  Subject(std::string name, const policy::PolicyConfig& config);
  /// Latent and grouped attention, dense and of experts, bf16 and fp32.
  static std::vector<Subject> All();

  [[nodiscard]] const std::string& name() const { return name_; }
  [[nodiscard]] const policy::PolicyConfig& config() const { return versions_.front().config(); }
  [[nodiscard]] policy::Weights& version(std::uint64_t v, bool spoiled) {
    return (spoiled ? spoiled_ : versions_)[v % kVersions];
  }

 private:
  std::string name_;
  std::vector<policy::Weights> versions_, spoiled_;  // for training
};

/// One life: an engine with options drawn from `seed`, `steps` steps with arrivals, then until all
/// is done.
LifeTally Live(Subject& subject, std::uint64_t seed, std::size_t steps);

}  // namespace aha::rollout
