#pragma once
/// Hugging Face folders in and out (law 8): config.json and safetensors under the names of
/// DeepseekV3ForCausalLM. Tokenizer files are somebody else's.

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "policy/model/policy.h"

namespace aha::policy {

/// Loads a folder. `as` gives the policy another number type than the files have. Errors name file
/// and tensor: missing, unexpected, of another shape or type, or not finite.
Result<Policy> LoadPolicy(const std::filesystem::path& folder, std::optional<NumberType> as = {});

/// Writes config.json and model.safetensors into an existing `folder`. The MTP module's embedding
/// and head are written as copies of the trunk's, as DeepSeek releases them.
Status SavePolicy(const Policy& policy, const std::filesystem::path& folder);

/// Named tensors (fp32, bf16, int64) as one safetensors file, and back in name order.
Status SaveTensors(const std::vector<NamedTensor>& tensors, const std::filesystem::path& file);
Result<std::vector<NamedTensor>> LoadTensors(const std::filesystem::path& file);

/// SHA-256 of the folder's weights: of model.safetensors as `sha256sum` prints it, or of its shards'
/// hashes in name order.
Result<std::string> WeightsHash(const std::filesystem::path& folder);

}  // namespace aha::policy
