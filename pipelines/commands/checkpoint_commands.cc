// aha import, inspect, upcycle.

#include <array>
#include <memory>

#include "pipelines/commands/command.h"
#include "pipelines/model/model_folder.h"
#include "pipelines/stages/run_recipe.h"
#include "policy/checkpoint/gguf_import.h"
#include "policy/checkpoint/inspect.h"
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
    return Fail(Code::kInvalidArgument,
                "{}: exists and is no model folder, so it is not overwritten; name another",
                folder.string());
  }
  return folder;
}

std::uint64_t ShardBytes(double gigabytes) {
  return static_cast<std::uint64_t>(gigabytes * 1e9);
}

void AddShardOption(CLI::App* command, double* gigabytes) {
  command
      ->add_option("--max-shard-gb", *gigabytes,
                   "Most gigabytes (10^9 bytes) of weights in one file")
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
  options.dtype =
      o.dtype == "fp32" ? policy::SafetensorsDtype::kF32 : policy::SafetensorsDtype::kBF16;
  options.reading = o.tokens == "llama.cpp" ? policy::TokenizerReading::kLlamaCpp
                                            : policy::TokenizerReading::kTransformers;
  options.save.max_shard_bytes = ShardBytes(o.shard_gb);
  AHA_ASSIGN(const policy::ImportReport report, policy::ImportGguf(o.file, folder, options));
  const Json json = {{"checkpoint", folder.string()},
                     {"tensors", report.tensors},
                     {"parameters", report.parameters}};
  o.json ? PrintJson(json)
         : PrintLine(fmt::format("{}: {} tensors, {} parameters", folder.string(), report.tensors,
                                 report.parameters));
  return {};
}

void AddImport(CLI::App& app, Action& action) {
  auto o = std::make_shared<ImportFlags>();
  CLI::App* command = app.add_subcommand("import", "Turn a GGUF file into a model folder");
  command->add_option("file", o->file, "GGUF file (llama or qwen2)")->required();
  command->add_option("folder", o->folder, "Folder to write")->required();
  command->add_option("--dtype", o->dtype, "Number type of the weights: bf16 or fp32")
      ->check(CLI::IsMember({"bf16", "fp32"}));
  command
      ->add_option(
          "--tokens", o->tokens,
          "Whose reading of the tokenizer to follow where they differ: transformers or llama.cpp")
      ->check(CLI::IsMember({"transformers", "llama.cpp"}));
  AddShardOption(command, &o->shard_gb);
  command->add_flag("--json", o->json, "Print one line of JSON last");
  command->callback([&action, o] { action = [o] { return RunImport(*o); }; });
}

// --- inspect ------------------------------------------------------------------------------------

struct InspectFlags {
  std::string path;
  bool verify = false, json = false;
};

constexpr std::array kMismatches = {std::pair{policy::Mismatch::kMissing, "missing"},
                                    std::pair{policy::Mismatch::kUnexpected, "unexpected"},
                                    std::pair{policy::Mismatch::kShape, "wrong_shape"},
                                    std::pair{policy::Mismatch::kType, "wrong_type"}};

Json InspectionJson(const policy::Inspection& seen) {
  Json json = {{"format", seen.format},         {"parameters", seen.parameters.total},
               {"active_parameters", nullptr},  {"mtp_parameters", nullptr},
               {"kv_bytes_per_token", nullptr}, {"inference_bytes", nullptr},
               {"training_bytes", nullptr},     {"files", seen.files},
               {"tensors", seen.tensors},       {"bytes", seen.bytes},
               {"types", seen.tensors_of_type}};
  if (seen.config) {
    const policy::PolicyConfig& c = *seen.config;
    json["active_parameters"] = seen.parameters.active;
    json["mtp_parameters"] = seen.parameters.mtp;
    json["kv_bytes_per_token"] = c.kv_width() * c.num_hidden_layers * c.bytes_per_number();
    json["inference_bytes"] = EstimateBytes(c, Use::kInference);
    json["training_bytes"] = EstimateBytes(c, Use::kTraining);
  }
  for (const auto& [kind, name] : kMismatches) {
    Json tensors = Json::array();
    for (const policy::TensorProblem& problem : seen.problems) {
      if (problem.kind == kind) tensors.push_back(problem.tensor);
    }
    json[name] = std::move(tensors);
  }
  return json;
}

