#include "policy/checkpoint/shards.h"

#include <algorithm>
#include <map>

#include <nlohmann/json.hpp>

#include "base/whole_file.h"
#include "policy/checkpoint/mapped_file.h"
#include "policy/checkpoint/strict_json.h"

namespace aha::policy {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kSingleName = "model.safetensors";
constexpr std::string_view kIndexName = "model.safetensors.index.json";

// A name that cannot lead out of the folder.
bool IsPlainName(const std::string& name) {
  return !name.empty() && name != "." && name != ".." && name.find('/') == std::string::npos &&
         name.find('\\') == std::string::npos && name.find('\0') == std::string::npos;
}

bool IsFile(const fs::path& path) {
  std::error_code ignored;
  return fs::is_regular_file(path, ignored);
}

// Tensor and file, as model.safetensors.index.json maps them.
using WeightMap = std::map<std::string, std::string>;

Result<WeightMap> ReadIndex(const fs::path& index) {
  AHA_ASSIGN(const std::string text, ReadSmallFile(index, kMaxSafetensorsHeader));
  AHA_ASSIGN(const nlohmann::json json, ParseStrictJson(text, index.string()));
  const nlohmann::json& map = JsonMember(json, "weight_map");
  if (!map.is_object() || map.empty()) {
    return Fail(Code::kCorrupt, "{}: weight_map: must be an object of tensors and files",
                index.string());
  }
  WeightMap files;
  for (const auto& [tensor, file] : map.items()) {
    if (!file.is_string() || !IsPlainName(file.get<std::string>())) {
      return Fail(Code::kCorrupt,
                  "{}: weight_map[\"{}\"]: must be the name of a file in the folder",
                  index.string(), tensor);
    }
    files[tensor] = file.get<std::string>();
  }
  return files;
}

// The weight map of a folder; empty when it has one model.safetensors.
Result<WeightMap> FindWeights(const fs::path& folder) {
  if (IsFile(folder / kSingleName)) return WeightMap{};
  const fs::path index = folder / kIndexName;
  std::error_code ignored;
  if (!fs::is_directory(folder, ignored)) {
    return Fail(
        Code::kNotFound,
        "{}: no such model folder; it must hold config.json, safetensors and tokenizer.json",
        folder.string());
  }
  if (!IsFile(index)) {
    return Fail(Code::kNotFound, "{}: has neither model.safetensors nor {}", folder.string(),
                kIndexName);
  }
  return ReadIndex(index);
}

Result<std::vector<fs::path>> ShardsOf(const fs::path& folder, const WeightMap& map) {
  if (map.empty()) return std::vector{folder / kSingleName};
  std::map<std::string, std::string> first;  // of each file, a tensor that it should hold
  for (const auto& [tensor, file] : map)
    first.emplace(file, tensor);
  std::vector<fs::path> shards;
  for (const auto& [file, tensor] : first) {
    shards.push_back(folder / file);
    if (!IsFile(shards.back())) {
      return Fail(Code::kNotFound, "{}: weight_map lists {}, which is not there (tensor {})",
                  (folder / kIndexName).string(), file, tensor);
    }
  }
  return shards;
}

// model-00001-of-00163.safetensors, as Hugging Face names them.
std::string ShardName(std::size_t shard, std::size_t count) {
  return count == 1 ? std::string(kSingleName)
                    : fmt::format("model-{:05}-of-{:05}.safetensors", shard + 1, count);
}

std::uint64_t BytesOf(const TensorSource& tensor) {
  return internal::ByteCount(tensor.shape, tensor.dtype).value_or(0);
}

// Tensors dealt to files in their order; a file is closed before it would outgrow `most` bytes.
std::vector<std::vector<TensorSource>> Deal(std::vector<TensorSource> tensors, std::uint64_t most) {
  std::vector<std::vector<TensorSource>> shards(1);
  std::uint64_t held = 0;
  for (TensorSource& tensor : tensors) {
    const std::uint64_t bytes = BytesOf(tensor);
    if (!shards.back().empty() && bytes > most - std::min(held, most)) {
      shards.emplace_back();
      held = 0;
    }
    held += bytes;
    shards.back().push_back(std::move(tensor));
  }
  return shards;
}

}  // namespace

