#include "policy/checkpoint/compare.h"

#include <unordered_set>

#include "policy/checkpoint/numbers.h"

namespace aha::policy {
namespace {

constexpr std::string_view kScaleSuffix = "_scale_inv";

std::string ShapeText(const std::vector<std::int64_t>& shape) {
  return fmt::format("[{}]", fmt::join(shape, ", "));
}

class Comparison {
 public:
  Comparison(const PolicyConfig& config, const CheckpointFiles& files)
      : config_(config), files_(files) {}

  std::vector<TensorProblem> Run() {
    const std::vector<TensorSpec> specs = TensorsOf(config_);
    std::unordered_set<std::string_view> known;
    for (const TensorSpec& spec : specs) {
      known.insert(spec.name);
      Check(spec);
    }
    for (const StoredTensor& stored : files_.tensors()) {
      const std::string& name = stored.view->name;
      if (known.contains(name) || MayBeThere(config_, files_, name)) continue;
      Report(Mismatch::kUnexpected, name,
             "{}: tensor {} is not part of the model that config.json describes",
             stored.file->path().string(), name);
    }
    return std::move(problems_);
  }

 private:
  template <class... Args>
  void Report(Mismatch kind,
              const std::string& tensor,
              fmt::format_string<Args...> format,
              Args&&... args) {
    problems_.push_back({kind, tensor, fmt::format(format, std::forward<Args>(args)...)});
  }

  void Check(const TensorSpec& spec) {
    const StoredTensor* stored = files_.Find(spec.name);
    if (stored == nullptr) {
      if (!spec.copy())
        Report(Mismatch::kMissing, spec.name, "{}: tensor {} is missing", files_.path().string(),
               spec.name);
      return;
    }
    const std::string where = stored->file->path().string();
    if (stored->view->shape != spec.shape) {
      Report(Mismatch::kShape, spec.name, "{}: tensor {} has shape {}, config.json asks for {}",
             where, spec.name, ShapeText(stored->view->shape), ShapeText(spec.shape));
      return;
    }
    if (stored->view->dtype == SafetensorsDtype::kF8E4M3) {
      CheckScales(spec, *stored);
    } else if (!IsWeightType(stored->view->dtype)) {
      Report(Mismatch::kType, spec.name,
             "{}: tensor {} has the number type {}, which weights cannot have", where, spec.name,
             DtypeName(stored->view->dtype));
    }
  }

  void CheckScales(const TensorSpec& spec, const StoredTensor& stored) {
    const std::string name = spec.name + std::string(kScaleSuffix);
    const StoredTensor* scales = ScalesOf(files_, spec.name);
    if (scales == nullptr || spec.shape.size() != 2) {
      Report(Mismatch::kMissing, name, "{}: tensor {} is FP8, and its scales, {}, are missing",
             stored.file->path().string(), spec.name, name);
      return;
    }
    const std::string where = scales->file->path().string();
    std::vector<std::int64_t> blocks;
    for (const std::int64_t size : spec.shape)
      blocks.push_back((size + kFp8Block - 1) / kFp8Block);
    if (scales->view->shape != blocks) {
      Report(Mismatch::kShape, name,
             "{}: tensor {} has shape {}; one scale for each block of 128 x 128 makes {}", where,
             name, ShapeText(scales->view->shape), ShapeText(blocks));
    } else if (scales->view->dtype != SafetensorsDtype::kF32) {
      Report(Mismatch::kType, name, "{}: tensor {} has the number type {}; scales are F32", where,
             name, DtypeName(scales->view->dtype));
    }
  }

  const PolicyConfig& config_;
  const CheckpointFiles& files_;
  std::vector<TensorProblem> problems_;
};

}  // namespace

std::vector<TensorProblem> CompareTensors(const PolicyConfig& config,
                                          const CheckpointFiles& files) {
  return Comparison(config, files).Run();
}

void LeaveOutAbsentMtp(const CheckpointFiles& files, PolicyConfig& config) {
  const std::string prefix = MtpPrefix(config);
  for (const StoredTensor& tensor : files.tensors()) {
    if (tensor.view->name.starts_with(prefix)) return;
  }
  config.num_nextn_predict_layers = 0;
}

bool MayBeThere(const PolicyConfig& config, const CheckpointFiles& files, std::string_view name) {
  const bool mtp_left_out =
      config.family == Family::kDeepseekV3 && config.num_nextn_predict_layers == 0;
  if (mtp_left_out && name.starts_with(MtpPrefix(config))) return true;
  if (config.tie_word_embeddings && name == "lm_head.weight") return true;
  if (name.ends_with("rotary_emb.inv_freq")) return true;
  if (!name.ends_with(kScaleSuffix)) return false;
  name.remove_suffix(kScaleSuffix.size());
  const StoredTensor* weight = files.Find(name);
  return weight != nullptr && weight->view->dtype == SafetensorsDtype::kF8E4M3;
}

const StoredTensor* ScalesOf(const CheckpointFiles& files, std::string_view name) {
  return files.Find(std::string(name) + std::string(kScaleSuffix));
}

}  // namespace aha::policy
