// aha import, upcycle.

#include <memory>

#include "pipelines/commands/command.h"
#include "policy/checkpoint/gguf_import.h"
#include "policy/checkpoint/upcycle.h"

namespace aha::pipelines {
namespace {

namespace fs = std::filesystem;

// A folder to write: without the slash at its end, and nothing there but a model.
Result<fs::path> OutputFolder(const std::string& named) {
  fs::path folder = fs::path(named).lexically_normal();
  if (folder.filename().empty()) folder = folder.parent_path();
  std::error_code error;
  if (fs::exists(folder, error) && !fs::exists(folder / "config.json", error) &&
      !(fs::is_directory(folder, error) && fs::is_empty(folder, error))) {
    return Fail(Code::kInvalidArgument, "{}: exists and is no model folder, so it is not overwritten; name another", folder.string());
  }
  return folder;
}

std::uint64_t ShardBytes(double gigabytes) { return static_cast<std::uint64_t>(gigabytes * 1e9); }

void AddShardOption(CLI::App* command, double* gigabytes) {
  command->add_option("--max-shard-gb", *gigabytes, "Most gigabytes (10^9 bytes) of weights in one file")
      ->check(CLI::Range(1e-6, 1e6));
}

// --- import -------------------------------------------------------------------------------------

struct ImportFlags {
  std::string file, folder, dtype = "bf16", tokens = "transformers";
  double shard_gb = 5;
  bool json = false;
};

Status RunImport(const ImportFlags& o) {
  AHA_ASSIGN(const fs::path folder, OutputFolder(o.folder));
  policy::ImportOptions options;
  options.dtype = o.dtype == "fp32" ? policy::SafetensorsDtype::kF32 : policy::SafetensorsDtype::kBF16;
  options.reading = o.tokens == "llama.cpp" ? policy::TokenizerReading::kLlamaCpp : policy::TokenizerReading::kTransformers;
  options.save.max_shard_bytes = ShardBytes(o.shard_gb);
  AHA_ASSIGN(const policy::ImportReport report, policy::ImportGguf(o.file, folder, options));
  const Json json = {{"checkpoint", folder.string()}, {"tensors", report.tensors}, {"parameters", report.parameters}};
  o.json ? PrintJson(json)
         : PrintLine(fmt::format("{}: {} tensors, {} parameters", folder.string(), report.tensors, report.parameters));
  return {};
}

void AddImport(CLI::App& app, Action& action) {
  auto o = std::make_shared<ImportFlags>();
  CLI::App* command = app.add_subcommand("import", "Turn a GGUF file into a model folder");
  command->add_option("file", o->file, "GGUF file (llama or qwen2)")->required();
  command->add_option("folder", o->folder, "Folder to write")->required();
  command->add_option("--dtype", o->dtype, "Number type of the weights: bf16 or fp32")->check(CLI::IsMember({"bf16", "fp32"}));
  command->add_option("--tokens", o->tokens, "Whose reading of the tokenizer to follow where they differ: transformers or llama.cpp")
      ->check(CLI::IsMember({"transformers", "llama.cpp"}));
  AddShardOption(command, &o->shard_gb);
  command->add_flag("--json", o->json, "Print one line of JSON last");
  command->callback([&action, o] { action = [o] { return RunImport(*o); }; });
}

// --- upcycle ------------------------------------------------------------------------------------

struct UpcycleFlags {
  std::string folder, out;
  policy::UpcycleOptions options;
  double shard_gb = 5;
  bool json = false;
};

Status RunUpcycle(UpcycleFlags& o) {
  AHA_ASSIGN(const fs::path out, OutputFolder(o.out));
  std::error_code error;
  if (fs::equivalent(o.folder, out, error)) return Fail(Code::kInvalidArgument, "{}: is the model itself; name another folder", o.out);
  o.options.save.max_shard_bytes = ShardBytes(o.shard_gb);
  AHA_TRY(policy::Upcycle(o.folder, out, o.options));
  const Json json = {{"checkpoint", out.string()}, {"experts", o.options.experts}, {"active", o.options.active}};
  o.json ? PrintJson(json)
         : PrintLine(fmt::format("{}: {} experts, {} active for a token", out.string(), o.options.experts, o.options.active));
  return {};
}

void AddUpcycle(CLI::App& app, Action& action) {
  auto o = std::make_shared<UpcycleFlags>();
  CLI::App* command = app.add_subcommand("upcycle", "Turn a dense model into a mixture of copies of its feed-forward network");
  command->add_option("folder", o->folder, "Model folder (LlamaForCausalLM or Qwen2ForCausalLM)")->required();
  command->add_option("out", o->out, "Folder to write (MixtralForCausalLM or Qwen2MoeForCausalLM)")->required();
  command->add_option("--experts", o->options.experts, "Experts of each layer")->required()->check(CLI::Range(2, 4096));
  command->add_option("--active", o->options.active, "Experts for a token")->required()->check(CLI::Range(1, 4096));
  command->add_option("--noise", o->options.noise, "Noise on the experts, times the root mean square of each matrix")
      ->check(CLI::Range(0.0, 10.0));
  command->add_option("--router-std", o->options.router_std, "Standard deviation of the routers")->check(CLI::Range(0.0, 10.0));
  command->add_option("--seed", o->options.seed, "Seed of routers and noise");
  AddShardOption(command, &o->shard_gb);
  command->add_flag("--json", o->json, "Print one line of JSON last");
  command->callback([&action, o] { action = [o] { return RunUpcycle(*o); }; });
}

}  // namespace

void AddCheckpointCommands(CLI::App& app, Action& action) {
  AddImport(app, action);
  AddUpcycle(app, action);
}

}  // namespace aha::pipelines
