#include "pipelines/commands/bench_decode.h"

#include <algorithm>
#include <chrono>
#include <cstring>
#include <numeric>

#include "base/peak_memory.h"
#include "pipelines/commands/command.h"
#include "pipelines/model/model_folder.h"
#include "pipelines/model/step_work.h"
#include "pipelines/stages/run_recipe.h"
#include "policy/cuda/device.h"
#include "policy/kernels/cpu/machine_peak.h"
#include "policy/model/head.h"
#include "rollout/cuda/generator.h"
#include "rollout/engine.h"

namespace aha::pipelines {
namespace {

using Clock = std::chrono::steady_clock;
using policy::cpu::MachinePeak;
using policy::cpu::Work;
using policy::cpu::WorkClock;

// What the table shows, in this order; all else is the rest.
constexpr struct {
  Work work;
  const char* name;
} kParts[] = {{Work::kProjections, "qkv"},   {Work::kAttention, "attention"},
              {Work::kNetwork, "mlp"},       {Work::kExperts, "experts"},
              {Work::kRouter, "router"},     {Work::kHead, "head"},
              {Work::kSampling, "sampling"}, {Work::kNorm, "norm_rope"}};

struct Measured {
  const char* name;
  double seconds = 0;  // of a step
  StepLoad load;
};

// Of one batch size.
struct Figures {
  std::uint32_t batch = 0;
  double prefill_tok_per_s = 0, decode_tok_per_s = 0;
  double prefill_mfu = 0;  // arithmetic of prompts over the machine's peak
  double step_s = 0;       // of decoding, on average
  StepLoad load;           // of a step
  double peak_gflops = 0;  // of the policy's number type
  double limit_gb_s = 0;   // of the nearest memory that holds what a step reads
  std::vector<Measured> parts;
  std::size_t differing_bits = 0, compared = 0;
  std::size_t cache_bytes = 0, ideal_cache_bytes = 0;
  rollout::EngineTotals totals;

  [[nodiscard]] double Peak(const StepLoad& l, double s) const {
    return s > 0 ? l.flops / s / 1e9 / peak_gflops : 0;
  }
  [[nodiscard]] double Bandwidth(const StepLoad& l, double s) const {
    return s > 0 ? l.bytes / s / 1e9 / limit_gb_s : 0;
  }
  // The nearer limit's.
  [[nodiscard]] double Roofline(const StepLoad& l, double s) const {
    return std::max(Peak(l, s), Bandwidth(l, s));
  }
};

double Seconds(Clock::time_point from) {
  return std::chrono::duration<double>(Clock::now() - from).count();
}

rollout::Request RequestOf(const DecodeBenchOptions& o,
                           std::uint64_t id,
                           const policy::PolicyConfig& config) {
  const KeyedRandom random = KeyedRandom(1, "bench").With(id);
  rollout::Request request;
  request.id = id;
  request.prompt = o.text_ids;
  for (std::uint32_t i = 0; o.text_ids.empty() && i < o.prompt; ++i) {
    request.prompt.push_back(
        static_cast<std::int32_t>(random.Integer(i, 0, config.vocab_size - 1)));
  }
  request.samples = o.samples;
  request.stop_ids = o.stop_ids;
  request.random = KeyedRandom(1, "sample/bench").With(id);
  request.sampling.temperature = static_cast<float>(o.temperature);
  request.sampling.max_new_tokens = o.most_new;
  return request;
}

// Log-probabilities of a completion that differ in a bit from those of one pass over the whole
// sequence.
std::size_t DifferingBits(const policy::Weights& weights,
                          const policy::cpu::Cpu& cpu,
                          const rollout::Request& request,
                          const rollout::SampleOutcome& sample) {
  std::vector<std::int32_t> ids = request.prompt;
  ids.insert(ids.end(), sample.ids.begin(), sample.ids.end());
  const policy::SequenceTokens whole{ids, 0, {}};
  policy::Pass pass(weights, cpu);
  policy::Head head(weights, cpu);
  const policy::Hidden hidden = pass.Forward({{&whole, 1}, nullptr});
  std::vector<std::int32_t> rows(sample.ids.size());
  std::iota(rows.begin(), rows.end(), static_cast<std::int32_t>(request.prompt.size()) - 1);
  std::vector<float> logprobs(rows.size());
  head.Logprobs(hidden, rows, sample.ids,
                request.sampling.temperature == 0 ? 1 : request.sampling.temperature, logprobs);
  std::size_t differ = 0;
  for (std::size_t i = 0; i < rows.size(); ++i)
    differ += std::memcmp(&logprobs[i], &sample.logprobs[i], sizeof(float)) != 0 ? 1 : 0;
  return differ;
}

// Runs the requests of one batch size.
class Round {
 public:
  Round(const DecodeBenchOptions& o,
        std::uint32_t batch,
        const policy::Weights& weights,
        policy::cpu::Cpu& cpu)
      : o_(o),
        weights_(weights),
        cpu_(cpu),
        groups_(std::max<std::uint32_t>(1, batch / o.samples)),
        engine_(weights, cpu, OptionsOf(o, batch)) {}

