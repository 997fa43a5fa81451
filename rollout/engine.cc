#include "rollout/engine.h"

#include <algorithm>

#include <ATen/Parallel.h>
#include <ATen/TensorOperators.h>
#include <ATen/ops/log_softmax.h>
#include <ATen/ops/tensor.h>
#include <c10/core/InferenceMode.h>

#include "base/keyed_random.h"
#include "rollout/kv_pool.h"
#include "rollout/sampler.h"

namespace aha::rollout {

// One sample being decoded.
struct Engine::Row {
  std::vector<std::int64_t> pages;
  std::int64_t context = 0;      // tokens whose rows are in the cache
  std::int32_t next = 0;         // drawn, not yet in the cache
  proto::Completion* out = nullptr;
  KeyedRandom random;
  bool finished = false;
};

Engine::Engine(const policy::Policy& policy, const EngineOptions& options) : policy_(policy), options_(options) {}
Engine::~Engine() = default;

Status Engine::Check(const proto::SampleRequest& request) const {
  const auto most_new = static_cast<std::int64_t>(request.sampling().max_new_tokens());
  if (most_new < 1) return Fail(Code::kInvalidArgument, "max_new_tokens is {}, must be at least 1", most_new);
  for (const proto::GroupRequest& group : request.groups()) {
    if (group.prompt_ids().empty()) return Fail(Code::kInvalidArgument, "prompt {} has no tokens", group.prompt_id());
    for (const std::uint32_t id : group.prompt_ids()) {
      if (id < policy_.config().vocab_size) continue;
      return Fail(Code::kInvalidArgument, "prompt {}: token id {} is outside the vocabulary of {}; do tokenizer and model match?",
                  group.prompt_id(), id, policy_.config().vocab_size);
    }
    if (group.prompt_ids_size() + most_new > policy_.config().max_position_embeddings) {
      return Fail(Code::kInvalidArgument, "prompt {}: {} tokens and {} new ones exceed max_position_embeddings {}",
                  group.prompt_id(), group.prompt_ids_size(), most_new, policy_.config().max_position_embeddings);
    }
  }
  return {};
}

Status Engine::ReservePages(const proto::SampleRequest& request) {
  const std::int64_t size = options_.page_tokens;
  std::int64_t needed = 1;
  for (const proto::GroupRequest& group : request.groups()) {
    const std::int64_t prompt = group.prompt_ids_size();
    const std::int64_t whole = prompt + static_cast<std::int64_t>(request.sampling().max_new_tokens());
    const std::int64_t own = (whole + size - 1) / size - prompt / size;
    needed += prompt / size + 1 + own * static_cast<std::int64_t>(group.samples());
  }
  if (pool_ && pool_->pages() >= needed) return {};
  const std::int64_t bytes = needed * policy::KvPageBytes(policy_.config(), size);
  if (bytes > options_.cache_bytes) {
    return Fail(Code::kExhausted, "the cache of {} prompts needs {} MiB, more than the {} MiB allowed; lower prompts_per_unit",
                request.groups_size(), bytes >> 20U, options_.cache_bytes >> 20U);
  }
  pool_ = std::make_unique<KvPool>(policy_.config(), needed, size);
  return {};
}

std::vector<Engine::Row> Engine::Prefill(const proto::SampleRequest& request, proto::SampleReply& reply) {
  // Each prompt once; its last state is where all of its samples start.
  std::vector<std::vector<std::int64_t>> prompt_pages;
  std::vector<policy::CachedSequence> prompts;
  for (const proto::GroupRequest& group : request.groups()) {
    const std::int64_t count = (group.prompt_ids_size() + options_.page_tokens - 1) / options_.page_tokens;
    auto& pages = prompt_pages.emplace_back();
    for (std::int64_t i = 0; i < count; ++i) pages.push_back(pool_->Take());
  }
  std::vector<std::int64_t> last_P;
  std::int64_t end = 0;
  for (int g = 0; g < request.groups_size(); ++g) {
    const auto& ids = request.groups(g).prompt_ids();
    prompts.push_back({{ids.begin(), ids.end()}, 0, &prompt_pages[static_cast<std::size_t>(g)]});
    end += ids.size();
    last_P.push_back(end - 1);
  }
  const policy::RaggedBatch batch = policy::PackCached(prompts, pool_->storage());
  const at::Tensor hidden_TH = policy_.Forward(batch);

  std::vector<Row> rows;
  const KeyedRandom stage(request.seed(), "sample/" + request.stage());
  std::vector<std::int64_t> from;
  for (int g = 0; g < request.groups_size(); ++g) {
    const proto::GroupRequest& group = request.groups(g);
    const auto& pages = prompt_pages[static_cast<std::size_t>(g)];
    const bool partial = group.prompt_ids_size() % options_.page_tokens != 0;
    for (std::uint32_t s = 0; s < group.samples(); ++s) {
      Row row{{}, group.prompt_ids_size(), 0, reply.add_completions(),
              stage.With(group.visit()).With(group.prompt_id()).With(s)};
      proto::SampleKey& key = *row.out->mutable_key();
      key.set_seed(request.seed());
      key.set_stage(request.stage());
      key.set_visit(group.visit());
      key.set_prompt_id(group.prompt_id());
      key.set_sample(s);
      row.out->set_weights_version(request.weights_version());
      for (std::size_t i = 0; i < pages.size(); ++i) {
        const bool copied = partial && i + 1 == pages.size();
        if (!copied) pool_->Share(pages[i]);
        row.pages.push_back(copied ? pool_->Copy(pages[i]) : pages[i]);
      }
      from.push_back(last_P[static_cast<std::size_t>(g)]);
      rows.push_back(std::move(row));
    }
    for (const std::int64_t page : pages) pool_->Release(page);
  }
  const at::Tensor from_B = at::tensor(from, at::kLong);
  Draw(hidden_TH.index_select(0, from_B), rows, request);
  return rows;
}

void Engine::Draw(const at::Tensor& hidden_BH, std::vector<Row>& rows, const proto::SampleRequest& request) const {
  const SamplingRule rule{request.sampling().temperature(), request.sampling().has_top_p() ? request.sampling().top_p() : 1.0,
                          static_cast<std::int64_t>(request.sampling().top_k())};
  at::Tensor logits_BV = policy::kernels::Logits(hidden_BH, policy_.head());
  if (rule.temperature != 0 && rule.temperature != 1) logits_BV = logits_BV / rule.temperature;
  const at::Tensor logprobs_BV = at::log_softmax(logits_BV, -1);
  const auto vocab = static_cast<std::size_t>(logprobs_BV.size(1));
  const auto* data = logprobs_BV.const_data_ptr<float>();
  const auto most_new = static_cast<int>(request.sampling().max_new_tokens());
  at::parallel_for(0, static_cast<std::int64_t>(rows.size()), 8, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t b = begin; b < end; ++b) {
      Row& row = rows[static_cast<std::size_t>(b)];
      const std::span<const float> logprobs(data + static_cast<std::size_t>(b) * vocab, vocab);
      row.next = PickToken(logprobs, row.random.Uniform(static_cast<std::uint64_t>(row.out->ids_size())), rule);
      row.out->add_ids(static_cast<std::uint32_t>(row.next));
      row.out->add_logprobs(logprobs[static_cast<std::size_t>(row.next)]);
      const bool stopped =
          row.next == options_.stop_id || (options_.stop_id >= 0 && policy_.config().ends_sequence(row.next));
      row.finished = stopped || row.out->ids_size() >= most_new;
      if (row.finished) row.out->set_finish(stopped ? proto::FINISH_STOP : proto::FINISH_LENGTH);
    }
  });
}

