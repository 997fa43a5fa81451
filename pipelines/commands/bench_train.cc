// aha bench --train and --grpo.

#include "pipelines/commands/bench_train.h"

#include <time.h>

#include <algorithm>
#include <array>
#include <memory>
#include <set>
#include <vector>

#include "base/peak_memory.h"
#include "grpo/advantage.h"
#include "grpo/learner.h"
#include "pipelines/commands/command.h"
#include "pipelines/stages/run_recipe.h"
#include "policy/checkpoint/checkpoint.h"
#include "policy/kernels/cpu/machine_peak.h"
#include "rollout/engine.h"
#include "sft/trainer.h"

namespace aha::pipelines {
namespace {

using policy::cpu::Work;

constexpr double kRate = 1e-6;  // of learning: small, so that steps stay alike

// One thread measures its own time: other programs' work does not count. Several measure the
// wall's.
class Stopwatch {
 public:
  explicit Stopwatch(int threads)
      : clock_(threads == 1 ? CLOCK_THREAD_CPUTIME_ID : CLOCK_MONOTONIC),
        start_(Now(clock_)),
        wall_(Now(CLOCK_MONOTONIC)) {}
  [[nodiscard]] double seconds() const { return Now(clock_) - start_; }
  [[nodiscard]] double wall() const { return Now(CLOCK_MONOTONIC) - wall_; }

 private:
  static double Now(clockid_t clock) {
    timespec now{};
    clock_gettime(clock, &now);
    return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) * 1e-9;
  }
  clockid_t clock_;
  double start_, wall_;
};

double Median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return (values[values.size() / 2] + values[(values.size() - 1) / 2]) / 2;
}

double PeakRssMb() {
  return static_cast<double>(PeakMemoryBytes()) / (1 << 20);
}

struct NamedWork {
  Work work;
  const char* name;
};
constexpr std::array kWorks = {NamedWork{Work::kNorm, "forward/norms"},
                               NamedWork{Work::kProjections, "forward/projections"},
                               NamedWork{Work::kAttention, "forward/attention"},
                               NamedWork{Work::kNetwork, "forward/network"},
                               NamedWork{Work::kExperts, "forward/experts"},
                               NamedWork{Work::kRouter, "forward/router"},
                               NamedWork{Work::kHead, "forward/head"},
                               NamedWork{Work::kInputGradient, "backward/inputs"},
                               NamedWork{Work::kWeightGradient, "backward/weights"},
                               NamedWork{Work::kAttentionGradient, "backward/attention"},
                               NamedWork{Work::kHeadGradient, "backward/head"},
                               NamedWork{Work::kClip, "clip"},
                               NamedWork{Work::kOptimizer, "optimizer"},
                               NamedWork{Work::kClear, "clear"},
                               NamedWork{Work::kOther, "other"}};
bool OfOptimizer(Work work) {
  return work == Work::kClip || work == Work::kOptimizer || work == Work::kClear;
}

std::vector<std::int32_t> RandomIds(const policy::PolicyConfig& config,
                                    std::uint64_t key,
                                    std::uint32_t count) {
  const KeyedRandom random = KeyedRandom(1, "bench").With(key);
  std::vector<std::int32_t> ids;
  for (std::uint32_t i = 0; i < count; ++i)
    ids.push_back(static_cast<std::int32_t>(random.Integer(i, 0, config.vocab_size - 1)));
  return ids;
}

// Arithmetic of an update that any way of doing it needs: each weight that a token meets takes a
// multiply and an add forward and two of each backward, and so does each pair of positions in
// attention. Nothing for what is computed again.
double FlopsOf(const policy::PolicyConfig& c, double sequences, double length) {
  const policy::ParameterCount count = policy::CountParameters(c);
  const std::int64_t table = c.tie_word_embeddings ? 0 : c.vocab_size * c.hidden_size;
  const std::int64_t pair = c.attention == policy::AttentionKind::kLatent
                                ? c.qk_head_dim() + c.v_head_dim
                                : 2 * c.head_dim;
  const double products =
      6.0 * static_cast<double>(count.active + count.mtp - table) * sequences * length;
  const double attention = 6.0 *
                           static_cast<double>(pair * c.num_attention_heads * c.num_hidden_layers) *
                           sequences * length * (length + 1) / 2;
  return products + attention;
}

policy::AdamWOptions AdamWOf(const TrainBenchOptions& o) {
  policy::AdamWOptions options;
  if (o.bf16_moments) options.moments = policy::Moments::kBf16;
  return options;
}

struct Setup {
  std::unique_ptr<policy::cpu::Cpu> cpu;
  policy::Weights weights;
  double peak_gflops = 0;  // of the policy's number type
};

