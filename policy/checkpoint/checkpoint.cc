#include "policy/checkpoint/checkpoint.h"

#include <algorithm>
#include <cstdint>
#include <string_view>
#include <thread>

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

// Of a tensor on its way; small enough for a core's own cache, as some of it is read twice.
constexpr std::size_t kPieceBytes = std::size_t{1} << 19U;

// What a tensor's numbers are in files and on their way.
SafetensorsDtype TypeOf(const Weights& weights, const Weights::Tensor& tensor) {
  const bool buffer = tensor.spec.role == TensorRole::kSelectionBias;
  return weights.kind() == cpu::NumberKind::kBf16 && !buffer ? SafetensorsDtype::kBF16
                                                             : SafetensorsDtype::kF32;
}

// Whole panels of packed matrices where there is room for one.
std::size_t RowsAtOnce(std::size_t row_bytes) {
  constexpr std::size_t kPanel = cpu::PackedMatrix::kPanel;
  const std::size_t rows = kPieceBytes / std::max<std::size_t>(1, row_bytes);
  return rows < kPanel ? std::max<std::size_t>(1, rows) : rows / kPanel * kPanel;
}

// Rows of a tensor on their way from a file into a policy.
struct Piece {
  const StoredTensor* from = nullptr;
  const StoredTensor* scales = nullptr;  // of FP8
  std::size_t tensor = 0;
  std::size_t first = 0, last = 0;  // rows
};

void CutIntoPieces(const StoredTensor& from,
                   const StoredTensor* scales,
                   const Weights& weights,
                   std::size_t tensor,
                   std::vector<Piece>& pieces) {
  const std::size_t rows = weights.tensors()[tensor].rows;
  const std::size_t at_once = RowsAtOnce(from.view->data.size() / rows);
  for (std::size_t first = 0; first < rows; first += at_once) {
    pieces.push_back({&from, scales, tensor, first, std::min(rows, first + at_once)});
  }
}

void WriteRows(Weights& weights,
               std::size_t tensor,
               std::size_t first,
               std::size_t count,
               SafetensorsDtype type,
               const std::byte* numbers) {
  const std::size_t columns = weights.tensors()[tensor].columns;
  if (type == SafetensorsDtype::kBF16) {
    const auto* bf16 = reinterpret_cast<const cpu::Bf16*>(numbers);
    weights.Write(tensor, first, cpu::Rows<const cpu::Bf16>(bf16, count, columns));
  } else {
    const auto* fp32 = reinterpret_cast<const float*>(numbers);
    weights.Write(tensor, first, cpu::Rows<const float>(fp32, count, columns));
  }
}

// The piece's numbers as `to`: where they lie, when they are of that type and aligned, else
// converted into `converted`. Null when one is NaN or infinite.
const std::byte* NumbersOf(const Piece& piece,
                           std::span<const std::byte> bytes,
                           std::size_t count,
                           SafetensorsDtype to,
                           std::vector<std::byte>& converted) {
  const TensorView& view = *piece.from->view;
  const bool aligned = reinterpret_cast<std::uintptr_t>(bytes.data()) % DtypeSize(to) == 0;
  if (view.dtype == to && aligned) return AllFinite(to, bytes) ? bytes.data() : nullptr;
  converted.resize(count * DtypeSize(to));
  const bool finite =
      piece.scales == nullptr
          ? ConvertNumbers(view.dtype, bytes, to, converted.data())
          : DequantizeFp8Rows(view.data, piece.scales->view->data, view.shape[1],
                              static_cast<std::int64_t>(piece.first),
                              static_cast<std::int64_t>(piece.last), to, converted.data());
  return finite ? converted.data() : nullptr;
}

Status Load(const Piece& piece, Weights& weights, std::vector<std::byte>& converted) {
  const TensorView& view = *piece.from->view;
  const Weights::Tensor& tensor = weights.tensors()[piece.tensor];
  const std::size_t row_bytes = view.data.size() / tensor.rows;
  const std::size_t count = piece.last - piece.first;
  const auto bytes = view.data.subspan(piece.first * row_bytes, count * row_bytes);
  const SafetensorsDtype to = TypeOf(weights, tensor);
  if (Status there = Populate(bytes); !there)
    return Within(there.error(), "{}", piece.from->file->path().string());
  const std::byte* numbers = NumbersOf(piece, bytes, count * tensor.columns, to, converted);
  if (numbers == nullptr) {
    return Fail(Code::kCorrupt, "{}: tensor {} holds NaN or infinity",
                piece.from->file->path().string(), view.name);
  }
  WriteRows(weights, piece.tensor, piece.first, count, to, numbers);
  Drop(bytes);  // read once; the page cache keeps them, this process need not
  return {};
}

