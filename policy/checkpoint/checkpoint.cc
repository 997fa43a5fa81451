#include "policy/checkpoint/checkpoint.h"

#include <algorithm>
#include <map>
#include <string_view>
#include <thread>

#include <ATen/ops/from_blob.h>

#include "base/content_hash.h"
#include "base/parallel.h"
#include "base/whole_file.h"
#include "policy/checkpoint/compare.h"
#include "policy/checkpoint/mapped_file.h"
#include "policy/checkpoint/numbers.h"
#include "policy/checkpoint/safetensors.h"
#include "policy/model/tensors.h"

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
  return at::from_blob(const_cast<std::byte*>(tensor.data.data()), tensor.shape,
                       at::TensorOptions(type));
}

TensorView ViewOf(const std::string& name, const at::Tensor& value) {
  SafetensorsDtype type = SafetensorsDtype::kF32;
  if (value.scalar_type() == at::kBFloat16) type = SafetensorsDtype::kBF16;
  if (value.scalar_type() == at::kLong) type = SafetensorsDtype::kI64;
  return {name, type, value.sizes().vec(),
          std::span(static_cast<const std::byte*>(value.const_data_ptr()), value.nbytes())};
}

// Some rows of a tensor (or numbers of a vector), on their way from a file into a policy.
struct Piece {
  const StoredTensor* from = nullptr;
  const StoredTensor* scales = nullptr;  // of FP8
  const at::Tensor* to = nullptr;
  std::int64_t first = 0, last = 0;  // rows
};

constexpr std::int64_t kPieceBytes = std::int64_t{4} << 20U;

void CutIntoPieces(const StoredTensor& from,
                   const StoredTensor* scales,
                   const at::Tensor& to,
                   std::vector<Piece>& pieces) {
  const std::int64_t rows = to.size(0);
  const auto row_bytes = static_cast<std::int64_t>(from.view->data.size()) / rows;
  const std::int64_t at_once =
      std::max<std::int64_t>(1, kPieceBytes / std::max<std::int64_t>(1, row_bytes));
  for (std::int64_t first = 0; first < rows; first += at_once) {
    pieces.push_back({&from, scales, &to, first, std::min(rows, first + at_once)});
  }
}

Status Load(const Piece& piece) {
  const TensorView& view = *piece.from->view;
  const auto rows = static_cast<std::size_t>(piece.to->size(0));
  const auto first = static_cast<std::size_t>(piece.first);
  const std::size_t row_bytes = view.data.size() / rows;
  const auto bytes = view.data.subspan(
      first * row_bytes, static_cast<std::size_t>(piece.last - piece.first) * row_bytes);
  const SafetensorsDtype to =
      piece.to->scalar_type() == at::kBFloat16 ? SafetensorsDtype::kBF16 : SafetensorsDtype::kF32;
  auto* out =
      static_cast<std::byte*>(piece.to->mutable_data_ptr()) + first * (piece.to->nbytes() / rows);
  if (Status there = Populate(bytes); !there)
    return Within(there.error(), "{}", piece.from->file->path().string());
  const bool finite = piece.scales == nullptr
                          ? ConvertNumbers(view.dtype, bytes, to, out)
                          : DequantizeFp8Rows(view.data, piece.scales->view->data, view.shape[1],
                                              piece.first, piece.last, to, out);
  Drop(bytes);  // read once; the page cache keeps them, this process need not
  if (finite) return {};
  return Fail(Code::kCorrupt, "{}: tensor {} holds NaN or infinity",
              piece.from->file->path().string(), view.name);
}

int LoadThreads() {
  return static_cast<int>(std::clamp(std::thread::hardware_concurrency(), 1U, 16U));
}

}  // namespace

Result<Policy> LoadPolicy(const fs::path& folder, std::optional<NumberType> as) {
  AHA_ASSIGN(PolicyConfig config, ReadConfig(folder));
  if (as) config.dtype = *as;
  AHA_ASSIGN(const CheckpointFiles files, CheckpointFiles::Open(folder));
  LeaveOutAbsentMtp(files, config);
  // Before memory is taken for what config.json asks for, the files must have it.
  if (const auto problems = CompareTensors(config, files); !problems.empty()) {
    return Fail(Code::kCorrupt, "{}", problems.front().message);
  }
  Policy policy(config);
  std::vector<Piece> pieces;
  for (const auto* list : {&policy.parameters(), &policy.buffers()}) {
    for (const NamedTensor& slot : *list) {
      const StoredTensor* from = files.Find(slot.name);
      const bool fp8 = from->view->dtype == SafetensorsDtype::kF8E4M3;
      CutIntoPieces(*from, fp8 ? ScalesOf(files, slot.name) : nullptr, slot.value, pieces);
    }
  }
  AHA_TRY(RunParallel(LoadThreads(), pieces.size(),
                      [&](std::size_t i, int) { return Load(pieces[i]); }));
  return policy;
}

Status SavePolicy(const Policy& policy, const fs::path& folder, const SaveOptions& options) {
  AHA_TRY(WriteWholeFile(folder / "config.json", ConfigJson(policy.config())));
  std::map<std::string_view, const at::Tensor*> values;
  for (const auto* list : {&policy.parameters(), &policy.buffers()}) {
    for (const NamedTensor& tensor : *list)
      values[tensor.name] = &tensor.value;
  }
  std::vector<TensorSource> sources;
  for (const TensorSpec& spec : TensorsOf(policy.config())) {
    sources.push_back(
        SourceOf(ViewOf(spec.name, *values.at(spec.copy() ? spec.copy_of : spec.name))));
  }
  return WriteCheckpoint(folder, std::move(sources), options);
}

Status SaveTensors(const std::vector<NamedTensor>& tensors, const fs::path& file) {
  std::vector<TensorView> views;
  views.reserve(tensors.size());
  for (const NamedTensor& t : tensors)
    views.push_back(ViewOf(t.name, t.value));
  return WriteSafetensors(file, views, {{"format", "pt"}});
}

Result<std::vector<NamedTensor>> LoadTensors(const fs::path& path) {
  AHA_ASSIGN(const SafetensorsFile file, SafetensorsFile::Open(path));
  std::vector<NamedTensor> tensors;
  for (const TensorView& tensor : file.tensors()) {
    const auto type = ScalarTypeOf(tensor.dtype);
    if (!type)
      return Fail(Code::kCorrupt, "{}: tensor {} has an unexpected number type", path.string(),
                  tensor.name);
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