Result<Setup> Prepare(const TrainBenchOptions& o) {
  AHA_ASSIGN(const policy::cpu::KernelTarget target, policy::cpu::ChooseKernelTarget());
  auto cpu = std::make_unique<policy::cpu::Cpu>(target, WorkThreads(o.threads));
  AHA_ASSIGN(policy::Weights weights,
             policy::LoadWeights(o.folder, {}, policy::WeightsUse::kTraining));
  const policy::cpu::MachinePeak peak = policy::cpu::MeasurePeak(cpu->threads());
  const bool bf16 = weights.config().dtype == policy::NumberType::kBf16;
  PrintLine(fmt::format("{} thread(s), {}, {}: {}", cpu->threads(),
                        policy::cpu::KernelTargetName(target), bf16 ? "bf16" : "fp32",
                        policy::cpu::Describe(peak)));
  return Setup{std::move(cpu), std::move(weights), bf16 ? peak.bf16_gflops : peak.fp32_gflops};
}

std::vector<sft::Example> RandomExamples(const TrainBenchOptions& o,
                                         const policy::PolicyConfig& config) {
  std::vector<sft::Example> batch;
  for (std::uint32_t s = 0; s < o.batch; ++s) {
    sft::Example& example = batch.emplace_back();
    example.ids = RandomIds(config, s, o.length);
    example.loss_from = 1;
  }
  return batch;
}

}  // namespace

Status RunTrainBench(const TrainBenchOptions& o) {
  AHA_ASSIGN(Setup setup, Prepare(o));
  const policy::PolicyConfig& config = setup.weights.config();
  sft::TrainerOptions options;
  options.micro_batch_tokens = o.micro_batch_tokens;
  options.adamw = AdamWOf(o);
  sft::Trainer trainer(setup.weights, *setup.cpu, options);
  const std::vector<sft::Example> batch = RandomExamples(o, config);
  policy::cpu::WorkClock clock;
  setup.cpu->set_clock(&clock);
  std::array<std::vector<double>, kWorks.size()> seconds;
  std::vector<double> whole, pass;
  double loss = 0;
  for (std::uint32_t step = 0; step <= o.steps; ++step) {
    clock.Restart();
    const Stopwatch watch(setup.cpu->threads());
    AHA_ASSIGN(const sft::TrainReport report, trainer.Step(batch, kRate));
    const double took = watch.seconds();
    const double share = took / watch.wall();  // the clock of kinds goes by the wall
    loss = report.loss;
    if (step == 0) continue;  // memory is taken in this one
    clock.Leave(Work::kOther);
    double optimizer = 0;
    for (std::size_t i = 0; i < kWorks.size(); ++i) {
      seconds[i].push_back(share * clock.seconds(kWorks[i].work));
      if (OfOptimizer(kWorks[i].work)) optimizer += seconds[i].back();
    }
    whole.push_back(took);
    pass.push_back(took - optimizer);
  }
  const double tokens = static_cast<double>(o.batch) * o.length;
  const double flops = FlopsOf(config, o.batch, o.length);
  const double mfu = flops / Median(pass) / 1e9 / setup.peak_gflops;
  PrintLine(fmt::format(
      "update of {} x {} tokens: {:.3f} s, {:.0f} tok/s; forward and backward {:.0f} tok/s "
      "({:.0f} % of peak), optimizer {:.3f} s; loss {:.4f}",
      o.batch, o.length, Median(whole), tokens / Median(whole), tokens / Median(pass), 100 * mfu,
      Median(whole) - Median(pass), loss));
  Json works = Json::object();
  for (std::size_t i = 0; i < kWorks.size(); ++i) {
    const double took = Median(seconds[i]);
    works[kWorks[i].name] = took;
    if (took == 0) continue;
    PrintLine(fmt::format("  {:<20} {:9.2f} ms  {:4.1f} %", kWorks[i].name, 1e3 * took,
                          100 * took / Median(whole)));
  }
  PrintLine(fmt::format("peak memory {:.0f} MB", PeakRssMb()));
  if (!o.json) return {};
  PrintJson({{"train_tok_per_s", tokens / Median(pass)},
             {"update_tok_per_s", tokens / Median(whole)},
             {"update_s", Median(whole)},
             {"optimizer_s", Median(whole) - Median(pass)},
             {"mfu", mfu},
             {"gflop", flops / 1e9},
             {"peak_gflops", setup.peak_gflops},
             {"seconds", works},
             {"loss", loss},
             {"batch", o.batch},
             {"length", o.length},
             {"threads", setup.cpu->threads()},
             {"peak_rss_mb", PeakRssMb()}});
  return {};
}