int LoadThreads() {
  return static_cast<int>(std::clamp(std::thread::hardware_concurrency(), 1U, 16U));
}

// A tensor's rows for a file, some at a time, under `name`.
TensorSource SourceOf(const Weights& weights, std::size_t index, const std::string& name) {
  const Weights::Tensor& tensor = weights.tensors()[index];
  const SafetensorsDtype type = TypeOf(weights, tensor);
  const auto produce = [&weights, index, type](const ByteSink& sink) -> Status {
    const Weights::Tensor& t = weights.tensors()[index];
    const std::size_t row_bytes = t.columns * DtypeSize(type);
    const std::size_t at_once = std::min(t.rows, RowsAtOnce(row_bytes));
    std::vector<std::byte> numbers(at_once * row_bytes);
    for (std::size_t first = 0; first < t.rows; first += at_once) {
      const std::size_t count = std::min(at_once, t.rows - first);
      if (type == SafetensorsDtype::kBF16) {
        auto* bf16 = reinterpret_cast<cpu::Bf16*>(numbers.data());
        weights.Read(index, first, cpu::Rows<cpu::Bf16>(bf16, count, t.columns));
      } else {
        auto* fp32 = reinterpret_cast<float*>(numbers.data());
        weights.Read(index, first, cpu::Rows<float>(fp32, count, t.columns));
      }
      AHA_TRY(sink(std::span(numbers).first(count * row_bytes)));
    }
    return {};
  };
  return {name, type, tensor.spec.shape, produce};
}

}  // namespace

Result<Weights> LoadWeights(const fs::path& folder, std::optional<NumberType> as, WeightsUse use) {
  AHA_ASSIGN(PolicyConfig config, ReadConfig(folder));
  if (as) config.dtype = *as;
  AHA_ASSIGN(const CheckpointFiles files, CheckpointFiles::Open(folder));
  LeaveOutAbsentMtp(files, config);
  // Before memory is taken for what config.json asks for, the files must have it.
  if (const auto problems = CompareTensors(config, files); !problems.empty()) {
    return Fail(Code::kCorrupt, "{}", problems.front().message);
  }
  Weights weights(config, use);
  std::vector<Piece> pieces;
  for (std::size_t t = 0; t < weights.tensors().size(); ++t) {
    const std::string& name = weights.tensors()[t].spec.name;
    const StoredTensor* from = files.Find(name);
    const bool fp8 = from->view->dtype == SafetensorsDtype::kF8E4M3;
    CutIntoPieces(*from, fp8 ? ScalesOf(files, name) : nullptr, weights, t, pieces);
  }
  const int threads = LoadThreads();
  std::vector<std::vector<std::byte>> converted(static_cast<std::size_t>(threads));
  AHA_TRY(RunParallel(threads, pieces.size(), [&](std::size_t i, int thread) {
    return Load(pieces[i], weights, converted[static_cast<std::size_t>(thread)]);
  }));
  return weights;
}

Status SaveWeights(const Weights& weights, const fs::path& folder, const SaveOptions& options) {
  AHA_TRY(WriteWholeFile(folder / "config.json", ConfigJson(weights.config())));
  std::vector<TensorSource> sources;
  for (const TensorSpec& spec : TensorsOf(weights.config())) {
    const std::size_t index = weights.IndexOf(spec.copy() ? spec.copy_of : spec.name).value();
    sources.push_back(SourceOf(weights, index, spec.name));
  }
  return WriteCheckpoint(folder, std::move(sources), options);
}

Status SaveTensors(const Weights& weights,
                   std::span<const std::size_t> which,
                   const fs::path& file) {
  std::vector<TensorSource> sources;
  for (const std::size_t t : which)
    sources.push_back(SourceOf(weights, t, weights.tensors()[t].spec.name));
  return WriteSafetensors(file, std::move(sources), {{"format", "pt"}});
}

Status RestoreTensors(Weights& weights, std::span<const std::size_t> which, const fs::path& path) {
  AHA_ASSIGN(const SafetensorsFile file, SafetensorsFile::Open(path));
  for (const std::size_t t : which) {
    const Weights::Tensor& tensor = weights.tensors()[t];
    const TensorView* stored = file.Find(tensor.spec.name);
    if (stored == nullptr || stored->shape != tensor.spec.shape ||
        stored->dtype != TypeOf(weights, tensor)) {
      return Fail(Code::kCorrupt, "{}: tensor {} is missing or of another shape or type",
                  path.string(), tensor.spec.name);
    }
    // A file's bytes need not be aligned.
    const std::vector<std::byte> numbers(stored->data.begin(), stored->data.end());
    WriteRows(weights, t, 0, tensor.rows, stored->dtype, numbers.data());
  }
  return {};
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