void PrintInspection(const policy::Inspection& seen, const Json& json) {
  std::string types;
  for (const auto& [type, count] : seen.tensors_of_type)
    types += fmt::format("{}{} {}", types.empty() ? "" : ", ", count, type);
  PrintLine(fmt::format("{}: {} tensors ({}), {} bytes in {} files", seen.format, seen.tensors,
                        types, seen.bytes, seen.files));
  if (!seen.config) {
    PrintLine(
        fmt::format("{} numbers; no config.json to hold them against", seen.parameters.total));
    return;
  }
  const auto gib = [&](const char* key) { return json[key].get<double>() / (1 << 30); };
  PrintLine(fmt::format("{} parameters, {} active for a token, {} of multi-token prediction",
                        seen.parameters.total, seen.parameters.active, seen.parameters.mtp));
  PrintLine(
      fmt::format("{} bytes of cache a token; about {:.2f} GiB of memory for inference, {:.2f} GiB "
                  "for training",
                  json["kv_bytes_per_token"].get<std::int64_t>(), gib("inference_bytes"),
                  gib("training_bytes")));
  constexpr std::size_t kShown = 20;
  for (std::size_t i = 0; i < std::min(kShown, seen.problems.size()); ++i)
    PrintLine(seen.problems[i].message);
  if (seen.problems.size() > kShown)
    PrintLine(fmt::format("... and {} more", seen.problems.size() - kShown));
}

Status RunInspect(const InspectFlags& o) {
  AHA_ASSIGN(const policy::Inspection seen, policy::Inspect(o.path));
  Json json = InspectionJson(seen);
  std::optional<policy::Verification> verified;
  if (o.verify) {
    if (seen.format == "gguf")
      return Fail(Code::kInvalidArgument, "--verify: a GGUF file records no hashes");
    AHA_ASSIGN(verified, policy::VerifyCheckpoint(o.path, WorkThreads(0)));
    json["verified"] = verified->verified;
    json["unrecorded"] = verified->unrecorded;
  }
  if (!o.json) {
    PrintInspection(seen, json);
    if (verified)
      PrintLine(fmt::format("{} tensors have the SHA-256 recorded for them, {} have none recorded",
                            verified->verified, verified->unrecorded));
  } else {
    PrintJson(json);
  }
  if (seen.problems.empty()) return {};
  return Fail(Code::kCorrupt, "{}{}", seen.problems.front().message,
              seen.problems.size() == 1
                  ? ""
                  : fmt::format(" (and {} more problems)", seen.problems.size() - 1));
}

void AddInspect(CLI::App& app, Action& action) {
  auto o = std::make_shared<InspectFlags>();
  CLI::App* command =
      app.add_subcommand("inspect", "Check a checkpoint by its headers, and count what it needs");
  command->add_option("path", o->path, "Model folder, .safetensors or .gguf file")->required();
  command->add_flag("--verify", o->verify,
                    "Read all weights and compare the SHA-256 recorded for each tensor");
  command->add_flag("--json", o->json, "Print one line of JSON last");
  command->callback([&action, o] { action = [o] { return RunInspect(*o); }; });
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
  if (fs::equivalent(o.folder, out, error))
    return Fail(Code::kInvalidArgument, "{}: is the model itself; name another folder", o.out);
  o.options.save.max_shard_bytes = ShardBytes(o.shard_gb);
  AHA_TRY(policy::Upcycle(o.folder, out, o.options));
  const Json json = {
      {"checkpoint", out.string()}, {"experts", o.options.experts}, {"active", o.options.active}};
  o.json ? PrintJson(json)
         : PrintLine(fmt::format("{}: {} experts, {} active for a token", out.string(),
                                 o.options.experts, o.options.active));
  return {};
}

void AddUpcycle(CLI::App& app, Action& action) {
  auto o = std::make_shared<UpcycleFlags>();
  CLI::App* command = app.add_subcommand(
      "upcycle", "Turn a dense model into a mixture of copies of its feed-forward network");
  command->add_option("folder", o->folder, "Model folder (LlamaForCausalLM or Qwen2ForCausalLM)")
      ->required();
  command->add_option("out", o->out, "Folder to write (MixtralForCausalLM or Qwen2MoeForCausalLM)")
      ->required();
  command->add_option("--experts", o->options.experts, "Experts of each layer")
      ->required()
      ->check(CLI::Range(2, 4096));
  command->add_option("--active", o->options.active, "Experts for a token")
      ->required()
      ->check(CLI::Range(1, 4096));
  command
      ->add_option("--noise", o->options.noise,
                   "Noise on the experts, times the root mean square of each matrix")
      ->check(CLI::Range(0.0, 10.0));
  command->add_option("--router-std", o->options.router_std, "Standard deviation of the routers")
      ->check(CLI::Range(0.0, 10.0));
  command->add_option("--seed", o->options.seed, "Seed of routers and noise");
  AddShardOption(command, &o->shard_gb);
  command->add_flag("--json", o->json, "Print one line of JSON last");
  command->callback([&action, o] { action = [o] { return RunUpcycle(*o); }; });
}

}  // namespace

void AddCheckpointCommands(CLI::App& app, Action& action) {
  AddImport(app, action);
  AddInspect(app, action);
  AddUpcycle(app, action);
}

}  // namespace aha::pipelines
