#include "rollout/engine.h"

#include <algorithm>
#include <cmath>

#include "base/keyed_random.h"
#include "rollout/kv_pool.h"
#include "rollout/sampler.h"

namespace aha::rollout {

// One sample being decoded.
struct Engine::Row {
  std::vector<std::int32_t> pages;
  std::int64_t context = 0;      // tokens whose rows are in the cache
  std::int32_t next = 0;         // drawn, not yet in the cache
  proto::Completion* out = nullptr;
  KeyedRandom random;
  bool finished = false;
};

Engine::Engine(const policy::Weights& weights, const policy::cpu::Cpu& cpu, const EngineOptions& options)
    : config_(weights.config()), pass_(weights, cpu), head_(weights, cpu), options_(options) {}
Engine::~Engine() = default;

Status Engine::Check(const proto::SampleRequest& request) const {
  const auto most_new = static_cast<std::int64_t>(request.sampling().max_new_tokens());
  if (most_new < 1) return Fail(Code::kInvalidArgument, "max_new_tokens is {}, must be at least 1", most_new);
  for (const proto::GroupRequest& group : request.groups()) {
    if (group.prompt_ids().empty()) return Fail(Code::kInvalidArgument, "prompt {} has no tokens", group.prompt_id());
    for (const std::uint32_t id : group.prompt_ids()) {
      if (id < config_.vocab_size) continue;
      return Fail(Code::kInvalidArgument, "prompt {}: token id {} is outside the vocabulary of {}; do tokenizer and model match?",
                  group.prompt_id(), id, config_.vocab_size);
    }
    if (group.prompt_ids_size() + most_new > config_.max_position_embeddings) {
      return Fail(Code::kInvalidArgument, "prompt {}: {} tokens and {} new ones exceed max_position_embeddings {}",
                  group.prompt_id(), group.prompt_ids_size(), most_new, config_.max_position_embeddings);
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
  const std::int64_t bytes = needed * static_cast<std::int64_t>(policy::KvPool::PageBytes(config_, static_cast<std::size_t>(size)));
  if (bytes > options_.cache_bytes) {
    return Fail(Code::kExhausted, "the cache of {} prompts needs {} MiB, more than the {} MiB allowed; lower prompts_per_unit",
                request.groups_size(), bytes >> 20U, options_.cache_bytes >> 20U);
  }
  pool_ = std::make_unique<KvPool>(config_, static_cast<std::int32_t>(needed), static_cast<std::int32_t>(size));
  return {};
}

std::vector<Engine::Row> Engine::Prefill(const proto::SampleRequest& request, proto::SampleReply& reply) {
  // Each prompt once; its last state is where all of its samples start.
  std::vector<std::vector<std::int32_t>> prompt_pages;
  std::vector<std::vector<std::int32_t>> prompt_ids;
  std::vector<policy::SequenceTokens> prompts;
  for (const proto::GroupRequest& group : request.groups()) {
    const std::int64_t count = (group.prompt_ids_size() + options_.page_tokens - 1) / options_.page_tokens;
    auto& pages = prompt_pages.emplace_back();
    for (std::int64_t i = 0; i < count; ++i) pages.push_back(pool_->Take());
  }
  std::vector<std::int32_t> last_P;
  std::int32_t end = 0;
  for (const proto::GroupRequest& group : request.groups()) {
    prompt_ids.emplace_back(group.prompt_ids().begin(), group.prompt_ids().end());
    end += group.prompt_ids_size();
    last_P.push_back(end - 1);
  }
  for (std::size_t g = 0; g < prompt_ids.size(); ++g) prompts.push_back({prompt_ids[g], 0, prompt_pages[g]});
  const policy::Hidden hidden = pass_.Forward({prompts, &pool_->storage()});

  std::vector<Row> rows;
  const KeyedRandom stage(request.seed(), "sample/" + request.stage());
  std::vector<std::int32_t> from;
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
    for (const std::int32_t page : pages) pool_->Release(page);
  }
  Draw(hidden, from, rows, request);
  return rows;
}

void Engine::Draw(const policy::Hidden& hidden, const std::vector<std::int32_t>& row_B, std::vector<Row>& rows, const proto::SampleRequest& request) {
  const SamplingRule rule{request.sampling().temperature(), request.sampling().has_top_p() ? request.sampling().top_p() : 1.0,
                          static_cast<std::int64_t>(request.sampling().top_k())};
  const auto draw_of = [](const Row& row) { return row.random.Uniform(static_cast<std::uint64_t>(row.out->ids_size())); };
  std::vector<policy::cpu::SampledToken> drawn(rows.size());
  if (rule.temperature == 0 || (rule.top_k <= 0 && rule.top_p >= 1)) {
    std::vector<policy::cpu::SampleRequest> requests;
    for (const Row& row : rows) requests.push_back({static_cast<float>(rule.temperature), draw_of(row)});
    head_.Sample(hidden, row_B, requests, drawn);
  } else {
    DrawFromSome(hidden, row_B, rule, rows, drawn);
  }
  const auto most_new = static_cast<int>(request.sampling().max_new_tokens());
  for (std::size_t b = 0; b < rows.size(); ++b) {
    Row& row = rows[b];
    row.next = drawn[b].token;
    row.out->add_ids(static_cast<std::uint32_t>(row.next));
    row.out->add_logprobs(drawn[b].logprob);
    const bool stopped = std::find(options_.stop_ids.begin(), options_.stop_ids.end(), row.next) != options_.stop_ids.end();
    row.finished = stopped || row.out->ids_size() >= most_new;
    if (row.finished) row.out->set_finish(stopped ? proto::FINISH_STOP : proto::FINISH_LENGTH);
  }
}

void Engine::DrawFromSome(const policy::Hidden& hidden, const std::vector<std::int32_t>& row_B, const SamplingRule& rule, const std::vector<Row>& rows,
                          std::vector<policy::cpu::SampledToken>& drawn) {
  const auto vocab = static_cast<std::size_t>(config_.vocab_size);
  std::vector<float> logits(vocab);
  for (std::size_t b = 0; b < rows.size(); ++b) {
    const std::span<const std::int32_t> row(&row_B[b], 1);
    head_.Logits(hidden, row, policy::cpu::Rows<float>(logits.data(), 1, vocab));
    const double most = *std::max_element(logits.begin(), logits.end());
    double sum = 0;
    for (const float l : logits) sum += std::exp((l - most) / rule.temperature);
    for (float& l : logits) l = static_cast<float>((l - most) / rule.temperature - std::log(sum));
    drawn[b].token = PickToken(logits, rows[b].random.Uniform(static_cast<std::uint64_t>(rows[b].out->ids_size())), rule);
    head_.Logprobs(hidden, row, std::span(&drawn[b].token, 1), static_cast<float>(rule.temperature), std::span(&drawn[b].logprob, 1));
  }
}

void Engine::DropFinished(std::vector<Row>& rows) {
  for (const Row& row : rows) {
    if (!row.finished) continue;
    for (const std::int32_t page : row.pages) pool_->Release(page);
  }
  std::erase_if(rows, [](const Row& row) { return row.finished; });
}

Result<proto::SampleReply> Engine::Run(const proto::SampleRequest& request,
                                       const std::function<void(std::int64_t)>& on_tokens,
                                       const std::function<void(const proto::SampleReply&)>& on_step) {
  AHA_TRY(Check(request));
  AHA_TRY(ReservePages(request));
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
    if (on_step) on_step(reply);
    DropFinished(rows);
    if (rows.empty()) return reply;
    std::vector<policy::SequenceTokens> step;
    std::vector<std::int32_t> places;
    step.reserve(rows.size());
    for (Row& row : rows) {
      if (row.context % options_.page_tokens == 0) row.pages.push_back(pool_->Take());
      places.push_back(static_cast<std::int32_t>(step.size()));
      step.push_back({std::span(&row.next, 1), static_cast<std::size_t>(row.context), row.pages});
      ++row.context;
    }
    Draw(pass_.Forward({step, &pool_->storage()}), places, rows, request);
  }
}

}  // namespace aha::rollout
