#pragma once
/// A checkpoint's headers held against its config: what a load would refuse, told without reading a
/// weight or taking memory for one. No LibTorch here.

#include <string>
#include <vector>

#include "policy/checkpoint/shards.h"
#include "policy/config.h"
#include "policy/model/tensors.h"

namespace aha::policy {

enum class Mismatch : std::uint8_t { kMissing, kUnexpected, kShape, kType };

struct TensorProblem {
  Mismatch kind = Mismatch::kMissing;
  std::string tensor;
  std::string message;  ///< with the file's path in front
};

/// What the tensors of `files` are when they are `config`'s: in the order of TensorsOf, then those
/// that do not belong in the order of the files. Nothing when all is well.
///
/// Weights may be F64, F32, F16 or BF16, or F8_E4M3 with a fp32 scale for each 128 x 128 block
/// under "NAME_scale_inv". Passed over: copies that a format repeats, the MTP module of a config
/// that leaves it out, a head beside a tied embedding, rotary frequencies.
std::vector<TensorProblem> CompareTensors(const PolicyConfig& config, const CheckpointFiles& files);

/// transformers writes a config.json with an MTP module and files without it: then the config loses
/// it.
void LeaveOutAbsentMtp(const CheckpointFiles& files, PolicyConfig& config);

/// Whether a tensor that no policy has may be in its files.
bool MayBeThere(const PolicyConfig& config, const CheckpointFiles& files, std::string_view name);

/// The scales of an FP8 weight; null when there are none.
const StoredTensor* ScalesOf(const CheckpointFiles& files, std::string_view name);

}  // namespace aha::policy
