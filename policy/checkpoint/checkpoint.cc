#include "policy/checkpoint/checkpoint.h"

#include <algorithm>
#include <map>
#include <set>

#include <ATen/ops/empty.h>
#include <ATen/ops/from_blob.h>
#include <ATen/ops/isfinite.h>
#include <c10/core/GradMode.h>

#include "base/content_hash.h"
#include "base/whole_file.h"
#include "policy/checkpoint/safetensors.h"

namespace aha::policy {
namespace fs = std::filesystem;
namespace {

std::optional<at::ScalarType> ScalarTypeOf(SafetensorsDtype type) {
  switch (type) {
    case SafetensorsDtype::kF32:
      return at::kFloat;
    case SafetensorsDtype::kBF16:
      return at::kBFloat16;
    case SafetensorsDtype::kF16:
      return at::kHalf;
    case SafetensorsDtype::kI64:
      return at::kLong;
    default:
      return {};
  }
}

// A tensor over the file's mapped bytes; valid while the file is open.
at::Tensor Borrow(const TensorView& tensor, at::ScalarType type) {
  return at::from_blob(const_cast<std::byte*>(tensor.data.data()), tensor.shape, at::TensorOptions(type));
}

TensorView ViewOf(const std::string& name, const at::Tensor& value) {
  SafetensorsDtype type = SafetensorsDtype::kF32;
  if (value.scalar_type() == at::kBFloat16) type = SafetensorsDtype::kBF16;
  if (value.scalar_type() == at::kLong) type = SafetensorsDtype::kI64;
  return {name, type, value.sizes().vec(),
          std::span(static_cast<const std::byte*>(value.const_data_ptr()), value.nbytes())};
}

std::string ShapeText(const std::vector<std::int64_t>& shape) { return fmt::format("[{}]", fmt::join(shape, ", ")); }

// Tensors that a folder may hold beside those a policy has.
bool Ignorable(const PolicyConfig& config, const std::string& name) {
  const std::string mtp = fmt::format("model.layers.{}.", config.num_hidden_layers);
  if (config.num_nextn_predict_layers == 0) return name.starts_with(mtp);  // a module that config.json leaves out
  if (name == mtp + "embed_tokens.weight" || name == mtp + "shared_head.head.weight") return true;  // copies
  return config.tie_word_embeddings && name == "lm_head.weight";
}

Status Fill(const NamedTensor& slot, const TensorView& stored, const fs::path& file) {
  const auto type = ScalarTypeOf(stored.dtype);
  if (!type || *type == at::kLong) {
    return Fail(Code::kCorrupt, "{}: tensor {} has a number type that weights cannot have", file.string(), slot.name);
  }
  if (slot.value.sizes().vec() != stored.shape) {
    return Fail(Code::kCorrupt, "{}: tensor {} has shape {}, config.json asks for {}", file.string(), slot.name,
                ShapeText(stored.shape), ShapeText(slot.value.sizes().vec()));
  }
  const at::NoGradGuard no_grad;
  const_cast<at::Tensor&>(slot.value).copy_(Borrow(stored, *type));
  if (!at::isfinite(slot.value).all().item<bool>()) {
    return Fail(Code::kCorrupt, "{}: tensor {} holds NaN or infinity", file.string(), slot.name);
  }
  return {};
}

// transformers writes config.json with an MTP module and files without it.
Status LeaveOutAbsentMtp(const std::vector<fs::path>& shards, PolicyConfig& config) {
  for (const fs::path& shard : shards) {
    AHA_ASSIGN(const SafetensorsFile file, SafetensorsFile::Open(shard));
    for (const TensorView& tensor : file.tensors()) {
      if (tensor.name.starts_with(MtpPrefix(config))) return {};
    }
  }
  config.num_nextn_predict_layers = 0;
  return {};
}

}  // namespace

Result<Policy> LoadPolicy(const fs::path& folder, std::optional<NumberType> as) {
  AHA_ASSIGN(PolicyConfig config, ReadConfig(folder));
  if (as) config.dtype = *as;
  AHA_ASSIGN(const std::vector<fs::path> shards, CheckpointShards(folder));
  AHA_TRY(LeaveOutAbsentMtp(shards, config));
  Policy policy(config);
  std::map<std::string, const NamedTensor*> wanted;
  for (const NamedTensor& p : policy.parameters()) wanted[p.name] = &p;
  for (const NamedTensor& b : policy.buffers()) wanted[b.name] = &b;
  std::set<std::string> found;
  for (const fs::path& shard : shards) {
    AHA_ASSIGN(const SafetensorsFile file, SafetensorsFile::Open(shard));
    for (const TensorView& tensor : file.tensors()) {
      const auto slot = wanted.find(tensor.name);
      if (slot == wanted.end()) {
        if (Ignorable(config, tensor.name)) continue;
        return Fail(Code::kCorrupt, "{}: tensor {} is not part of the model that config.json describes", shard.string(), tensor.name);
      }
      AHA_TRY(Fill(*slot->second, tensor, shard));
      found.insert(tensor.name);
    }
  }
  for (const auto& [name, slot] : wanted) {
    if (!found.contains(name)) return Fail(Code::kCorrupt, "{}: tensor {} is missing", folder.string(), name);
  }
  return policy;
}

Status SavePolicy(const Policy& policy, const fs::path& folder) {
  AHA_TRY(WriteWholeFile(folder / "config.json", ConfigJson(policy.config())));
  std::vector<NamedTensor> tensors;
  for (const NamedTensor& p : policy.parameters()) tensors.push_back({p.name, p.value.detach()});
  tensors.insert(tensors.end(), policy.buffers().begin(), policy.buffers().end());
  if (policy.config().num_nextn_predict_layers > 0) {
    const std::string mtp = fmt::format("model.layers.{}.", policy.config().num_hidden_layers);
    tensors.push_back({mtp + "embed_tokens.weight", policy.embedding().leaf().detach()});
    tensors.push_back({mtp + "shared_head.head.weight", policy.head().leaf().detach()});
  }
  return SaveTensors(tensors, folder / "model.safetensors");
}

Status SaveTensors(const std::vector<NamedTensor>& tensors, const fs::path& file) {
  std::vector<TensorView> views;
  views.reserve(tensors.size());
  for (const NamedTensor& t : tensors) views.push_back(ViewOf(t.name, t.value));
  return WriteSafetensors(file, views, {{"format", "pt"}});
}

Result<std::vector<NamedTensor>> LoadTensors(const fs::path& path) {
  AHA_ASSIGN(const SafetensorsFile file, SafetensorsFile::Open(path));
  std::vector<NamedTensor> tensors;
  for (const TensorView& tensor : file.tensors()) {
    const auto type = ScalarTypeOf(tensor.dtype);
    if (!type) return Fail(Code::kCorrupt, "{}: tensor {} has an unexpected number type", path.string(), tensor.name);
    tensors.push_back({tensor.name, Borrow(tensor, *type).clone()});
  }
  return tensors;
}

Result<std::string> WeightsHash(const fs::path& folder) {
  AHA_ASSIGN(const std::vector<fs::path> shards, CheckpointShards(folder));
  if (shards.size() == 1) return HashFile(shards.front());
  ContentHash hash;
  for (const fs::path& shard : shards) {
    AHA_ASSIGN(const std::string digest, HashFile(shard));
    hash.AddField(digest);
  }
  return hash.Hex();
}

}  // namespace aha::policy
