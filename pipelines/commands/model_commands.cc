// aha eval, generate, logits.

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
#include "policy/cuda/device.h"
#include "policy/model/head.h"
#include "rollout/cuda/generator.h"
#include "rollout/engine.h"
#include "rollout/unit.h"
#include "sft/chat_template.h"

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

// --- generate -----------------------------------------------------------------------------------

struct GenerateOptions {
  std::string folder, prompt, prompt_template, device = "cpu";
  std::uint32_t max_new = 128, top_k = 0, samples = 1, threads = 0;
  double temperature = 1, top_p = 1;
  std::uint64_t seed = 1;
  bool json = false;
};

Result<proto::SampleReply> SampleOnCpu(const Model& model,
                                       const proto::SampleRequest& request,
                                       std::uint32_t threads) {
  AHA_ASSIGN(const policy::cpu::KernelTarget target, policy::cpu::ChooseKernelTarget());
  const policy::cpu::Cpu cpu(target, WorkThreads(threads));
  rollout::Engine engine(model.weights, cpu, {.stop_ids = model.stop_ids});
  return engine.Run(request);
}

Result<proto::SampleReply> SampleOnGpu(const Model& model, const proto::SampleRequest& request) {
  AHA_ASSIGN(const std::unique_ptr<rollout::Generator> generator,
             rollout::CudaGenerator(model.weights, {}));
  rollout::Request asked = rollout::RequestOf(request, request.groups(0), 0);
  asked.stop_ids = model.stop_ids;
  AHA_ASSIGN(const rollout::Outcome outcome, generator->Run(asked));
  proto::SampleReply reply;
  for (const rollout::SampleOutcome& sample : outcome.samples)
    rollout::FillCompletion(*reply.add_completions(), sample);
  return reply;
}

Status RunGenerate(const GenerateOptions& o) {
  if (o.device == "cuda") AHA_TRY(policy::cuda::FindDevice());
  std::string prompt = o.prompt;
  if (!o.prompt_template.empty()) {
    AHA_ASSIGN(const sft::ChatTemplate prompt_template,
               sft::ChooseChatTemplate(o.prompt_template, o.folder));
    prompt = prompt_template.Apply(o.prompt);
  }
  AHA_ASSIGN(const Model model, LoadModel(o.folder, Use::kInference));
  AHA_ASSIGN(const std::vector<std::int32_t> ids, model.tokenizer.Encode(prompt));
  proto::SampleRequest request;
  request.set_seed(o.seed);
  request.set_stage("generate");
  request.mutable_sampling()->set_temperature(static_cast<float>(o.temperature));
  request.mutable_sampling()->set_top_p(static_cast<float>(o.top_p));
  request.mutable_sampling()->set_top_k(o.top_k);
  request.mutable_sampling()->set_max_new_tokens(o.max_new);
  proto::GroupRequest& group = *request.add_groups();
  group.set_samples(o.samples);
  for (const std::int32_t id : ids)
    group.add_prompt_ids(static_cast<std::uint32_t>(id));
  AHA_ASSIGN(const proto::SampleReply reply, o.device == "cuda"
                                                 ? SampleOnGpu(model, request)
                                                 : SampleOnCpu(model, request, o.threads));
  for (const proto::Completion& completion : reply.completions()) {
    std::vector<std::int32_t> tokens(completion.ids().begin(), completion.ids().end());
    std::vector<std::int32_t> shown = tokens;
    if (completion.finish() == proto::FINISH_STOP) shown.pop_back();
    const std::string text = model.tokenizer.Decode(shown);
    if (!o.json) {
      PrintLine(text);
      continue;
    }
    PrintJson({{"text", text},
               {"tokens", tokens},
               {"logprobs",
                std::vector<double>(completion.logprobs().begin(), completion.logprobs().end())},
               {"finish", completion.finish() == proto::FINISH_STOP ? "stop" : "length"}});
  }
  return {};
}

void AddGenerate(CLI::App& app, Action& action) {
  auto o = std::make_shared<GenerateOptions>();
  CLI::App* command = app.add_subcommand("generate", "Continue a prompt");
  command->add_option("folder", o->folder, "Model folder")->required();
  command
      ->add_option("--prompt", o->prompt,
                   "Text to continue, taken as it stands unless --template is given")
      ->required();
  command->add_option(
      "--template", o->prompt_template,
      "Ask --prompt as a question: auto (the folder's own template, or aha), or a name");
  command->add_option("--max-new", o->max_new, "Most new tokens")->check(CLI::Range(1, 1048576));
  command->add_option("--temperature", o->temperature, "0: greedy")->check(CLI::Range(0.0, 100.0));
  command->add_option("--top-p", o->top_p, "Nucleus of the distribution")
      ->check(CLI::Range(1e-6, 1.0));
  command->add_option("--top-k", o->top_k, "Most candidates; 0: all");
  command->add_option("--samples", o->samples, "Completions")->check(CLI::Range(1, 4096));
  command->add_option("--seed", o->seed, "Seed of the draws");
  command->add_option("--device", o->device, "cpu, or cuda: the first GPU, in a build with CUDA")
      ->check(CLI::IsMember({"cpu", "cuda"}));
  command->add_option("--threads", o->threads, "CPU threads; 0: every core");
  command->add_flag("--json", o->json, "Print a line of JSON for each completion");
  command->callback([&action, o] { action = [o] { return RunGenerate(*o); }; });
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
  command->add_option("--ids", o->ids, "Token ids, comma separated")->required()->delimiter(',');
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
  AddGenerate(app, action);
  AddLogits(app, action);
}

}  // namespace aha::pipelines
