#pragma once
/// The rollout engine: groups of completions for prompts, decoded together over a paged latent cache.

#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "base/result.h"
#include "policy/model/policy.h"
#include "proto/rollout.pb.h"

namespace aha::rollout {

class KvPool;

struct EngineOptions {
  std::int64_t page_tokens = 16;
  /// End of sequence, beside those that the policy's config lists; -1: completions end by length alone.
  std::int32_t stop_id = -1;
  std::int64_t cache_bytes = std::int64_t{2} << 30U;  ///< most memory for the cache
};

/// Samples with one policy. The policy is borrowed, and its weights may change between calls; the
/// cache does not outlive a call. Not thread-safe.
class Engine {
 public:
  Engine(const policy::Policy& policy, const EngineOptions& options);
  ~Engine();
  Engine(const Engine&) = delete;
  Engine& operator=(const Engine&) = delete;

  /// Decodes one unit of work as one batch: what it returns depends on the request and the weights
  /// alone. Completions come groups in request order, samples inside. Draw `position` of a sample
  /// is keyed by (seed, stage, visit, prompt id, sample index, position).
  /// Errors: kInvalidArgument for a prompt that is empty, holds ids outside the vocabulary or is too
  /// long for the model with max_new_tokens; kExhausted when the unit's cache exceeds cache_bytes.
  /// `on_tokens` hears how many tokens each decoding step added.
  Result<proto::SampleReply> Run(const proto::SampleRequest& request,
                                 const std::function<void(std::int64_t)>& on_tokens = {});

 private:
  struct Row;
  Status Check(const proto::SampleRequest& request) const;
  Status ReservePages(const proto::SampleRequest& request);
  std::vector<Row> Prefill(const proto::SampleRequest& request, proto::SampleReply& reply);
  void Draw(const at::Tensor& hidden_BH, std::vector<Row>& rows, const proto::SampleRequest& request) const;
  void DropFinished(std::vector<Row>& rows);

  const policy::Policy& policy_;
  EngineOptions options_;
  std::unique_ptr<KvPool> pool_;
};

}  // namespace aha::rollout
