// aha bench: speed of decoding beside what this machine can do, and whether its bits are the
// learner's.

#include <sys/resource.h>

#include <algorithm>
#include <chrono>
#include <cstring>
#include <memory>
#include <numeric>

#include "pipelines/commands/bench_train.h"
#include "pipelines/commands/command.h"
#include "pipelines/model/model_folder.h"
#include "pipelines/stages/run_recipe.h"
#include "policy/kernels/cpu/machine_peak.h"
#include "policy/model/head.h"
#include "rollout/engine.h"

namespace aha::pipelines {
namespace {

using Clock = std::chrono::steady_clock;

struct BenchOptions {
  std::string folder, text, speculation = "off";
  std::vector<std::int32_t> text_ids;
  std::vector<std::uint32_t> batches = {1, 16, 64};
  std::uint32_t prompt = 64, most_new = 128, samples = 1, threads = 0, drafts = 1;
  double temperature = 1;
  bool json = false;
};

// Of one batch size.
struct Figures {
  std::uint32_t batch = 0;
  double prefill_tok_per_s = 0, decode_tok_per_s = 0;
  double mfu = 0;              // of prefill: arithmetic done over the machine's peak
  double bandwidth_share = 0;  // of decoding: bytes that must be read, over the next
  double memory_gb_s = 0;      // of the nearest memory that holds what a step reads
  std::size_t differing_bits = 0, compared = 0;
  rollout::EngineTotals totals;
};

double Seconds(Clock::time_point from) {
  return std::chrono::duration<double>(Clock::now() - from).count();
}

rollout::Request RequestOf(const BenchOptions& o,
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

// Bytes that the decoding steps had to read: weights once a step, and each row's keys and values.
double DecodeBytes(const BenchOptions& o,
                   const policy::PolicyConfig& config,
                   double steps,
                   double rows) {
  const policy::ParameterCount count = policy::CountParameters(config);
  const double number = static_cast<double>(config.bytes_per_number());
  const double weights =
      std::min(static_cast<double>(count.total), static_cast<double>(count.active) * rows) * number;
  const double kv =
      static_cast<double>(policy::KvPool::PageBytes(config)) / policy::KvPool::kPageTokens;
  return steps * (weights + rows * kv * (o.prompt + o.most_new / 2.0));
}

Result<Figures> Measure(const BenchOptions& o,
                        std::uint32_t batch,
                        const policy::Weights& weights,
                        const policy::cpu::Cpu& cpu,
                        const policy::cpu::MachinePeak& peak) {
  const policy::PolicyConfig& config = weights.config();
  rollout::EngineOptions options;
  options.most_rows = std::max<std::size_t>(batch, 1);
  options.prefill_tokens = std::size_t{1} << 20U;
  options.drafts = o.drafts;
  if (o.speculation == "module") options.speculation = rollout::Speculation::kModule;
  if (o.speculation == "lookup") options.speculation = rollout::Speculation::kLookup;
  rollout::Engine engine(weights, cpu, options);
  Figures figures;
  figures.batch = batch;
  // The first round warms memory up.
  for (const bool warm : {true, false}) {
    const std::uint32_t groups = std::max<std::uint32_t>(1, batch / o.samples);
    for (std::uint64_t id = 0; id < groups; ++id)
      AHA_TRY(engine.Add(RequestOf(o, id, config)));
    const std::uint64_t before = engine.totals().drawn, steps = engine.totals().steps;
    const auto start = Clock::now();
    while (engine.totals().drawn == before && engine.Step()) {
    }
    const double prefill = Seconds(start);
    const std::uint64_t first = engine.totals().drawn, first_step = engine.totals().steps;
    const auto decode_start = Clock::now();
    while (engine.Step() && !(warm && engine.totals().steps - steps > 8)) {
    }
    const double decode = Seconds(decode_start);
    if (warm) {
      for (std::uint64_t id = 0; id < groups; ++id)
        engine.Cancel(id);
      while (engine.Step()) {
      }
      engine.TakeOutcomes();
      continue;
    }
    const double prompt_tokens = static_cast<double>(groups) * o.prompt;
    const double drawn = static_cast<double>(engine.totals().drawn - first);
    const double flops = 2.0 * static_cast<double>(policy::CountParameters(config).active) -
                         2.0 * static_cast<double>(config.vocab_size * config.hidden_size);
    const double most =
        (config.dtype == policy::NumberType::kBf16 ? peak.bf16_gflops : peak.fp32_gflops) * 1e9;
    figures.prefill_tok_per_s = prompt_tokens / prefill;
    figures.decode_tok_per_s = decode > 0 ? drawn / decode : 0;
    figures.mfu = prompt_tokens * flops / prefill / most;
    const auto decode_steps = static_cast<double>(engine.totals().steps - first_step);
    if (decode > 0) {
      const double bytes = DecodeBytes(o, config, decode_steps, groups * o.samples);
      // A small model lies in a cache: the limit is that cache's.
      figures.memory_gb_s = peak.BandwidthOf(bytes / decode_steps);
      figures.bandwidth_share = bytes / decode / 1e9 / figures.memory_gb_s;
    }
  }
  figures.totals = engine.totals();
  std::vector<rollout::Outcome> outcomes = engine.TakeOutcomes();
  for (std::size_t i = 0; i < std::min<std::size_t>(outcomes.size(), 4); ++i) {
    const rollout::Outcome& outcome = outcomes[i];
    if (outcome.error) return tl::unexpected<Error>(*outcome.error);
    figures.compared += outcome.samples.front().ids.size();
    figures.differing_bits +=
        DifferingBits(weights, cpu, RequestOf(o, outcome.id, config), outcome.samples.front());
  }
  return figures;
}

Json JsonOf(const Figures& f) {
  Json json = {{"batch", f.batch},
               {"prefill_tok_per_s", f.prefill_tok_per_s},
               {"decode_tok_per_s", f.decode_tok_per_s},
               {"bandwidth_share", f.bandwidth_share},
               {"limit_gb_s", f.memory_gb_s},
               {"mfu", f.mfu},
               {"differing_bits", f.differing_bits},
               {"compared", f.compared},
               {"trunk_s", f.totals.trunk_s},
               {"head_s", f.totals.head_s},
               {"draft_s", f.totals.draft_s}};
  if (f.totals.drafted > 0)
    json["acceptance"] =
        static_cast<double>(f.totals.accepted) / static_cast<double>(f.totals.drafted);
  return json;
}

Status RunBench(BenchOptions o) {
  AHA_ASSIGN(const policy::cpu::KernelTarget target, policy::cpu::ChooseKernelTarget());
  const policy::cpu::Cpu cpu(target, WorkThreads(o.threads));
  AHA_ASSIGN(const Model model, LoadModel(o.folder, Use::kInference));
  if (!o.text.empty()) {
    AHA_ASSIGN(o.text_ids, model.tokenizer.Encode(o.text));
    o.prompt = static_cast<std::uint32_t>(o.text_ids.size());
  }
  const policy::cpu::MachinePeak peak = policy::cpu::MeasurePeak(cpu.threads());
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
    PrintLine(fmt::format(
        "batch {}: prefill {:.0f} tok/s ({:.0f} % of peak), decode {:.1f} tok/s ({:.0f} % of "
        "{:.0f} "
        "GB/s); trunk {:.2f} s, head {:.2f} s; "
        "{} of {} log-probabilities differ from the whole-sequence pass",
        batch, f.prefill_tok_per_s, 100 * f.mfu, f.decode_tok_per_s, 100 * f.bandwidth_share,
        f.memory_gb_s, f.totals.trunk_s, f.totals.head_s, f.differing_bits, f.compared));
  }
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  if (!o.json) return {};
  Json json = all.back();
  json["differing_bits"] = differing;
  json["peak_rss_mb"] = static_cast<double>(usage.ru_maxrss) / 1024;
  json["bf16_gflops"] = peak.bf16_gflops;
  json["memory_gb_s"] = peak.memory_gb_s;
  json["threads"] = cpu.threads();
  json["batches"] = all;
  PrintJson(json);
  return {};
}

}  // namespace

void AddBenchCommand(CLI::App& app, Action& action) {
  auto o = std::make_shared<BenchOptions>();
  CLI::App* command = app.add_subcommand(
      "bench", "Measure a model's speed on this machine, and that its bits agree");
  command->add_option("folder", o->folder, "Model folder")->required();
  command
      ->add_option("--batch", o->batches, "Samples at once, one figure each (the last is --json's)")
      ->delimiter(',')
      ->check(CLI::Range(1, 4096));
  command->add_option("--prompt", o->prompt, "Tokens of each prompt, random")
      ->check(CLI::Range(1, 1048576));
  command->add_option("--new", o->most_new, "New tokens of each sample")
      ->check(CLI::Range(2, 1048576));
  command->add_option("--text", o->text, "The prompt of all, instead of random tokens");
  command->add_option("--samples", o->samples, "Samples that share a prompt")
      ->check(CLI::Range(1, 4096));
  command->add_option("--temperature", o->temperature, "0: greedy")->check(CLI::Range(0.0, 100.0));
  command->add_option("--speculation", o->speculation, "Guess tokens: off, module (MTP) or lookup")
      ->check(CLI::IsMember({"off", "module", "lookup"}));
  command->add_option("--drafts", o->drafts, "Tokens guessed a step")->check(CLI::Range(1, 16));
  command->add_option("--threads", o->threads, "CPU threads; 0: every core");
  auto train = std::make_shared<TrainBenchOptions>();
  auto learn = std::make_shared<bool>(false), step = std::make_shared<bool>(false);
  CLI::Option* update = command->add_flag(
      "--train", *learn, "An update instead: --batch (8) sequences of --length tokens");
  CLI::Option* grpo = command->add_flag(
      "--grpo", *step,
      "A GRPO step instead: --prompts of --prompt tokens, --samples (8) of each with --new");
  update->excludes(grpo);
  command->add_option("--length", train->length, "Tokens of a sequence of --train")
      ->needs(update)
      ->check(CLI::Range(2, 1048576));
  command->add_option("--prompts", train->prompts, "Prompts of --grpo")
      ->needs(grpo)
      ->check(CLI::Range(1, 4096));
  command
      ->add_option("--micro-batch", train->micro_batch_tokens,
                   "Tokens in one forward pass of --train and --grpo")
      ->check(CLI::Range(16, 10000000));
  command
      ->add_option_function<std::string>(
          "--moments", [train](const std::string& type) { train->bf16_moments = type == "bf16"; },
          "Number type of AdamW's moments with --train and --grpo: fp32 or bf16")
      ->check(CLI::IsMember({"fp32", "bf16"}));
  command
      ->add_option("--steps", train->steps,
                   "Updates or steps of --train and --grpo; the median counts")
      ->check(CLI::Range(1, 1000));
  command->add_flag("--json", o->json, "Print one line of JSON last");
  command->callback([&action, command, learn, step, o, train] {
    if (!*learn && !*step) {
      action = [o] { return RunBench(*o); };
      return;
    }
    train->folder = o->folder;
    train->threads = o->threads;
    train->json = o->json;
    train->prompt = o->prompt;
    train->most_new = o->most_new;
    if (command->count("--batch") > 0) train->batch = o->batches.back();
    if (command->count("--samples") > 0) train->samples = o->samples;
    action = [train, learn] { return *learn ? RunTrainBench(*train) : RunGrpoBench(*train); };
  });
}

}  // namespace aha::pipelines