Result<std::vector<fs::path>> CheckpointShards(const fs::path& folder) {
  AHA_ASSIGN(const WeightMap map, FindWeights(folder));
  return ShardsOf(folder, map);
}

Result<CheckpointFiles> CheckpointFiles::Open(const fs::path& path) {
  WeightMap map;
  std::vector<fs::path> shards = {path};
  if (path.extension() != ".safetensors" || !IsFile(path)) {
    AHA_ASSIGN(map, FindWeights(path));
    AHA_ASSIGN(shards, ShardsOf(path, map));
  }
  CheckpointFiles opened;
  opened.path_ = path;
  for (const fs::path& shard : shards) {
    AHA_ASSIGN(SafetensorsFile file, SafetensorsFile::Open(shard));
    opened.files_.push_back(std::make_unique<const SafetensorsFile>(std::move(file)));
  }
  for (const auto& file : opened.files_) {
    for (const TensorView& tensor : file->tensors()) {
      opened.tensors_.push_back({file.get(), &tensor});
    }
  }
  std::sort(opened.tensors_.begin(), opened.tensors_.end(),
            [](const auto& a, const auto& b) { return a.view->name < b.view->name; });
  for (std::size_t i = 1; i < opened.tensors_.size(); ++i) {
    if (opened.tensors_[i - 1].view->name != opened.tensors_[i].view->name) continue;
    return Fail(Code::kCorrupt, "{}: tensor {} is in {} too",
                opened.tensors_[i - 1].file->path().string(), opened.tensors_[i].view->name,
                opened.tensors_[i].file->path().string());
  }
  if (!map.empty()) {
    for (const StoredTensor& tensor : opened.tensors_) {
      const auto listed = map.find(tensor.view->name);
      const std::string held = tensor.file->path().filename().string();
      if (listed != map.end() && listed->second == held) continue;
      return Fail(Code::kCorrupt, "{}: tensor {} is in {}, and weight_map {}",
                  (path / kIndexName).string(), tensor.view->name, held,
                  listed == map.end() ? "does not list it" : "says " + listed->second);
    }
    for (const auto& [name, file] : map) {
      if (opened.Find(name) != nullptr) continue;
      return Fail(Code::kCorrupt, "{}: tensor {} is not in {}, where weight_map has it",
                  (path / kIndexName).string(), name, file);
    }
  }
  return opened;
}

const StoredTensor* CheckpointFiles::Find(std::string_view name) const {
  const auto found =
      std::lower_bound(tensors_.begin(), tensors_.end(), name,
                       [](const StoredTensor& t, std::string_view n) { return t.view->name < n; });
  return found != tensors_.end() && found->view->name == name ? &*found : nullptr;
}

Status WriteCheckpoint(const fs::path& folder,
                       std::vector<TensorSource> tensors,
                       const SaveOptions& options) {
  std::uint64_t total = 0;
  for (const TensorSource& tensor : tensors)
    total += BytesOf(tensor);
  std::vector<std::vector<TensorSource>> shards = Deal(std::move(tensors), options.max_shard_bytes);
  nlohmann::json map = nlohmann::json::object();
  for (std::size_t i = 0; i < shards.size(); ++i) {
    const std::string name = ShardName(i, shards.size());
    for (const TensorSource& tensor : shards[i]) {
      if (map.contains(tensor.name)) {
        return Fail(Code::kInvalidArgument, "{}: tensor {} is there twice", folder.string(),
                    tensor.name);
      }
      map[tensor.name] = name;
    }
    AHA_TRY(
        WriteSafetensors(folder / name, std::move(shards[i]), {{"format", "pt"}}, options.hashes));
  }
  if (shards.size() == 1) return {};
  const nlohmann::ordered_json index = {{"metadata", {{"total_size", total}}}, {"weight_map", map}};
  const auto text =
      Guard(folder.string(), [&] { return index.dump(2) + "\n"; });  // names are checked above
  if (!text) return tl::unexpected<Error>(text.error());
  return WriteWholeFile(folder / kIndexName, *text);
}

}  // namespace aha::policy
