#pragma once
/// A model folder as the pipeline uses it: policy and tokenizer together, checked against each
/// other.

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "policy/model/weights.h"
#include "policy/tokenizer/tokenizer.h"
#include "policy/training/optimizer.h"

namespace aha::pipelines {

struct Model {
  policy::Weights weights;
  policy::Tokenizer tokenizer;
  /// Tokens that end a completion: eos_token_id of config.json (the first), those of
  /// generation_config.json, and the one that ends an answer in the folder's chat template.
  std::vector<std::int32_t> stop_ids;
  /// What a training example ends with; -1: nothing.
  [[nodiscard]] std::int32_t stop_id() const { return stop_ids.empty() ? -1 : stop_ids.front(); }
};

/// What a run does with a model, for the estimate of its memory.
enum class Use : std::uint8_t { kInference, kTraining, kTrainingWithReference };

/// What training takes beside the model.
struct TrainingMemory {
  std::int64_t micro_batch_tokens = 4096;
  policy::Moments moments = policy::Moments::kFp32;
};

/// Loads a folder. Refused before anything is loaded when the estimate exceeds the memory at hand
/// (kExhausted, with both figures); kInvalidArgument when the tokenizer has ids that the model has
/// no embedding for.
Result<Model> LoadModel(const std::filesystem::path& folder,
                        Use use,
                        std::optional<policy::NumberType> as = {},
                        const TrainingMemory& training = {});

/// Bytes that `use` needs for weights, masters, moments, gradients and activations of a
/// micro-batch.
std::int64_t EstimateBytes(const policy::PolicyConfig& config,
                           Use use,
                           const TrainingMemory& training = {});
/// Bytes this process may still take: MemAvailable, or what its cgroup leaves if that is less.
std::int64_t AvailableBytes();

/// Writes a whole model folder: weights, config, and the tokenizer's files copied from
/// `tokenizer_from`.
Status SaveModel(const policy::Weights& weights,
                 const std::filesystem::path& tokenizer_from,
                 const std::filesystem::path& folder);
/// Copies tokenizer.json, tokenizer_config.json, special_tokens_map.json, chat_template.jinja and
/// generation_config.json, those that exist.
Status CopyTokenizer(const std::filesystem::path& from, const std::filesystem::path& to);

/// The base model that ships with Aha: beside the installed program, or in the source tree.
/// AHA_BASE_MODEL names another folder.
Result<std::filesystem::path> EmbeddedBase();
/// A model as a recipe names it: "embedded", or a folder relative to `recipe_folder`.
Result<std::filesystem::path> FindModel(const std::string& name,
                                        const std::filesystem::path& recipe_folder);

}  // namespace aha::pipelines
