// aha eval, logits.

#include <memory>
#include <numeric>
#include <span>

#include "base/log.h"
#include "pipelines/commands/command.h"
#include "pipelines/evaluate.h"
#include "pipelines/model/model_folder.h"
#include "pipelines/stages/run_recipe.h"
#include "policy/checkpoint/checkpoint.h"
#include "policy/checkpoint/safetensors.h"
#include "policy/model/head.h"

namespace aha::pipelines {
namespace {

namespace fs = std::filesystem;

// --- eval -------------------------------------------------------------------------------------

struct EvalOptions {
  std::string folder, task, split = "test", prompt_template = "auto";
  EvalSpec spec;
  std::uint32_t threads = 0;
  bool json = false;
};

Json FamiliesJson(const EvalReport& report) {
  Json families = Json::array();
  for (const FamilyScore& f : report.families) {
    families.push_back(
        {{"family", f.family}, {"band", f.band}, {"n", f.n}, {"pass_at_1", f.pass_at_1}});
  }
  return families;
}

Status RunEval(EvalOptions& options) {
  options.spec.threads = WorkThreads(options.threads);
  AHA_ASSIGN(options.spec.prompts, TaskPrompts(options.task));
  options.spec.prompts.set_template_(options.prompt_template);
  AHA_ASSIGN(options.spec.split, SplitNamed(options.split));
  rewards::Registry registry = rewards::Registry::BuiltIns();
  AHA_ASSIGN(const EvalReport r, Evaluate(options.folder, options.spec, registry));
  if (options.json) {
    PrintJson({{"pass_at_1", r.pass_at_1},
               {"ci95", r.ci95},
               {"pass_at_k", r.pass_at_k},
               {"cons_at_k", r.cons_at_k},
               {"n", r.n},
               {"samples", options.spec.samples},
               {"well_formed", r.well_formed},
               {"language", r.language},
               {"thinking_tokens", r.thinking_tokens},
               {"completion_tokens", r.completion_tokens},
               {"failures", r.failures},
               {"families", FamiliesJson(r)}});
    return {};
  }
  PrintLine(fmt::format(
      "pass@1 {:.3f} ± {:.3f}   pass@{} {:.3f}   cons@{} {:.3f}   {} problems, {} samples each",
      r.pass_at_1, r.ci95, options.spec.samples, r.pass_at_k, options.spec.samples, r.cons_at_k,
      r.n, options.spec.samples));
  PrintLine(fmt::format(
      "well-formed {:.3f}   language {:.3f}   thinking {:.1f} tokens   failed verdicts {}",
      r.well_formed, r.language, r.thinking_tokens, r.failures));
  for (const FamilyScore& f : r.families) {
    PrintLine(fmt::format("  {:<12} band {}   {:.3f}   ({} problems)", f.family, f.band,
                          f.pass_at_1, f.n));
  }
  return {};
}

void AddEval(CLI::App& app, Action& action) {
  auto o = std::make_shared<EvalOptions>();
  CLI::App* command = app.add_subcommand("eval", "Measure a model on held-out problems");
  command->add_option("folder", o->folder, "Model folder")->required();
  command
      ->add_option("--task", o->task,
                   "A task family, reasoning, hardest, general, or a .jsonl file")
      ->required();
  const CLI::Option* samples = command
                                   ->add_option("--samples", o->spec.samples,
                                                "Samples of each problem (K); default 8, and 1 "
                                                "with --temperature 0, where all are the same")
                                   ->check(CLI::Range(1, 4096));
  command->add_option("--count", o->spec.count, "Problems")->check(CLI::Range(1, 10000000));
  command->add_option("--split", o->split, "test, dev (to choose settings on) or train")
      ->check(CLI::IsMember({"test", "dev", "train"}));
  command->add_option("--temperature", o->spec.temperature, "Sampling temperature; 0: greedy")
      ->check(CLI::Range(0.0, 10.0));
  command->add_option("--top-p", o->spec.top_p, "Nucleus of the distribution")
      ->check(CLI::Range(1e-6, 1.0));
  command->add_option("--max-new", o->spec.max_new_tokens, "Most new tokens")
      ->check(CLI::Range(1, 1048576));
  command->add_option("--template", o->prompt_template,
                      "auto (the folder's own, or aha), or a template's name");
  command->add_option("--seed", o->spec.seed, "Seed of problems and draws");
  command->add_option("--threads", o->threads, "CPU threads; 0: every core");
  command->add_flag("--json", o->json, "Print one line of JSON last");
  command->callback([&action, o, samples] {
    if (o->spec.temperature == 0 && samples->count() == 0) o->spec.samples = 1;
    action = [o] { return RunEval(*o); };
  });
}

// --- logits -------------------------------------------------------------------------------------

struct LogitsOptions {
  std::string folder, out, dtype;
  std::vector<std::int32_t> ids;
  bool json = false;
};

Status RunLogits(const LogitsOptions& o) {
  std::optional<policy::NumberType> as;
  if (o.dtype == "fp32") as = policy::NumberType::kFp32;
  if (o.dtype == "bf16") as = policy::NumberType::kBf16;
  AHA_ASSIGN(const policy::Weights weights, policy::LoadWeights(o.folder, as));
  const auto vocab = weights.config().vocab_size;
  for (const std::int32_t id : o.ids) {
    if (id < 0 || id >= vocab)
      return Fail(Code::kInvalidArgument, "--ids: {} is outside the vocabulary of {}", id, vocab);
  }
  if (static_cast<std::int64_t>(o.ids.size()) > weights.config().max_position_embeddings) {
    return Fail(Code::kInvalidArgument, "--ids: {} tokens, the model takes {}", o.ids.size(),
                weights.config().max_position_embeddings);
  }
  AHA_ASSIGN(const policy::cpu::KernelTarget target, policy::cpu::ChooseKernelTarget());
  const policy::cpu::Cpu cpu(target, WorkThreads(0));
  policy::Pass pass(weights, cpu);
  policy::Head head(weights, cpu);
  const std::vector<policy::SequenceTokens> sequence = {{o.ids, 0, {}}};
  const policy::Hidden hidden = pass.Forward({sequence, nullptr});
  std::vector<std::int32_t> rows(o.ids.size());
  std::iota(rows.begin(), rows.end(), 0);
  std::vector<float> logits(rows.size() * static_cast<std::size_t>(vocab));
  head.Logits(
      hidden, rows,
      policy::cpu::Rows<float>(logits.data(), rows.size(), static_cast<std::size_t>(vocab)));
  const policy::TensorView tensor = {"logits",
                                     policy::SafetensorsDtype::kF32,
                                     {static_cast<std::int64_t>(rows.size()), vocab},
                                     std::as_bytes(std::span(logits))};
  AHA_TRY(
      policy::WriteSafetensors(o.out, std::vector<policy::TensorView>{tensor}, {{"format", "pt"}}));
  const Json json = {{"tokens", o.ids.size()}, {"vocab", vocab}};
  o.json ? PrintJson(json)
         : PrintLine(fmt::format("{}: logits [{}, {}]", o.out, o.ids.size(), vocab));
  return {};
}

void AddLogits(CLI::App& app, Action& action) {
  auto o = std::make_shared<LogitsOptions>();
  CLI::App* command = app.add_subcommand("logits", "Write a model's logits for given token ids");
  command->add_option("folder", o->folder, "Model folder")->required();
  command->add_option("--ids", o->ids, "Token ids, comma separated")
      ->required()
      ->delimiter(',')
      ->check([](const std::string& id) { return id.empty() ? "an id is missing" : ""; });
  command
      ->add_option("--out", o->out,
                   "safetensors file to write: tensor logits [tokens, vocab], fp32")
      ->required();
  command
      ->add_option("--dtype", o->dtype, "Compute in this number type instead of the checkpoint's")
      ->check(CLI::IsMember({"fp32", "bf16"}));
  command->add_flag("--json", o->json, "Print one line of JSON last");
  command->callback([&action, o] { action = [o] { return RunLogits(*o); }; });
}

}  // namespace

void AddModelCommands(CLI::App& app, Action& action) {
  AddEval(app, action);
  AddLogits(app, action);
}

}  // namespace aha::pipelines
