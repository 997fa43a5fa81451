#include "policy/checkpoint/upcycle.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <memory>

#include <nlohmann/json.hpp>

#include "base/keyed_random.h"
#include "base/whole_file.h"
#include "policy/checkpoint/mapped_file.h"
#include "policy/checkpoint/numbers.h"
#include "policy/checkpoint/strict_json.h"

namespace aha::policy {
namespace fs = std::filesystem;
namespace {

using Json = nlohmann::json;

constexpr std::size_t kPiece = std::size_t{4} << 20U;
constexpr std::uint64_t kMaxConfig = std::uint64_t{16} << 20U;
constexpr std::array kCopied = {"generation_config.json",
                                "tokenizer.json",
                                "tokenizer_config.json",
                                "special_tokens_map.json",
                                "added_tokens.json",
                                "vocab.json",
                                "merges.txt",
                                "tokenizer.model",
                                "chat_template.jinja",
                                "chat_template.json"};

// How a kind of mixture names its tensors inside a layer.
struct Naming {
  const char *architecture, *model_type;
  const char* router;
  const char* experts;
  std::array<const char*, 3> matrices;  // gate, up, down
  bool shared;
};
constexpr Naming kMixtral{
    "MixtralForCausalLM",        "mixtral",          "block_sparse_moe.gate.weight",
    "block_sparse_moe.experts.", {"w1", "w3", "w2"}, false};
constexpr Naming kQwen2Moe{"Qwen2MoeForCausalLM",
                           "qwen2_moe",
                           "mlp.gate.weight",
                           "mlp.experts.",
                           {"gate_proj", "up_proj", "down_proj"},
                           true};
constexpr std::array kDenseMatrices = {"gate_proj", "up_proj", "down_proj"};

// --- Bytes
// ------------------------------------------------------------------------------------------

Status Copy(const TensorView& from, const ByteSink& sink) {
  for (std::size_t at = 0; at < from.data.size(); at += kPiece) {
    const auto piece = from.data.subspan(at, std::min(kPiece, from.data.size() - at));
    AHA_TRY(Populate(piece));
    AHA_TRY(sink(piece));
    Drop(piece);
  }
  return {};
}

TensorSource CopyOf(const TensorView& from, std::string name) {
  return {std::move(name), from.dtype, from.shape,
          [&from](const ByteSink& sink) { return Copy(from, sink); }};
}

// Calls `f` with fp32 pieces of a tensor, in order.
Status EachPiece(const TensorView& from, const std::function<Status(std::span<float>)>& f) {
  const std::size_t size = DtypeSize(from.dtype);
  std::vector<float> values;
  for (std::size_t at = 0; at < from.data.size(); at += kPiece) {
    const auto piece = from.data.subspan(at, std::min(kPiece, from.data.size() - at));
    values.resize(piece.size() / size);
    if (!ConvertNumbers(from.dtype, piece, SafetensorsDtype::kF32,
                        reinterpret_cast<std::byte*>(values.data()))) {
      return Fail(Code::kCorrupt, "tensor {} holds NaN or infinity", from.name);
    }
    AHA_TRY(f(values));
    Drop(piece);
  }
  return {};
}

// A copy with noise of `relative` times the tensor's root mean square.
TensorSource NoisyCopyOf(const TensorView& from,
                         std::string name,
                         double relative,
                         KeyedRandom random) {
  const auto produce = [&from, relative, random](const ByteSink& sink) -> Status {
    double squares = 0;
    AHA_TRY(EachPiece(from, [&](std::span<float> values) -> Status {
      for (const float v : values)
        squares += static_cast<double>(v) * v;
      return {};
    }));
    const double count =
        static_cast<double>(from.data.size()) / static_cast<double>(DtypeSize(from.dtype));
    const double scale = relative * std::sqrt(squares / std::max(1.0, count));
    std::uint64_t position = 0;
    std::vector<std::byte> out;
    return EachPiece(from, [&](std::span<float> values) -> Status {
      for (float& v : values)
        v = static_cast<float>(v + scale * random.Normal(position++));
      out.resize(values.size() * DtypeSize(from.dtype));
      if (!StoreFloats(values, from.dtype, out.data()))
        return Fail(Code::kInvalidArgument, "tensor {}: the noise overflows", from.name);
      return sink(out);
    });
  };
  return {std::move(name), from.dtype, from.shape, produce};
}

// [experts, hidden] of N(0, deviation^2).
TensorSource Router(std::string name,
                    SafetensorsDtype dtype,
                    std::int64_t experts,
                    std::int64_t hidden,
                    double deviation,
                    KeyedRandom random) {
  const auto produce = [=](const ByteSink& sink) -> Status {
    std::vector<float> values(static_cast<std::size_t>(hidden));
    std::vector<std::byte> out(values.size() * DtypeSize(dtype));
    for (std::int64_t e = 0; e < experts; ++e) {
      for (std::size_t i = 0; i < values.size(); ++i) {
        values[i] = static_cast<float>(deviation *
                                       random.Normal(static_cast<std::uint64_t>(e * hidden) + i));
      }
      StoreFloats(values, dtype, out.data());
      AHA_TRY(sink(out));
    }
    return {};
  };
  return {std::move(name), dtype, {experts, hidden}, produce};
}

TensorSource Zeros(std::string name, SafetensorsDtype dtype, std::vector<std::int64_t> shape) {
  std::size_t bytes = DtypeSize(dtype);
  for (const std::int64_t size : shape)
    bytes *= static_cast<std::size_t>(size);
  return {std::move(name), dtype, std::move(shape), [bytes](const ByteSink& sink) -> Status {
            const std::vector<std::byte> zeros(std::min(bytes, kPiece));
            for (std::size_t left = bytes; left > 0; left -= std::min(left, kPiece)) {
              AHA_TRY(sink(std::span(zeros).first(std::min(left, kPiece))));
            }
            return {};
          }};
}

// --- Names and config
// -------------------------------------------------------------------------------

struct Dense {
  Json config;
  std::string where;  // config.json's path
  Naming naming;
  std::int64_t layers = 0, hidden = 0, intermediate = 0;
};

Result<Dense> ReadDense(const fs::path& folder) {
  Dense dense;
  const fs::path file = folder / "config.json";
  dense.where = file.string();
  AHA_ASSIGN(const std::string text, ReadSmallFile(file, kMaxConfig));
  AHA_ASSIGN(dense.config, ParseStrictJson(text, dense.where));
  const Json& names = JsonMember(dense.config, "architectures");
  if (names == Json::array({"LlamaForCausalLM"})) {
    dense.naming = kMixtral;
  } else if (names == Json::array({"Qwen2ForCausalLM"})) {
    dense.naming = kQwen2Moe;
  } else {
    return Fail(
        Code::kInvalidArgument,
        "{}: key \"architectures\": only LlamaForCausalLM and Qwen2ForCausalLM can be upcycled",
        dense.where);
  }
  for (const char* key : {"attention_bias", "mlp_bias", "use_sliding_window"}) {
    AHA_ASSIGN(const bool on, JsonFieldOr<bool>(dense.config, dense.where, key, false));
    if (on)
      return Fail(Code::kInvalidArgument, "{}: key \"{}\": {} has no counterpart", dense.where, key,
                  dense.naming.architecture);
  }
  if (!JsonMember(dense.config, "quantization_config").is_null()) {
    return Fail(Code::kInvalidArgument,
                "{}: key \"quantization_config\": quantised models cannot be upcycled",
                dense.where);
  }
  for (const auto& [key, slot] : {std::pair{"num_hidden_layers", &dense.layers},
                                  {"hidden_size", &dense.hidden},
                                  {"intermediate_size", &dense.intermediate}}) {
    AHA_ASSIGN(*slot, JsonField<std::int64_t>(dense.config, dense.where, key));
    if (*slot < 1)
      return Fail(Code::kCorrupt, "{}: key \"{}\" is {}, must be positive", dense.where, key,
                  *slot);
  }
  return dense;
}

std::string SparseConfig(const Dense& dense, const UpcycleOptions& options) {
  Json json = dense.config;
  json["architectures"] = {dense.naming.architecture};
  json["model_type"] = dense.naming.model_type;
  json["num_experts_per_tok"] = options.active;
  json["output_router_logits"] = false;
  json["router_aux_loss_coef"] = 0.001;
  for (const char* key :
       {"_name_or_path", "auto_map", "attention_bias", "mlp_bias", "pretraining_tp"})
    json.erase(key);
  if (dense.naming.shared) {
    json["num_experts"] = options.experts;
    json["moe_intermediate_size"] = dense.intermediate;
    json["shared_expert_intermediate_size"] = dense.intermediate;
    json["norm_topk_prob"] = true;
    json["decoder_sparse_step"] = 1;
    json["mlp_only_layers"] = Json::array();
  } else {
    json["num_local_experts"] = options.experts;
    json["router_jitter_noise"] = 0.0;
    json["sliding_window"] = nullptr;
  }
  return json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

// The tensors of one layer's mixture.
Status AddMixture(const CheckpointFiles& files,
                  const Dense& dense,
                  std::int64_t layer,
                  const UpcycleOptions& options,
                  std::vector<TensorSource>& out) {
  const std::string prefix = fmt::format("model.layers.{}.", layer);
  std::array<const TensorView*, 3> matrices{};
  for (std::size_t m = 0; m < 3; ++m) {
    const std::string name = fmt::format("{}mlp.{}.weight", prefix, kDenseMatrices[m]);
    const StoredTensor* stored = files.Find(name);
    if (stored == nullptr)
      return Fail(Code::kCorrupt, "{}: tensor {} is missing", files.path().string(), name);
    const std::int64_t rows = m == 2 ? dense.hidden : dense.intermediate;
    const std::int64_t columns = m == 2 ? dense.intermediate : dense.hidden;
    if (stored->view->shape != std::vector{rows, columns}) {
      return Fail(Code::kCorrupt, "{}: tensor {} has shape [{}], config.json asks for [{}, {}]",
                  stored->file->path().string(), name, fmt::join(stored->view->shape, ", "), rows,
                  columns);
    }
    const SafetensorsDtype dtype = stored->view->dtype;
    if (dtype != SafetensorsDtype::kF32 && dtype != SafetensorsDtype::kBF16) {
      return Fail(Code::kInvalidArgument, "{}: tensor {} is {}; only F32 and BF16 can be upcycled",
                  stored->file->path().string(), name, DtypeName(dtype));
    }
    matrices[m] = stored->view;
  }
  const SafetensorsDtype dtype = matrices[0]->dtype;
  const auto of_layer = static_cast<std::uint64_t>(layer);
  out.push_back(Router(prefix + dense.naming.router, dtype, options.experts, dense.hidden,
                       options.router_std,
                       KeyedRandom(options.seed, "upcycle/router").With(of_layer)));
  for (std::int64_t e = 0; e < options.experts; ++e) {
    for (std::size_t m = 0; m < 3; ++m) {
      std::string name = fmt::format("{}{}{}.{}.weight", prefix, dense.naming.experts, e,
                                     dense.naming.matrices[m]);
      if (options.noise == 0) {
        out.push_back(CopyOf(*matrices[m], std::move(name)));
        continue;
      }
      const KeyedRandom noise = KeyedRandom(options.seed, "upcycle/noise")
                                    .With(of_layer)
                                    .With(static_cast<std::uint64_t>(e))
                                    .With(m);
      out.push_back(NoisyCopyOf(*matrices[m], std::move(name), options.noise, noise));
    }
  }
  if (!dense.naming.shared) return {};
  const std::string shared = prefix + "mlp.shared_expert";
  out.push_back(CopyOf(*matrices[0], shared + ".gate_proj.weight"));
  out.push_back(CopyOf(*matrices[1], shared + ".up_proj.weight"));
  out.push_back(Zeros(shared + ".down_proj.weight", dtype, matrices[2]->shape));
  out.push_back(Zeros(shared + "_gate.weight", dtype, {1, dense.hidden}));
  return {};
}

// The layer of "model.layers.7.mlp...."; empty for other tensors.
std::optional<std::int64_t> MlpLayer(std::string_view name) {
  constexpr std::string_view kPrefix = "model.layers.";
  if (!name.starts_with(kPrefix)) return std::nullopt;
  name.remove_prefix(kPrefix.size());
  std::int64_t layer = -1;
  const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), layer);
  name.remove_prefix(static_cast<std::size_t>(end - name.data()));
  if (error != std::errc() || !name.starts_with(".mlp.")) return std::nullopt;
  return layer;
}

Result<std::vector<TensorSource>> SparseTensors(const CheckpointFiles& files,
                                                const Dense& dense,
                                                const UpcycleOptions& options) {
  std::vector<TensorSource> out;
  std::int64_t replaced = 0;
  for (const StoredTensor& stored : files.tensors()) {
    if (MlpLayer(stored.view->name)) {
      ++replaced;
      continue;
    }
    out.push_back(CopyOf(*stored.view, stored.view->name));
  }
  for (std::int64_t layer = 0; layer < dense.layers; ++layer)
    AHA_TRY(AddMixture(files, dense, layer, options, out));
  if (replaced != 3 * dense.layers) {
    return Fail(Code::kCorrupt,
                "{}: {} feed-forward tensors, config.json asks for 3 in each of {} layers",
                files.path().string(), replaced, dense.layers);
  }
  return out;
}

}  // namespace

Status Upcycle(const fs::path& folder, const fs::path& out, const UpcycleOptions& options) {
  if (options.active < 1 || options.active > options.experts) {
    return Fail(Code::kInvalidArgument, "active: {} of {} experts is not possible", options.active,
                options.experts);
  }
  AHA_ASSIGN(const Dense dense, ReadDense(folder));
  AHA_ASSIGN(const CheckpointFiles files, CheckpointFiles::Open(folder));
  AHA_ASSIGN(std::vector<TensorSource> tensors, SparseTensors(files, dense, options));
  return WriteWholeFolder(out, [&](const fs::path& aside) -> Status {
    AHA_TRY(WriteWholeFile(aside / "config.json", SparseConfig(dense, options)));
    for (const char* name : kCopied) {
      std::error_code error;
      if (!fs::exists(folder / name, error)) continue;
      AHA_ASSIGN(const std::string bytes, ReadFile(folder / name));
      AHA_TRY(WriteWholeFile(aside / name, bytes));
    }
    return WriteCheckpoint(aside, std::move(tensors), options.save);
  });
}

}  // namespace aha::policy
