#pragma once
/// The weights of a Hugging Face folder: model.safetensors, or several files and
/// model.safetensors.index.json, which says what tensor is in what file.

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "policy/checkpoint/safetensors.h"

namespace aha::policy {

/// The weight files of a folder: model.safetensors, or else what model.safetensors.index.json
/// lists, each once, in byte order. kNotFound when there is neither or a listed file is missing;
/// kCorrupt when a listed name is not a plain file name in the folder.
Result<std::vector<std::filesystem::path>> CheckpointShards(const std::filesystem::path& folder);

struct StoredTensor {
  const SafetensorsFile* file = nullptr;
  const TensorView* view = nullptr;
};

/// All weight files of a folder, mapped; only their headers are read. Its tensors live as long as
/// it does; moving it keeps them.
class CheckpointFiles {
 public:
  /// A folder, or a single .safetensors file. kCorrupt, naming the tensor, when two files hold it,
  /// or when index and files disagree.
  static Result<CheckpointFiles> Open(const std::filesystem::path& path);

  /// In byte order of names.
  [[nodiscard]] const std::vector<StoredTensor>& tensors() const { return tensors_; }
  /// Null when there is none of this name.
  [[nodiscard]] const StoredTensor* Find(std::string_view name) const;
  [[nodiscard]] std::size_t file_count() const { return files_.size(); }
  [[nodiscard]] const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
  std::vector<std::unique_ptr<const SafetensorsFile>> files_;
  std::vector<StoredTensor> tensors_;
};

struct SaveOptions {
  /// Most bytes of tensors in one file, as transformers' `max_shard_size`; a larger tensor has a
  /// file to itself.
  std::uint64_t max_shard_bytes = 5'000'000'000;
  Hashes hashes = Hashes::kRecord;
};

/// Writes tensors into an existing `folder`: model.safetensors, or model-00001-of-0000N.safetensors
/// ... and, last, the index as Hugging Face writes it. Tensors are dealt to files in the order
/// given. Each file appears whole; for the folder to do so, see WriteWholeFolder.
Status WriteCheckpoint(const std::filesystem::path& folder,
                       std::vector<TensorSource> tensors,
                       const SaveOptions& options = {});

}  // namespace aha::policy
