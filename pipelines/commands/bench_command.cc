// aha bench: what its command line says.

#include <memory>

#include "pipelines/commands/bench_decode.h"
#include "pipelines/commands/bench_train.h"
#include "pipelines/commands/command.h"

namespace aha::pipelines {

void AddBenchCommand(CLI::App& app, Action& action) {
  auto o = std::make_shared<DecodeBenchOptions>();
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
  command
      ->add_option("--device", o->device,
                   "cpu, or cuda: the first GPU, in a build with CUDA; samples share one prompt")
      ->check(CLI::IsMember({"cpu", "cuda"}));
  command->add_flag(
      "--stop", o->stop,
      "Let completions end at the model's stop tokens: what guesses meet in real use");
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
      action = [o] { return RunDecodeBench(*o); };
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