namespace {

// Groups of completions of random prompts.
Result<std::vector<grpo::Sample>> Sample(const TrainBenchOptions& o,
                                         std::uint64_t step,
                                         const Setup& setup) {
  rollout::EngineOptions options;
  options.most_rows = std::size_t{o.prompts} * o.samples;
  rollout::Engine engine(setup.weights, *setup.cpu, options);
  std::vector<grpo::Sample> samples(std::size_t{o.prompts} * o.samples);
  for (std::uint64_t p = 0; p < o.prompts; ++p) {
    rollout::Request request;
    request.id = p;
    request.prompt = RandomIds(setup.weights.config(), step * o.prompts + p, o.prompt);
    request.samples = o.samples;
    request.random = KeyedRandom(1, "sample/bench").With(step).With(p);
    request.sampling.temperature = 1;
    request.sampling.max_new_tokens = o.most_new;
    for (std::uint32_t s = 0; s < o.samples; ++s)
      samples[p * o.samples + s].prompt = request.prompt;
    AHA_TRY(engine.Add(std::move(request)));
  }
  while (engine.Step()) {
  }
  for (rollout::Outcome& outcome : engine.TakeOutcomes()) {
    if (outcome.error) return tl::unexpected<Error>(*outcome.error);
    for (std::size_t s = 0; s < outcome.samples.size(); ++s) {
      grpo::Sample& sample = samples[outcome.id * o.samples + s];
      sample.completion = std::move(outcome.samples[s].ids);
      sample.rollout_logprobs = std::move(outcome.samples[s].logprobs);
    }
  }
  return samples;
}

double ShareOfDistinct(const std::vector<std::int32_t>& ids) {
  const std::set<std::int32_t> distinct(ids.begin(), ids.end());
  return static_cast<double>(distinct.size()) / static_cast<double>(ids.size());
}

void Reward(const TrainBenchOptions& o, std::vector<grpo::Sample>& samples) {
  std::vector<grpo::GroupRewards> groups(o.prompts);
  for (std::size_t i = 0; i < samples.size(); ++i)
    groups[i / o.samples].emplace_back(ShareOfDistinct(samples[i].completion));
  const std::vector<std::vector<double>> advantages = grpo::Advantages(groups, {});
  for (std::size_t i = 0; i < samples.size(); ++i)
    samples[i].advantage = advantages[i / o.samples][i % o.samples];
}

}  // namespace

Status RunGrpoBench(const TrainBenchOptions& o) {
  AHA_ASSIGN(Setup setup, Prepare(o));
  grpo::LearnerOptions options;
  options.micro_batch_tokens = o.micro_batch_tokens;
  options.adamw = AdamWOf(o);
  grpo::Learner learner(setup.weights, *setup.cpu, options);
  std::vector<double> whole, rollout, reward, learn;
  grpo::LearnReport report;
  std::size_t tokens = 0;
  for (std::uint32_t step = 0; step <= o.steps; ++step) {
    const Stopwatch watch(setup.cpu->threads());
    AHA_ASSIGN(std::vector<grpo::Sample> samples, Sample(o, step, setup));
    const double sampled = watch.seconds();
    Reward(o, samples);
    const double rewarded = watch.seconds();
    AHA_ASSIGN(report, learner.Step(samples, nullptr, kRate));
    if (step == 0) continue;  // memory is taken in this one
    whole.push_back(watch.seconds());
    rollout.push_back(sampled);
    reward.push_back(rewarded - sampled);
    learn.push_back(whole.back() - rewarded);
    for (const grpo::Sample& s : samples)
      tokens += s.prompt.size() + s.completion.size();
  }
  const double learnt = static_cast<double>(tokens) / o.steps;
  PrintLine(
      fmt::format("GRPO step of {} prompts x {} samples, {} + {} tokens: {:.3f} s: rollout {:.3f} "
                  "s, reward {:.4f} s, "
                  "learn {:.3f} s ({:.0f} tok/s); peak memory {:.0f} MB",
                  o.prompts, o.samples, o.prompt, o.most_new, Median(whole), Median(rollout),
                  Median(reward), Median(learn), learnt / Median(learn), PeakRssMb()));
  PrintLine(fmt::format(
      "log-probabilities of rollout and learner differ by {} (largest ratio {}), idle samples {}, "
      "entropy {:.3f}",
      report.rollout_difference, report.ratio_max, report.idle_samples, report.entropy));
  if (!o.json) return {};
  PrintJson({{"grpo_step_s", Median(whole)},
             {"rollout_s", Median(rollout)},
             {"reward_s", Median(reward)},
             {"learn_s", Median(learn)},
             {"learn_tok_per_s", learnt / Median(learn)},
             {"rollout_difference", report.rollout_difference},
             {"idle_samples", report.idle_samples},
             {"prompts", o.prompts},
             {"samples", o.samples},
             {"prompt", o.prompt},
             {"new", o.most_new},
             {"threads", setup.cpu->threads()},
             {"peak_rss_mb", PeakRssMb()}});
  return {};
}

}  // namespace aha::pipelines
