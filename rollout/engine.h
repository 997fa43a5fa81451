#pragma once
/// The rollout engine: many requests at once over one paged cache. Rows join and leave the batch at
/// every step; what a request gives depends on itself and the weights alone, never on its company.

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <unordered_map>
#include <vector>

#include "base/result.h"
#include "policy/model/head.h"
#include "policy/model/pass.h"
#include "proto/rollout.pb.h"
#include "rollout/request.h"
#include "rollout/scheduler.h"
#include "rollout/speculative.h"

namespace aha::rollout {

struct EngineOptions {
  std::vector<std::int32_t> stop_ids{};  ///< of Run's requests; none: length alone ends them
  /// Most memory for the cache. It is made at the first request and never grows; smaller when
  /// most_rows rows of all positions need less.
  std::size_t cache_bytes = std::size_t{2} << 30U;
  std::size_t page_tokens = policy::KvPool::kPageTokens;
  std::size_t most_rows = 256;       ///< decoded in one step
  std::size_t prefill_tokens = 512;  ///< of prompts in one step, beside the decoding rows' tokens
  Speculation speculation = Speculation::kOff;      ///< kModule is kOff for a policy without one
  std::size_t drafts = 1;                           ///< tokens guessed a step
  std::size_t most_queued = std::size_t{1} << 20U;  ///< samples
};

/// Who hears of a message's progress; each may be empty.
struct UnitHooks {
  std::function<void(std::int64_t)> on_tokens = {};      ///< how many each step drew
  std::function<void(const TokenEvent&)> on_token = {};  ///< `request` counts groups from 0
  std::function<void(std::size_t)> on_unit = {};         ///< which message is done
};

/// Counted since the engine was made.
struct EngineTotals {
  std::uint64_t steps = 0;
  std::uint64_t forward_tokens = 0;  ///< through the trunk, recomputed ones and drafts included
  std::uint64_t drawn = 0;           ///< tokens of completions
  std::uint64_t drafted = 0, accepted = 0;
  std::uint64_t preemptions = 0;
  std::size_t most_pages = 0;                   ///< of the cache, in use at once
  double trunk_s = 0, head_s = 0, draft_s = 0;  ///< seconds in forward passes, draws and guesses
};

/// Not thread-safe: one thread calls it. Kernels run on all threads of the Cpu.
class Engine {
 public:
  /// Both are borrowed. Weights change only between calls, and SwapWeights says so.
  Engine(const policy::Weights& weights, const policy::cpu::Cpu& cpu, const EngineOptions& options);
  ~Engine();
  Engine(const Engine&) = delete;
  Engine& operator=(const Engine&) = delete;

  /// Queues a request. Errors, of this request alone: kInvalidArgument for what cannot be computed
  /// (prompt, limits, ids, sampling; or by such an engine, with options that let nothing run);
  /// kBusy for an id that is under way; kExhausted when the cache cannot hold one sample, or too
  /// much is queued.
  Status Add(Request request);
  /// The request ends with the next step, its samples as far as they got. False: no such id.
  bool Cancel(std::uint64_t id);
  /// The weights have changed in place; tokens drawn from now on are of `version`, over keys and
  /// values of `version` alone: those of live rows are computed again.
  void SwapWeights(std::uint64_t version);

  /// Computes one batch and draws a token or more of each row in it. False: nothing left to do.
  bool Step();
  /// Requests that are over since the last call, in the order of their ends.
  std::vector<Outcome> TakeOutcomes();

  [[nodiscard]] bool idle() const { return groups_.empty(); }
  [[nodiscard]] EngineTotals totals() const;
  [[nodiscard]] std::uint64_t weights_version() const { return version_; }

  /// All groups of a message; the engine must be idle. Completions come groups in the message's
  /// order, samples inside. Draw `position` of a sample is keyed by (seed, stage, visit, prompt id,
  /// sample, position). Errors: as Add's, the first of any group.
  Result<proto::SampleReply> Run(const proto::SampleRequest& unit, const UnitHooks& hooks = {});
  /// Many messages of one weights version, all at once; replies in their order.
  Result<std::vector<proto::SampleReply>> RunAll(std::span<const proto::SampleRequest> units,
                                                 const UnitHooks& hooks = {});

 private:
  struct Drawing {
    Row* row;
    std::size_t part;    // of the plan, or none: the row is fresh
    std::size_t offset;  // drafts before it
  };
  static constexpr std::size_t kNoPart = static_cast<std::size_t>(-1);

  struct UnitBoard;
  Status AddUnits(UnitBoard& board, const UnitHooks& hooks);
  Status CheckOptions() const;
  void MakeCache();
  void EndCancelled();
  void RunTrunk(const Plan& plan);
  void NoteCached(const Plan& plan);
  void FinishPrompt(Group& group, const std::byte* last);
  void CatchNotFinite(const Plan& plan);
  void Draw(const Plan& plan);
  void AddDrawing(Row& row, std::size_t part, std::size_t offset, const std::byte* state);
  void Take(const Plan& plan);
  bool TakeToken(Row& row, const policy::cpu::SampledToken& token);
  void SpeculateNext(const Plan& plan);
  void Close(const Plan& plan);
  void CloseGroup(Group& group);

  const policy::Weights& weights_;
  const policy::cpu::Cpu& cpu_;
  EngineOptions options_;
  std::uint64_t version_ = 0;
  policy::Pass pass_;
  policy::Head head_;
  std::unique_ptr<Scheduler> scheduler_;
  std::unique_ptr<ModuleDrafter> module_;
  std::unordered_map<std::uint64_t, std::unique_ptr<Group>> groups_;
  std::vector<Group*> cancelled_;
  std::vector<Outcome> outcomes_;
  EngineTotals totals_;

  // Of one step; kept for their memory.
  std::vector<std::int32_t> ids_;
  std::vector<std::size_t> starts_;
  std::vector<policy::SequenceTokens> sequences_;
  policy::Hidden hidden_;
  StateRows states_;
  std::vector<Drawing> drawings_;
  std::vector<std::int32_t> rows_;
  std::vector<policy::cpu::SampleRequest> draws_;
  std::vector<policy::cpu::SampledToken> drawn_;
  std::vector<Row*> fresh_, done_;
};

}  // namespace aha::rollout
