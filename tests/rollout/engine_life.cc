#include "tests/rollout/engine_life.h"

#include <cstring>
#include <limits>
#include <map>

#include <fmt/format.h>

namespace aha::rollout {
namespace {

policy::PolicyConfig TinyLatentDense() {
  policy::PolicyConfig c = TinyLatent(policy::NumberType::kBf16, 0);
  c.n_routed_experts = c.n_shared_experts = c.num_experts_per_tok = 0;
  c.first_k_dense_replace = c.num_hidden_layers;
  return c;
}

policy::PolicyConfig TinyGroupedExperts() {
  policy::PolicyConfig c = TinyGrouped();
  c.tie_word_embeddings = false;
  c.family = policy::Family::kQwen3Moe;
  c.qk_norm = true;
  c.n_routed_experts = 8;
  c.num_experts_per_tok = 2;
  c.moe_intermediate_size = 32;
  c.scoring = policy::Scoring::kSoftmax;
  c.selection_bias = false;
  return c;
}

class Letters : public TextDecoder {
 public:
  void Append(std::int32_t id, std::string& bytes) override {
    bytes.push_back(static_cast<char>('a' + id % 26));
  }
};

// Completions of one version and temperature, to be checked together.
struct Batch {
  policy::TargetSequences sequences;
  std::vector<float> drawn_N;     // log-probabilities as the engine drew them
  std::vector<std::size_t> from;  // of each sequence's tokens, those that are of this version
  std::vector<std::size_t> to;
  std::vector<std::uint64_t> ids;  // requests
};

class Life {
 public:
  Life(Subject& subject, std::uint64_t seed)
      : subject_(subject),
        draws_(KeyedRandom(seed, "test/life")),
        // A tied head would spoil every token.
        spoiled_(draws_.Chance(0.25) && !subject.config().tie_word_embeddings),
        cpu_(*policy::cpu::ChooseKernelTarget(), static_cast<int>(draws_.Integer(1, 3))),
        check_cpu_(*policy::cpu::ChooseKernelTarget(), static_cast<int>(draws_.Integer(1, 2))),
        weights_(subject.version(0, spoiled_).Clone(policy::WeightsUse::kInference)) {
    EngineOptions options;
    options.page_tokens = std::size_t{16} << static_cast<unsigned>(draws_.Integer(0, 2));
    options.most_rows = static_cast<std::size_t>(draws_.Integer(1, 40));
    options.prefill_tokens =
        static_cast<std::size_t>(draws_.Integer(1, draws_.Chance(0.5) ? 16 : 200));
    const std::int64_t kind = draws_.Integer(0, 2);
    options.speculation = kind == 0   ? Speculation::kOff
                          : kind == 1 ? Speculation::kLookup
                                      : Speculation::kModule;
    options.drafts = static_cast<std::size_t>(draws_.Integer(1, 4));
    // From what one long request needs to far more than all do.
    const auto pages = static_cast<std::size_t>(draws_.Integer(10, draws_.Chance(0.6) ? 24 : 200));
    engine_ = std::make_unique<Engine>(
        weights_, cpu_,
        WithPages(weights_.config(), pages * 16 / options.page_tokens + 1, options));
    next_id_ = seed * 1000000;
  }

  LifeTally Run(std::size_t steps) {
    for (std::size_t step = 0; step < steps; ++step) {
      Events();
      Advance();
    }
    while (Advance()) {
    }
    FlushAll();
    if (!engine_->idle()) Trouble("the engine is not idle at the end");
    if (!live_.empty()) Trouble(fmt::format("{} requests never ended", live_.size()));
    const EngineTotals t = engine_->totals();
    tally_.lives = 1;
    tally_.steps = t.steps;
    tally_.drawn = t.drawn;
    tally_.preemptions = t.preemptions;
    tally_.drafted = t.drafted;
    tally_.accepted = t.accepted;
    return tally_;
  }

 private:
  bool Advance() {
    const bool more = engine_->Step();
    for (const Outcome& outcome : engine_->TakeOutcomes())
      Take(outcome);
    return more;
  }

  void Trouble(const std::string& what) {
    ++tally_.wrong;
    if (tally_.first_trouble.empty()) tally_.first_trouble = what;
  }

  Request Draw(std::uint64_t id) {
    Request r = MakeRequest(id, weights_.config());
    constexpr float kTemperatures[] = {0, 0.6F, 1, 1, 1.3F};
    r.sampling.temperature = kTemperatures[draws_.Integer(0, 4)];
    if (draws_.Chance(0.2)) {
      r.stop_strings = {"ab", "qq"};
      r.decoder = [] { return std::make_unique<Letters>(); };
    }
    if (!draws_.Chance(0.5))
      std::replace(r.prompt.begin(), r.prompt.end(), Subject::kSpoiledToken, 94);
    if (draws_.Chance(0.05)) {  // cancels itself from within a step
      const std::size_t at = static_cast<std::size_t>(draws_.Integer(0, 20));
      r.on_token = [this, at](const TokenEvent& event) {
        if (event.position == at && engine_->Cancel(event.request)) ++tally_.cancelled;
      };
    }
    return r;
  }