void Engine::DropFinished(std::vector<Row>& rows) {
  for (const Row& row : rows) {
    if (!row.finished) continue;
    for (const std::int64_t page : row.pages) pool_->Release(page);
  }
  std::erase_if(rows, [](const Row& row) { return row.finished; });
}

Result<proto::SampleReply> Engine::Run(const proto::SampleRequest& request,
                                       const std::function<void(std::int64_t)>& on_tokens) {
  AHA_TRY(Check(request));
  AHA_TRY(ReservePages(request));
  const c10::InferenceMode inference;
  proto::SampleReply reply;
  reply.set_unit(request.unit());
  reply.set_weights_version(request.weights_version());
  if (request.groups().empty()) return reply;
  int total = 0;
  for (const proto::GroupRequest& group : request.groups()) total += static_cast<int>(group.samples());
  reply.mutable_completions()->Reserve(total);
  std::vector<Row> rows = Prefill(request, reply);
  while (true) {
    if (on_tokens) on_tokens(static_cast<std::int64_t>(rows.size()));
    DropFinished(rows);
    if (rows.empty()) return reply;
    std::vector<policy::CachedSequence> step;
    step.reserve(rows.size());
    for (Row& row : rows) {
      if (row.context % options_.page_tokens == 0) row.pages.push_back(pool_->Take());
      step.push_back({{row.next}, row.context, &row.pages});
      ++row.context;
    }
    Draw(policy_.Forward(policy::PackCached(step, pool_->storage())), rows, request);
  }
}

}  // namespace aha::rollout
