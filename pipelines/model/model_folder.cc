#include "pipelines/model/model_folder.h"

#include <algorithm>
#include <array>
#include <cstdlib>
#include <fstream>
#include <limits>
#include <sstream>

#include "base/whole_file.h"
#include "policy/checkpoint/checkpoint.h"
#include "policy/checkpoint/strict_json.h"
#include "policy/model/tape_size.h"
#include "policy/training/update.h"
#include "sft/chat_template.h"

namespace aha::pipelines {
namespace fs = std::filesystem;
namespace {

std::optional<std::int64_t> NumberIn(const fs::path& file) {
  std::ifstream stream(file);
  std::int64_t value = 0;
  if (stream >> value) return value;
  return {};
}

std::string Gib(std::int64_t bytes) {
  return fmt::format("{:.2f} GiB", static_cast<double>(bytes) / (1 << 30));
}

constexpr std::array kTokenizerFiles = {"tokenizer.json", "tokenizer_config.json",
                                        "special_tokens_map.json", "chat_template.jinja",
                                        "generation_config.json"};

// eos_token_id of generation_config.json: none, one, or a list.
Result<std::vector<std::int64_t>> GenerationStops(const fs::path& folder) {
  const fs::path file = folder / "generation_config.json";
  if (!fs::exists(file)) return std::vector<std::int64_t>();
  AHA_ASSIGN(const std::string text, ReadFile(file));
  AHA_ASSIGN(const nlohmann::json json, policy::ParseStrictJson(text, file.string()));
  const nlohmann::json& found = policy::JsonMember(json, "eos_token_id");
  std::vector<std::int64_t> ids;
  if (found.is_null()) return ids;
  const std::string where = file.string() + ": eos_token_id";
  for (const nlohmann::json& entry : found.is_array() ? found : nlohmann::json::array({found})) {
    AHA_ASSIGN(ids.emplace_back(), policy::JsonValue<std::int64_t>(entry, where));
  }
  return ids;
}

Result<std::vector<std::int32_t>> StopIds(const fs::path& folder,
                                          const policy::PolicyConfig& config,
                                          const policy::Tokenizer& tokenizer) {
  std::vector<std::int64_t> all;
  if (config.eos_token_id) all.push_back(*config.eos_token_id);
  all.insert(all.end(), config.more_eos_token_ids.begin(), config.more_eos_token_ids.end());
  AHA_ASSIGN(const std::vector<std::int64_t> more, GenerationStops(folder));
  all.insert(all.end(), more.begin(), more.end());
  // A template that is not known is refused where it is asked for, not by those who name another.
  if (const auto own = sft::ReadChatTemplate(folder); own && *own && !(*own)->stop.empty()) {
    if (const auto stop = tokenizer.IdOf((*own)->stop)) all.push_back(*stop);
  }
  std::vector<std::int32_t> ids;
  for (const std::int64_t id : all) {
    if (id < 0 || id >= config.vocab_size) {
      return Fail(Code::kCorrupt, "{}: eos_token_id {} is outside the vocabulary of {}",
                  folder.string(), id, config.vocab_size);
    }
    const auto stop = static_cast<std::int32_t>(id);
    if (std::find(ids.begin(), ids.end(), stop) == ids.end()) ids.push_back(stop);
  }
  return ids;
}

}  // namespace

std::int64_t EstimateBytes(const policy::PolicyConfig& config,
                           Use use,
                           const TrainingMemory& training) {
  const policy::ParameterCount count = policy::CountParameters(config);
  const std::int64_t all = count.total + count.mtp;
  const std::int64_t weights = all * config.bytes_per_number();
  const std::int64_t program = std::int64_t{100} << 20U;
  if (use == Use::kInference) return program + 2 * weights;  // the second half: cache and logits
  // Every matrix twice (the gradients of inputs read it transposed); fp32 master and gradient; two
  // moments.
  const std::int64_t moment = training.moments == policy::Moments::kBf16 ? 2 : 4;
  std::int64_t bytes = program + 2 * weights + (8 + 2 * moment) * all;
  if (use == Use::kTrainingWithReference) bytes += weights;
  const auto tape =
      policy::TapeBytes(config, static_cast<std::size_t>(training.micro_batch_tokens));
  return bytes + static_cast<std::int64_t>(std::min(tape, policy::Update::kMostTapeBytes));
}

std::int64_t AvailableBytes() {
  std::int64_t available = std::numeric_limits<std::int64_t>::max();
  std::ifstream meminfo("/proc/meminfo");
  for (std::string line; std::getline(meminfo, line);) {
    std::istringstream words(line);
    std::string key;
    std::int64_t kib = 0;
    if (words >> key >> kib && key == "MemAvailable:") available = kib << 10U;
  }
  // cgroup v2: memory.max holds "max" when there is no limit.
  if (const auto limit = NumberIn("/sys/fs/cgroup/memory.max")) {
    available = std::min(available, *limit - NumberIn("/sys/fs/cgroup/memory.current").value_or(0));
  }
  return available;
}

Result<Model> LoadModel(const fs::path& folder,
                        Use use,
                        std::optional<policy::NumberType> as,
                        const TrainingMemory& training) {
  AHA_ASSIGN(policy::PolicyConfig config, policy::ReadConfig(folder));
  if (as) config.dtype = *as;
  const std::int64_t needed = EstimateBytes(config, use, training);
  const std::int64_t available = AvailableBytes();
  if (needed > available) {
    return Fail(Code::kExhausted, "{}: needs about {} of memory ({} parameters), {} are available",
                folder.string(), Gib(needed), policy::CountParameters(config).total,
                Gib(available));
  }
  AHA_ASSIGN(policy::Tokenizer tokenizer, policy::Tokenizer::Load(folder / "tokenizer.json"));
  if (static_cast<std::int64_t>(tokenizer.vocab_size()) > config.vocab_size) {
    return Fail(Code::kInvalidArgument,
                "{}: tokenizer.json has {} tokens, config.json a vocab_size of {}; they do not "
                "belong together",
                folder.string(), tokenizer.vocab_size(), config.vocab_size);
  }
  AHA_ASSIGN(std::vector<std::int32_t> stops, StopIds(folder, config, tokenizer));
  const auto packed =
      use == Use::kInference ? policy::WeightsUse::kInference : policy::WeightsUse::kTraining;
  AHA_ASSIGN(policy::Weights weights, policy::LoadWeights(folder, as, packed));
  return Model{std::move(weights), std::move(tokenizer), std::move(stops)};
}

Status CopyTokenizer(const fs::path& from, const fs::path& to) {
  for (const char* name : kTokenizerFiles) {
    if (!fs::exists(from / name)) continue;
    AHA_ASSIGN(const std::string bytes, ReadFile(from / name));
    AHA_TRY(WriteWholeFile(to / name, bytes));
  }
  return {};
}

Status SaveModel(const policy::Weights& weights,
                 const fs::path& tokenizer_from,
                 const fs::path& folder) {
  return WriteWholeFolder(folder, [&](const fs::path& aside) -> Status {
    AHA_TRY(policy::SaveWeights(weights, aside));
    return CopyTokenizer(tokenizer_from, aside);
  });
}

Result<fs::path> EmbeddedBase() {
  if (const char* named = std::getenv("AHA_BASE_MODEL"); named != nullptr && *named != '\0')
    return fs::path(named);
  std::error_code error;
  const fs::path program = fs::read_symlink("/proc/self/exe", error);
  const fs::path installed = program.parent_path() / ".." / "share" / "aha" / "base";
  const fs::path source = fs::path(AHA_SHARE_DIR) / "base";
  for (const fs::path& place : {installed, source}) {
    if (fs::exists(place / "config.json", error)) return fs::weakly_canonical(place);
  }
  return Fail(Code::kNotFound,
              "the embedded base model is neither in {} nor in {}; make it with `aha pretrain "
              "pipelines/recipes/pretrain.textproto`",
              installed.lexically_normal().string(), source.string());
}

Result<fs::path> FindModel(const std::string& name, const fs::path& recipe_folder) {
  if (name == "embedded") return EmbeddedBase();
  const fs::path path(name);
  if (path.is_absolute() || fs::exists(path)) return path;
  return recipe_folder / path;
}

}  // namespace aha::pipelines
