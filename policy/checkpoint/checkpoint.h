#pragma once
/// Hugging Face folders in and out (law 8): config.json and safetensors, in one file or in shards,
/// under the names that transformers gives. Tokenizer files are somebody else's.

#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "policy/checkpoint/shards.h"
#include "policy/model/weights.h"

namespace aha::policy {

/// Loads a folder on all cores, each weight read once, none held twice. `as` gives the policy
/// another number type than config.json says; files may hold F32, F16, BF16, or FP8 with block
/// scales. Errors name file and tensor: missing, unexpected, of another shape or type, or not
/// finite. No memory is taken for weights that the files do not have.
Result<Weights> LoadWeights(const std::filesystem::path& folder,
                            std::optional<NumberType> as = {},
                            WeightsUse use = WeightsUse::kInference);

/// Writes config.json and the weights into an existing `folder`, in shards when they outgrow a
/// file, with the SHA-256 of every tensor. The MTP module's embedding and head are written as
/// copies of the trunk's, as DeepSeek releases them. WriteWholeFolder makes the folder appear
/// whole.
Status SaveWeights(const Weights& weights,
                   const std::filesystem::path& folder,
                   const SaveOptions& options = {});

/// Some of the tensors, by their places in Weights::tensors(), as one safetensors file; and back.
Status SaveTensors(const Weights& weights,
                   std::span<const std::size_t> which,
                   const std::filesystem::path& file);
Status RestoreTensors(Weights& weights,
                      std::span<const std::size_t> which,
                      const std::filesystem::path& file);

/// SHA-256 of the folder's weights: of model.safetensors as `sha256sum` prints it, or of its
/// shards' hashes in name order.
Result<std::string> WeightsHash(const std::filesystem::path& folder);

}  // namespace aha::policy