  // What no engine can do; the error that it must give.
  Code Spoil(Request& r) {
    switch (draws_.Integer(0, 6)) {
      case 0:
        r.prompt.clear();
        return Code::kInvalidArgument;
      case 1:
        r.prompt.resize(400, 3);
        return Code::kInvalidArgument;
      case 2:
        r.prompt.front() = -5;
        return Code::kInvalidArgument;
      case 3:
        r.sampling.max_new_tokens = 4000000000;
        return Code::kInvalidArgument;
      case 4:
        r.sampling.temperature = std::numeric_limits<float>::quiet_NaN();
        return Code::kInvalidArgument;
      case 5:
        r.samples = 4000000000;
        return Code::kExhausted;
      default:
        break;
    }
    if (live_.empty()) {
      r.samples = 0;
      return Code::kInvalidArgument;
    }
    r.id = live_.begin()->first;
    return Code::kBusy;
  }

  void Events() {
    if (live_.size() < 30 && draws_.Chance(0.3)) {
      Request request = Draw(next_id_++);
      const bool spoil = draws_.Chance(0.05);
      const Code code = spoil ? Spoil(request) : Code::kExhausted;
      Arrive(std::move(request), spoil, code);
    }
    if (!live_.empty() && draws_.Chance(0.03)) {
      auto victim = live_.begin();
      std::advance(victim, draws_.Integer(0, static_cast<std::int64_t>(live_.size()) - 1));
      if (engine_->Cancel(victim->first)) ++tally_.cancelled;
    }
    if (draws_.Chance(0.01)) {
      weights_.CopyFrom(subject_.version(++version_, spoiled_));
      engine_->SwapWeights(version_);
      ++tally_.swaps;
    }
  }

  // `code`: of its refusal, which a small pool may give to any.
  void Arrive(Request request, bool spoiled, Code code) {
    ++tally_.requests;
    Request copy = request;
    const std::uint64_t id = request.id;
    const Status added = engine_->Add(std::move(request));
    if (added) {
      if (spoiled) Trouble(fmt::format("request {} should have been refused", id));
      live_.insert_or_assign(id, std::move(copy));
      return;
    }
    ++tally_.refused;
    const Code got = added.error().code;
    if (got != code && got != Code::kExhausted) Trouble(added.error().message);
  }

  static bool Bad(std::span<const std::int32_t> ids) {
    return std::find(ids.begin(), ids.end(), Subject::kSpoiledToken) != ids.end();
  }

  // With spoiled weights, a request fails exactly when it goes on after the spoiled token.
  void CheckFailure(const Request& request, const Outcome& outcome) {
    const bool bad_prompt = spoiled_ && Bad(request.prompt);
    bool met = bad_prompt, cancelled = false;
    for (const SampleOutcome& s : outcome.samples) {
      const std::span<const std::int32_t> ids(s.ids);
      met = met || (spoiled_ && Bad(ids));
      cancelled = cancelled || s.finish == Finish::kCancelled;
      if (!ids.empty() && (bad_prompt || (spoiled_ && Bad(ids.first(ids.size() - 1)))))
        Trouble(fmt::format("request {} drew a token from what is not a number", request.id));
      if (!outcome.error && s.finish == Finish::kNone)
        Trouble(fmt::format("request {} has no end", request.id));
    }
    if (!outcome.error) {
      if (bad_prompt && !cancelled) Trouble(fmt::format("request {} should fail", request.id));
      return;
    }
    ++tally_.failed;
    const std::string& message = outcome.error->message;
    if (!met || message.find("after the embedding is not finite") == std::string::npos)
      Trouble(message);
  }

  void Take(const Outcome& outcome) {
    const auto found = live_.find(outcome.id);
    if (found == live_.end()) {
      Trouble(fmt::format("request {} ended twice, or never came", outcome.id));
      return;
    }
    const Request request = std::move(found->second);
    live_.erase(found);
    CheckFailure(request, outcome);
    // What was drawn before the failure is checked all the same.
    for (const SampleOutcome& sample : outcome.samples)
      Keep(request, sample);
  }

  void Keep(const Request& request, const SampleOutcome& sample) {
    const float temperature = request.sampling.temperature == 0 ? 1 : request.sampling.temperature;
    // A whole pass reads every token, and attention of those before a spoiled one reads it too.
    const bool bad_end = spoiled_ && !sample.ids.empty() && Bad({&sample.ids.back(), 1});
    const std::size_t count = sample.ids.size() - (bad_end ? 1 : 0);
    for (std::size_t r = 0; r < sample.versions.size(); ++r) {
      const std::size_t end = r + 1 < sample.versions.size() ? sample.versions[r + 1].first : count;
      if (end <= sample.versions[r].first) continue;
      Batch& batch = batches_[{sample.versions[r].version % Subject::kVersions, temperature}];
      auto& ids = batch.sequences.ids_S.emplace_back(request.prompt);
      ids.insert(ids.end(), sample.ids.begin(),
                 sample.ids.begin() + static_cast<std::ptrdiff_t>(count));
      batch.sequences.first_S.push_back(static_cast<std::int64_t>(request.prompt.size()));
      batch.drawn_N.insert(batch.drawn_N.end(), sample.logprobs.begin(),
                           sample.logprobs.begin() + static_cast<std::ptrdiff_t>(count));
      batch.from.push_back(sample.versions[r].first);
      batch.to.push_back(end);
      batch.ids.push_back(request.id);
      if (batch.ids.size() < 12) continue;
      Flush(sample.versions[r].version % Subject::kVersions, temperature, batch);
    }
  }

