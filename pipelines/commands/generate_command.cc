// aha generate.

#include <memory>

#include "pipelines/commands/command.h"
#include "pipelines/model/model_folder.h"
#include "pipelines/stages/run_recipe.h"
#include "policy/cuda/device.h"
#include "rollout/cuda/generator.h"
#include "rollout/engine.h"
#include "rollout/unit.h"
#include "sft/chat_template.h"

namespace aha::pipelines {
namespace {

struct GenerateOptions {
  std::string folder, prompt, prompt_template, device = "cpu";
  std::uint32_t max_new = 128, top_k = 0, samples = 1, threads = 0;
  double temperature = 1, top_p = 1, min_p = 0;
  std::vector<std::string> stop;
  std::uint64_t seed = 1;
  bool json = false;
};

// One sample's tokens into text for its stop strings.
class Decoder : public rollout::TextDecoder {
 public:
  explicit Decoder(const policy::Tokenizer& tokenizer) : decoder_(tokenizer) {}
  void Append(std::int32_t id, std::string& bytes) override { bytes += decoder_.Push(id); }

 private:
  policy::StreamDecoder decoder_;
};

Result<rollout::Request> RequestFor(const GenerateOptions& o,
                                    const std::string& prompt,
                                    const Model& model) {
  rollout::Request request;
  AHA_ASSIGN(request.prompt, model.tokenizer.Encode(prompt));
  request.samples = o.samples;
  request.random = KeyedRandom(o.seed, "sample/generate").With(0).With(0);
  request.sampling = {.temperature = static_cast<float>(o.temperature),
                      .top_k = o.top_k,
                      .top_p = static_cast<float>(o.top_p),
                      .min_p = static_cast<float>(o.min_p),
                      .max_new_tokens = o.max_new};
  request.stop_ids = model.stop_ids;
  request.stop_strings = o.stop;
  request.decoder = [&model] { return std::make_unique<Decoder>(model.tokenizer); };
  return request;
}

Result<rollout::Outcome> RunOnCpu(const Model& model,
                                  const rollout::Request& request,
                                  std::uint32_t threads) {
  AHA_ASSIGN(const policy::cpu::KernelTarget target, policy::cpu::ChooseKernelTarget());
  const policy::cpu::Cpu cpu(target, WorkThreads(threads));
  rollout::Engine engine(model.weights, cpu, {});
  AHA_TRY(engine.Add(request));
  while (engine.Step()) {
  }
  rollout::Outcome outcome = std::move(engine.TakeOutcomes().front());
  if (outcome.error) return tl::unexpected<Error>(*outcome.error);
  return outcome;
}

Result<rollout::Outcome> RunOnGpu(const Model& model, const rollout::Request& request) {
  AHA_ASSIGN(const std::unique_ptr<rollout::Generator> generator,
             rollout::CudaGenerator(model.weights, {}));
  return generator->Run(request);
}

// What is shown of a sample: neither the token that stopped it nor the string that did.
std::string TextOf(const rollout::SampleOutcome& sample,
                   const GenerateOptions& o,
                   const Model& model) {
  std::vector<std::int32_t> shown = sample.ids;
  if (sample.finish == rollout::Finish::kStop && !sample.stop_string) shown.pop_back();
  std::string text = model.tokenizer.Decode(shown);
  if (sample.stop_string) text.resize(text.rfind(o.stop[*sample.stop_string]));
  return text;
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
  AHA_ASSIGN(const rollout::Request request, RequestFor(o, prompt, model));
  AHA_ASSIGN(const rollout::Outcome outcome,
             o.device == "cuda" ? RunOnGpu(model, request) : RunOnCpu(model, request, o.threads));
  for (const rollout::SampleOutcome& sample : outcome.samples) {
    const std::string text = TextOf(sample, o, model);
    if (!o.json) {
      PrintLine(text);
      continue;
    }
    PrintJson({{"text", text},
               {"tokens", sample.ids},
               {"logprobs", std::vector<double>(sample.logprobs.begin(), sample.logprobs.end())},
               {"finish", sample.finish == rollout::Finish::kStop ? "stop" : "length"}});
  }
  return {};
}

}  // namespace

void AddGenerateCommand(CLI::App& app, Action& action) {
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
  command
      ->add_option("--min-p", o->min_p,
                   "Least probability of a candidate, as a share of the likeliest one's; 0: off")
      ->check(CLI::Range(0.0, 1.0));
  command
      ->add_option("--stop", o->stop,
                   "End a completion before this text; may be given several times")
      ->expected(1)
      ->take_all()
      ->check([](const std::string& text) { return text.empty() ? "must not be empty" : ""; });
  command->add_option("--samples", o->samples, "Completions")->check(CLI::Range(1, 4096));
  command->add_option("--seed", o->seed, "Seed of the draws");
  command->add_option("--device", o->device, "cpu, or cuda: the first GPU, in a build with CUDA")
      ->check(CLI::IsMember({"cpu", "cuda"}));
  command->add_option("--threads", o->threads, "CPU threads; 0: every core");
  command->add_flag("--json", o->json, "Print a line of JSON for each completion");
  command->callback([&action, o] { action = [o] { return RunGenerate(*o); }; });
}

}  // namespace aha::pipelines