  [[nodiscard]] double rows() const { return static_cast<double>(groups_) * o_.samples; }
  [[nodiscard]] double prompt_tokens() const { return static_cast<double>(groups_) * o_.prompt; }
  rollout::Engine& engine() { return engine_; }

  Status Start() {
    for (std::uint64_t id = 0; id < groups_; ++id)
      AHA_TRY(engine_.Add(RequestOf(o_, id, weights_.config())));
    return {};
  }
  // Prompts, until the first token is drawn.
  double Prefill() {
    const std::uint64_t before = engine_.totals().drawn;
    const auto start = Clock::now();
    while (engine_.totals().drawn == before && engine_.Step()) {
    }
    return Seconds(start);
  }
  double Decode(std::uint64_t most_steps) {
    const auto start = Clock::now();
    for (std::uint64_t s = 0; s < most_steps && engine_.Step(); ++s) {
    }
    return Seconds(start);
  }
  void Drop() {
    for (std::uint64_t id = 0; id < groups_; ++id)
      engine_.Cancel(id);
    while (engine_.Step()) {
    }
    engine_.TakeOutcomes();
  }
  // Compares up to four completions with the pass over whole sequences.
  Status Compare(Figures& figures) {
    std::vector<rollout::Outcome> outcomes = engine_.TakeOutcomes();
    for (std::size_t i = 0; i < outcomes.size(); ++i) {
      const rollout::Outcome& outcome = outcomes[i];
      if (outcome.error) return tl::unexpected<Error>(*outcome.error);
      if (i >= 4) continue;
      figures.compared += outcome.samples.front().ids.size();
      figures.differing_bits += DifferingBits(
          weights_, cpu_, RequestOf(o_, outcome.id, weights_.config()), outcome.samples.front());
    }
    return {};
  }

 private:
  static rollout::EngineOptions OptionsOf(const DecodeBenchOptions& o, std::uint32_t batch) {
    rollout::EngineOptions options;
    options.most_rows = std::max<std::size_t>(batch, 1);
    options.prefill_tokens = std::size_t{1} << 20U;
    options.drafts = o.drafts;
    if (o.speculation == "module") options.speculation = rollout::Speculation::kModule;
    if (o.speculation == "lookup") options.speculation = rollout::Speculation::kLookup;
    return options;
  }