  void FlushAll() {
    for (auto& [key, batch] : batches_)
      Flush(key.first, key.second, batch);
  }

  void Flush(std::uint64_t version, float temperature, Batch& batch) {
    if (batch.ids.empty()) return;
    policy::Weights& weights = subject_.version(version, spoiled_);
    policy::TargetLogprobs learner(weights, check_cpu_);
    tally_.compared += Compare(batch, learner.Of(batch.sequences, temperature));
    policy::Update update(weights, check_cpu_, {}, 0);
    const auto slopes = [&](const policy::Targets&, std::span<const float> logprob_N,
                            std::span<const float>) -> Result<std::vector<float>> {
      tally_.trained += Compare(batch, logprob_N);
      return std::vector<float>(logprob_N.size(), 0.0F);
    };
    if (!update.Add(batch.sequences, temperature, true, {}, slopes)) Trouble("Update::Add");
    batch = {};
  }

  // How many tokens it compared.
  std::size_t Compare(const Batch& batch, std::span<const float> want_N) {
    std::size_t n = 0, compared = 0;
    for (std::size_t s = 0; s < batch.ids.size(); ++s) {
      const std::size_t tokens =
          batch.sequences.ids_S[s].size() - static_cast<std::size_t>(batch.sequences.first_S[s]);
      for (std::size_t t = 0; t < tokens; ++t, ++n) {
        if (t < batch.from[s] || t >= batch.to[s]) continue;
        ++compared;
        if (std::memcmp(&batch.drawn_N[n], &want_N[n], sizeof(float)) == 0) continue;
        ++tally_.differing;
        if (tally_.first_trouble.empty())
          tally_.first_trouble = fmt::format("request {}, token {}: {} drawn, {} by the whole pass",
                                             batch.ids[s], t, batch.drawn_N[n], want_N[n]);
      }
    }
    return compared;
  }

  Subject& subject_;
  DrawSequence draws_;
  bool spoiled_;
  policy::cpu::Cpu cpu_, check_cpu_;
  policy::Weights weights_;
  std::unique_ptr<Engine> engine_;
  std::map<std::uint64_t, Request> live_;
  std::map<std::pair<std::uint64_t, float>, Batch> batches_;  // by version and temperature
  std::uint64_t next_id_ = 0, version_ = 0;
  LifeTally tally_;
};

}  // namespace

void LifeTally::Add(const LifeTally& other) {
  lives += other.lives, steps += other.steps, requests += other.requests;
  refused += other.refused, cancelled += other.cancelled, failed += other.failed;
  swaps += other.swaps, preemptions += other.preemptions;
  drafted += other.drafted, accepted += other.accepted, drawn += other.drawn;
  compared += other.compared, trained += other.trained;
  differing += other.differing, wrong += other.wrong;
  if (first_trouble.empty()) first_trouble = other.first_trouble;
}

Subject::Subject(std::string name, const policy::PolicyConfig& config) : name_(std::move(name)) {
  for (std::uint64_t v = 0; v < kVersions; ++v) {
    versions_.push_back(policy::Weights::Initial(config, KeyedRandom(v, "test/subject")));
    spoiled_.push_back(versions_.back().Clone(policy::WeightsUse::kTraining));
    policy::Weights& weights = spoiled_.back();
    const std::size_t t = weights.IndexOf("model.embed_tokens.weight").value();
    const std::vector<float> nan(weights.tensors()[t].columns,
                                 std::numeric_limits<float>::quiet_NaN());
    weights.Write(t, kSpoiledToken, policy::cpu::Rows<const float>(nan.data(), 1, nan.size()));
  }
}

std::vector<Subject> Subject::All() {
  std::vector<Subject> all;
  all.emplace_back("grouped, dense", TinyGrouped());
  all.emplace_back("grouped, experts", TinyGroupedExperts());
  all.emplace_back("latent, dense", TinyLatentDense());
  all.emplace_back("latent, experts, MTP", TinyLatent());
  all.emplace_back("latent, experts, MTP, fp32", TinyLatent(policy::NumberType::kFp32));
  return all;
}

LifeTally Live(Subject& subject, std::uint64_t seed, std::size_t steps) {
  return Life(subject, seed).Run(steps);
}

}  // namespace aha::rollout
