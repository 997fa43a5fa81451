#include "policy/checkpoint/inspect.h"

#include <atomic>

#include "base/parallel.h"
#include "policy/checkpoint/gguf_import.h"

namespace aha::policy {
namespace fs = std::filesystem;
namespace {

std::int64_t NumbersIn(const std::vector<std::int64_t>& shape) {
  std::int64_t numbers = 1;
  for (const std::int64_t size : shape)
    numbers *= size;
  return numbers;
}

Result<Inspection> InspectGguf(const fs::path& path) {
  AHA_ASSIGN(const GgufFile file, GgufFile::Open(path));
  AHA_ASSIGN(const GgufModel model, ReadGgufModel(file));
  AHA_ASSIGN(const GgufTokenizer tokenizer,
             ReadGgufTokenizer(file, TokenizerReading::kTransformers));
  Inspection seen;
  seen.format = "gguf";
  AHA_ASSIGN(seen.config,
             ParseConfig(GgufConfigJson(model, tokenizer, SafetensorsDtype::kBF16), path.string()));
  seen.parameters = CountParameters(*seen.config);
  seen.files = 1;
  for (const GgufTensor& tensor : file.tensors()) {
    ++seen.tensors;
    seen.bytes += static_cast<std::int64_t>(tensor.data.size());
    ++seen.tensors_of_type[std::string(LayoutOf(tensor.type).name)];
  }
  seen.problems = CompareGguf(file, model);
  return seen;
}

}  // namespace

Result<Inspection> Inspect(const fs::path& path) {
  std::error_code error;
  const bool folder = fs::is_directory(path, error);
  if (!folder && path.extension() == ".gguf") return InspectGguf(path);
  if (!folder && path.extension() != ".safetensors") {
    if (!fs::exists(path, error))
      return Fail(Code::kNotFound, "{}: no such folder or file", path.string());
    return Fail(Code::kInvalidArgument,
                "{}: is neither a model folder nor a .safetensors or .gguf file", path.string());
  }
  Inspection seen;
  seen.format = "safetensors";
  const fs::path config_folder = folder                   ? path
                                 : path.has_parent_path() ? path.parent_path()
                                                          : fs::path(".");
  if (folder || fs::exists(config_folder / "config.json", error)) {
    AHA_ASSIGN(seen.config, ReadConfig(config_folder));
  }
  AHA_ASSIGN(const CheckpointFiles files, CheckpointFiles::Open(path));
  seen.files = static_cast<std::int64_t>(files.file_count());
  for (const StoredTensor& tensor : files.tensors()) {
    ++seen.tensors;
    seen.bytes += static_cast<std::int64_t>(tensor.view->data.size());
    ++seen.tensors_of_type[std::string(DtypeName(tensor.view->dtype))];
    if (!seen.config && !tensor.view->name.ends_with("_scale_inv"))
      seen.parameters.total += NumbersIn(tensor.view->shape);
  }
  if (seen.config) {
    LeaveOutAbsentMtp(files, *seen.config);
    seen.parameters = CountParameters(*seen.config);
    seen.problems = CompareTensors(*seen.config, files);
  }
  return seen;
}

Result<Verification> VerifyCheckpoint(const fs::path& path, int threads) {
  AHA_ASSIGN(const CheckpointFiles files, CheckpointFiles::Open(path));
  std::atomic<std::int64_t> verified = 0;
  const auto& tensors = files.tensors();
  AHA_TRY(RunParallel(threads, tensors.size(), [&](std::size_t i, int) -> Status {
    AHA_ASSIGN(const bool checked, VerifyTensor(*tensors[i].file, *tensors[i].view));
    verified += checked ? 1 : 0;
    return {};
  }));
  return Verification{verified, static_cast<std::int64_t>(tensors.size()) - verified};
}

}  // namespace aha::policy
