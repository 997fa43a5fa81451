#pragma once
/// The interface of every verifier, built in or loaded. A verifier sees text, never a model.

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/deadline.h"
#include "proto/rewards.pb.h"

namespace aha::rewards {

/// One completion to judge. Views are borrowed until Score returns; `completion` and `prompt` may
/// hold any bytes, also such as are not UTF-8.
struct ScoreInput {
  std::string_view id;
  std::string_view prompt;      ///< the question as asked, without the chat template
  std::string_view completion;  ///< without the end-of-sequence token
  std::string_view reference;   ///< what to compare with; may be empty
  std::string_view language;    ///< of the question: "en", "zh", ...
  std::uint32_t tokens = 0;     ///< length of the completion in tokens
  bool truncated = false;       ///< stopped by the length limit
};

/// Law 5: what is the completion's own fault is a score; what is the verifier's, the reference's or
/// the machinery's is a failure, and never becomes reward 0.
using Outcome = proto::Outcome;

/// A verdict. `reason` says in a word or a line why it is this score ("no_words", "tag order").
Outcome Scored(double score, std::string_view reason = {});
/// No verdict. Bytes of `reason` and `detail` that are not UTF-8 become U+FFFD here: the wire
/// refuses them otherwise.
Outcome Failed(proto::Failure::Kind kind, std::string_view detail);

/// One thing that a verifier found on its way to a verdict, for people: ("extracted", "42").
struct Finding {
  std::string name;
  std::string text;
};

/// Where the service scores with a reward, so that slow ones never starve quick ones.
enum class Lane : std::uint8_t {
  kThread,   ///< pure: it computes on the calling thread and comes back soon
  kProcess,  ///< it waits for a process (a sandbox, an isolated plug-in): bounded slots of their
             ///< own
  kBatch,    ///< a model: takes many completions at once (BatchReward), one batch at a time
};
inline constexpr int kLanes = 3;
/// Adds a fact about a verdict or a failure: `aha score` writes it as a field of its own.
void AddNote(std::string_view name, std::string_view value, Outcome* outcome);

/// What is wrong with the steps of an outcome on a completion of so many bytes; empty: nothing.
/// Steps stand beside a score, have finite scores, and their ends rise from 1 to `bytes` at most.
std::string FaultOfSteps(const Outcome& outcome, std::uint64_t bytes);

/// A verifier with its configuration applied.
class Reward {
 public:
  Reward() = default;
  Reward(const Reward&) = delete;
  Reward& operator=(const Reward&) = delete;
  virtual ~Reward() = default;

  /// Judges one completion. Called from many threads at once. Should not throw; what it throws is a
  /// CRASH failure by way of ScoreSafely.
  [[nodiscard]] virtual Outcome Score(const ScoreInput& input) const = 0;

  /// How it comes to its verdict on this input. Nothing, where a verifier has no more to say than
  /// Score.
  [[nodiscard]] virtual std::vector<Finding> Explain(const ScoreInput& input) const {
    static_cast<void>(input);
    return {};
  }
};

/// A scalar model as a reward: scores many completions in one go. Its info's lane is kBatch.
class BatchReward : public Reward {
 public:
  /// One outcome an input, in order. `deadline` is the earlier of the request's and the reward's
  /// own
  /// (`RewardInfo::batch_deadline`); what is not scored by then is a TIMEOUT failure, set by the
  /// model or, when it comes back too late, by the service. Called from one thread at a time.
  [[nodiscard]] virtual std::vector<Outcome> ScoreBatch(std::span<const ScoreInput> inputs,
                                                        Deadline deadline) const = 0;
  /// A batch of one, without a deadline to speak of: for `aha score`.
  [[nodiscard]] Outcome Score(const ScoreInput& input) const override;
};

/// ScoreBatch with the edges guarded like ScoreSafely's: always one outcome an input.
std::vector<Outcome> ScoreBatchSafely(const BatchReward& reward,
                                      std::span<const ScoreInput> inputs,
                                      Deadline deadline);

/// Score with the edges guarded: an exception becomes CRASH, NaN and infinity NOT_FINITE, an empty
/// outcome CRASH, and `ms` is the time taken. Never throws. Everybody who scores calls this.
Outcome ScoreSafely(const Reward& reward, const ScoreInput& input);

}  // namespace aha::rewards