  const DecodeBenchOptions& o_;
  const policy::Weights& weights_;
  policy::cpu::Cpu& cpu_;
  std::uint32_t groups_;
  rollout::Engine engine_;
};

// Decoding by kind of kernel, from the clock, as a step's.
std::vector<Measured> PartsOf(const WorkClock& clock,
                              const StepLoads& loads,
                              const Figures& f,
                              double steps) {
  std::vector<Measured> parts;
  double named = 0;
  for (const auto& part : kParts) {
    const auto i = static_cast<std::size_t>(part.work);
    const double seconds = clock.seconds(part.work) / steps;
    named += seconds;
    if (seconds > 0) parts.push_back({part.name, seconds, loads[i]});
  }
  parts.push_back({"rest", std::max(0.0, f.step_s - named), {}});
  return parts;
}

// What the cache would hold if each prompt were there once, and each sample's own tokens.
std::size_t IdealCache(const DecodeBenchOptions& o,
                       const policy::PolicyConfig& config,
                       double rows) {
  const double token =
      static_cast<double>(policy::KvPool::PageBytes(config)) / policy::KvPool::kPageTokens;
  return static_cast<std::size_t>(token * rows *
                                  (static_cast<double>(o.prompt) / o.samples + o.most_new - 1));
}

Result<Figures> Measure(const DecodeBenchOptions& o,
                        std::uint32_t batch,
                        const policy::Weights& weights,
                        policy::cpu::Cpu& cpu,
                        const MachinePeak& peak) {
  const policy::PolicyConfig& config = weights.config();
  Round round(o, batch, weights, cpu);
  Figures figures;
  figures.batch = batch;
  figures.peak_gflops =
      config.dtype == policy::NumberType::kBf16 ? peak.bf16_gflops : peak.fp32_gflops;
  // The first round warms memory up.
  AHA_TRY(round.Start());
  round.Prefill();
  round.Decode(8);
  round.Drop();

  AHA_TRY(round.Start());
  const double prefill = round.Prefill();
  const rollout::EngineTotals before = round.engine().totals();
  WorkClock clock;
  cpu.set_clock(&clock);
  clock.Restart();
  const double decode = round.Decode(std::uint64_t{1} << 40U);
  cpu.set_clock(nullptr);
  figures.totals = round.engine().totals();

  const double flops = 2.0 * (static_cast<double>(policy::CountParameters(config).active) -
                              static_cast<double>(config.vocab_size * config.hidden_size));
  figures.prefill_tok_per_s = round.prompt_tokens() / prefill;
  figures.prefill_mfu = round.prompt_tokens() * flops / prefill / figures.peak_gflops / 1e9;
  const auto steps = static_cast<double>(figures.totals.steps - before.steps);
  if (steps > 0) {
    figures.decode_tok_per_s = static_cast<double>(figures.totals.drawn - before.drawn) / decode;
    figures.step_s = decode / steps;
    const double computed =
        static_cast<double>(figures.totals.forward_tokens - before.forward_tokens) / steps;
    const StepShape shape = {computed, o.prompt + o.most_new / 2.0,
                             static_cast<double>(o.samples > 1 ? o.prompt : 0),
                             static_cast<double>(o.samples)};
    const StepLoads loads = LoadsOf(config, shape);
    figures.load = Sum(loads);
    figures.limit_gb_s = peak.BandwidthOf(figures.load.bytes);
    figures.parts = PartsOf(clock, loads, figures, steps);
  }
  figures.cache_bytes = figures.totals.most_pages * policy::KvPool::PageBytes(config);
  figures.ideal_cache_bytes = IdealCache(o, config, round.rows());
  AHA_TRY(round.Compare(figures));
  return figures;
}

Json JsonOf(const Figures& f) {
  Json json = {{"batch", f.batch},
               {"prefill_tok_per_s", f.prefill_tok_per_s},
               {"decode_tok_per_s", f.decode_tok_per_s},
               {"bandwidth_share", f.Bandwidth(f.load, f.step_s)},
               {"peak_share", f.Peak(f.load, f.step_s)},
               {"roofline_share", f.Roofline(f.load, f.step_s)},
               {"limit_gb_s", f.limit_gb_s},
               {"mfu", f.prefill_mfu},
               {"step_ms", f.step_s * 1e3},
               {"differing_bits", f.differing_bits},
               {"compared", f.compared},
               {"cache_mb", static_cast<double>(f.cache_bytes) / 1e6},
               {"ideal_cache_mb", static_cast<double>(f.ideal_cache_bytes) / 1e6},
               {"trunk_s", f.totals.trunk_s},
               {"head_s", f.totals.head_s},
               {"draft_s", f.totals.draft_s}};
  for (const Measured& part : f.parts) {
    json["step"][part.name] = {{"ms", part.seconds * 1e3},
                               {"peak_share", f.Peak(part.load, part.seconds)},
                               {"bandwidth_share", f.Bandwidth(part.load, part.seconds)}};
  }
  if (f.totals.drafted > 0)
    json["acceptance"] =
        static_cast<double>(f.totals.accepted) / static_cast<double>(f.totals.drafted);
  return json;
}

void Print(const Figures& f) {
  PrintLine(fmt::format(
      "batch {}: prefill {:.0f} tok/s ({:.0f} % of peak), decode {:.1f} tok/s: a step {:.2f} ms, "
      "{:.0f} % of peak, {:.0f} % of {:.0f} GB/s, {:.0f} % of the roofline",
      f.batch, f.prefill_tok_per_s, 100 * f.prefill_mfu, f.decode_tok_per_s, 1e3 * f.step_s,
      100 * f.Peak(f.load, f.step_s), 100 * f.Bandwidth(f.load, f.step_s), f.limit_gb_s,
      100 * f.Roofline(f.load, f.step_s)));
  for (const Measured& part : f.parts) {
    std::string shares;
    if (part.load.flops > 0) {
      shares = fmt::format("   {:3.0f} % of peak, {:3.0f} % of bandwidth",
                           100 * f.Peak(part.load, part.seconds),
                           100 * f.Bandwidth(part.load, part.seconds));
    }
    PrintLine(fmt::format("  {:<10} {:8.3f} ms {:5.1f} %{}", part.name, 1e3 * part.seconds,
                          100 * part.seconds / f.step_s, shares));
  }
  PrintLine(
      fmt::format("  cache at most {:.1f} MB, {:.1f} if nothing were held twice or half full; "
                  "{} of {} log-probabilities differ from the whole-sequence pass",
                  static_cast<double>(f.cache_bytes) / 1e6,
                  static_cast<double>(f.ideal_cache_bytes) / 1e6, f.differing_bits, f.compared));
  if (f.totals.drafted > 0) {
    PrintLine(fmt::format(
        "  guesses: {} of {} right ({:.0f} %), {:.2f} s to make them", f.totals.accepted,
        f.totals.drafted,
        100.0 * static_cast<double>(f.totals.accepted) / static_cast<double>(f.totals.drafted),
        f.totals.draft_s));
  }
}

// On a GPU: samples of one prompt, with neither limits nor bits to compare with.
Status RunBenchOnGpu(DecodeBenchOptions o) {
  AHA_ASSIGN(const policy::cuda::DeviceInfo device, policy::cuda::FindDevice());
  AHA_ASSIGN(const Model model, LoadModel(o.folder, Use::kInference));
  if (!o.text.empty()) {
    AHA_ASSIGN(o.text_ids, model.tokenizer.Encode(o.text));
    o.prompt = static_cast<std::uint32_t>(o.text_ids.size());
  }
  rollout::GeneratorOptions options;
  options.cache_bytes = device.free_bytes / 4;
  options.most_rows = *std::max_element(o.batches.begin(), o.batches.end());
  AHA_ASSIGN(const std::unique_ptr<rollout::Generator> generator,
             rollout::CudaGenerator(model.weights, options));
  Json all = Json::array();
  for (const std::uint32_t batch : o.batches) {
    rollout::Request request = RequestOf(o, 0, model.weights.config());
    request.samples = batch;
    for (int round = 0; round < 2; ++round)  // the first warms the device up
      AHA_TRY(generator->Run(request));
    const rollout::GeneratorTimes times = generator->times();
    const double prefill = o.prompt / times.prefill_s;
    const double decode = static_cast<double>(batch) * (o.most_new - 1) / times.decode_s;
    all.push_back({{"batch", batch}, {"prefill_tok_per_s", prefill}, {"decode_tok_per_s", decode}});
    PrintLine(fmt::format("{}, {} samples of one prompt: prefill {:.0f} tok/s, decode {:.1f} tok/s",
                          device.name, batch, prefill, decode));
  }
  if (!o.json) return {};
  Json json = all.back();
  json["device"] = device.name;
  json["batches"] = all;
  PrintJson(json);
  return {};
}

}  // namespace

Status RunDecodeBench(DecodeBenchOptions o) {
  if (o.device == "cuda") return RunBenchOnGpu(std::move(o));
  AHA_ASSIGN(const policy::cpu::KernelTarget target, policy::cpu::ChooseKernelTarget());
  policy::cpu::Cpu cpu(target, WorkThreads(o.threads));
  AHA_ASSIGN(const Model model, LoadModel(o.folder, Use::kInference));
  if (!o.text.empty()) {
    AHA_ASSIGN(o.text_ids, model.tokenizer.Encode(o.text));
    o.prompt = static_cast<std::uint32_t>(o.text_ids.size());
  }
  if (o.stop) o.stop_ids = model.stop_ids;
  const MachinePeak peak = policy::cpu::MeasurePeak(cpu.threads());
  PrintLine(fmt::format(
      "{} thread(s), {}: peak bf16 {:.0f} GFLOP/s, fp32 {:.0f} GFLOP/s, memory {:.1f} GB/s",
      cpu.threads(), policy::cpu::KernelTargetName(target), peak.bf16_gflops, peak.fp32_gflops,
      peak.memory_gb_s));
  Json all = Json::array();
  std::size_t differing = 0;
  for (const std::uint32_t batch : o.batches) {
    AHA_ASSIGN(const Figures f, Measure(o, batch, model.weights, cpu, peak));
    differing += f.differing_bits;
    all.push_back(JsonOf(f));
    Print(f);
  }
  if (!o.json) return {};
  Json json = all.back();
  json["differing_bits"] = differing;
  json["peak_rss_mb"] = static_cast<double>(PeakMemoryBytes()) / (1 << 20);
  json["bf16_gflops"] = peak.bf16_gflops;
  json["memory_gb_s"] = peak.memory_gb_s;
  json["threads"] = cpu.threads();
  json["batches"] = all;
  PrintJson(json);
  return {};
}

}  // namespace aha::pipelines
