#include "policy/config.h"

#include <algorithm>
#include <cmath>

#include <nlohmann/json.hpp>

#include "base/whole_file.h"
#include "policy/architecture/architecture.h"
#include "policy/checkpoint/mapped_file.h"
#include "policy/checkpoint/strict_json.h"
#include "policy/model/tensors.h"

namespace aha::policy {
namespace {

constexpr std::size_t kMaxConfigBytes = std::size_t{16} << 20U;

// FP8 files as DeepSeek-V3 is released: the loader multiplies their scales in, nothing else
// changes.
void ReadQuantization(KeyReader& keys) {
  const Json* quantization = keys.Find("quantization_config");
  if (quantization == nullptr) return;
  if (!quantization->is_object()) return keys.Refuse("quantization_config", "must be an object");
  const auto is = [&](const char* key, const Json& wanted) {
    const auto found = quantization->find(key);
    return found != quantization->end() && *found == wanted;
  };
  if (is("quant_method", "fp8") && is("fmt", "e4m3") && is("weight_block_size", {128, 128})) return;
  const auto method = quantization->find("quant_method");
  keys.Refuse("quantization_config",
              fmt::format("asks for {} ({:.200}); only fp8 with fmt e4m3 and weight_block_size "
                          "[128, 128] is supported",
                          method == quantization->end() ? "no quant_method" : method->dump(),
                          quantization->dump()));
}

void ReadShape(KeyReader& keys, const Architecture& architecture, PolicyConfig& c) {
  c.vocab_size = keys.Count("vocab_size", 1, kMostPositions);
  c.hidden_size = keys.Count("hidden_size", 1, 1 << 20);
  c.intermediate_size = keys.Count("intermediate_size", 1, kMostWidth);
  c.num_hidden_layers = keys.Count("num_hidden_layers", 1, 4096);
  c.num_attention_heads = keys.Count("num_attention_heads", 1, 65536);
  c.max_position_embeddings = keys.Count("max_position_embeddings", 1, kMostPositions,
                                         architecture.max_position_embeddings);
  c.rms_norm_eps = keys.Number("rms_norm_eps", 0, 1, architecture.rms_norm_eps);
  c.initializer_range = keys.Number("initializer_range", 0, 100, 0.02);
  c.tie_word_embeddings = keys.Flag("tie_word_embeddings", false);
  keys.Require("hidden_act", "silu");
  keys.Require("attention_dropout", 0.0);
  ReadQuantization(keys);
  RefuseForeignKeys(keys);
}

void ReadTokensAndType(KeyReader& keys, PolicyConfig& c) {
  if (keys.Find("bos_token_id") != nullptr)
    c.bos_token_id = keys.Count("bos_token_id", 0, c.vocab_size - 1);
  if (const Json* eos = keys.Find("eos_token_id"); eos != nullptr && eos->is_array()) {
    c.more_eos_token_ids = keys.Counts("eos_token_id", 0, c.vocab_size - 1);
    if (!c.more_eos_token_ids.empty()) {
      c.eos_token_id = c.more_eos_token_ids.front();
      c.more_eos_token_ids.erase(c.more_eos_token_ids.begin());
    }
  } else if (eos != nullptr) {
    c.eos_token_id = keys.Count("eos_token_id", 0, c.vocab_size - 1);
  }
  const Json* type = keys.Find("torch_dtype");
  if (type == nullptr) type = keys.Find("dtype");
  const std::string name = type == nullptr     ? "float32"
                           : type->is_string() ? type->get<std::string>()
                                               : type->dump();
  if (name == "bfloat16") {
    c.dtype = NumberType::kBf16;
  } else if (name == "float32" || name == "float16") {  // fp32 holds fp16 exactly
    c.dtype = NumberType::kFp32;
  } else {
    keys.Refuse("torch_dtype",
                fmt::format("is {}; only bfloat16, float16 and float32 are supported", name));
  }
}

Json EosJson(const PolicyConfig& c) {
  if (c.more_eos_token_ids.empty()) return *c.eos_token_id;
  Json ids = {*c.eos_token_id};
  for (const std::int64_t id : c.more_eos_token_ids)
    ids.push_back(id);
  return ids;
}

// What no model has is refused before anything is made of it.
constexpr std::int64_t kMostExpertsInAll = 1 << 18;
constexpr double kMostParameters = 0x1p50;

void RefuseAbsurd(KeyReader& keys, const Architecture& architecture, const PolicyConfig& c) {
  if (c.n_routed_experts > kMostExpertsInAll / c.num_hidden_layers) {
    return keys.Refuse(architecture.expert_count,
                       fmt::format("is {} in each of {} layers, more than {} in all",
                                   c.n_routed_experts, c.num_hidden_layers, kMostExpertsInAll));
  }
  double parameters = 0;
  for (const TensorSpec& spec : TensorsOf(c))
    parameters += static_cast<double>(spec.numbers());
  if (parameters > kMostParameters)
    keys.Refuse("hidden_size",
                fmt::format("and the other sizes make {:.3g} parameters", parameters));
}

Result<const Architecture*> FindArchitecture(KeyReader& keys) {
  std::vector<std::string_view> known;
  const Json* names = keys.Find("architectures");
  for (const Architecture* architecture : Architectures()) {
    if (names != nullptr && *names == Json::array({architecture->class_name})) return architecture;
    known.push_back(architecture->class_name);
  }
  return Fail(Code::kInvalidArgument,
              "{}: key \"architectures\" {}; supported, one of them alone: {}", keys.where(),
              names == nullptr ? "is missing" : "is " + names->dump(), fmt::join(known, ", "));
}

}  // namespace

bool PolicyConfig::dense_layer(std::int64_t layer) const {
  return n_routed_experts == 0 || layer < first_k_dense_replace || layer % moe_layer_freq != 0 ||
         (layer + 1) % decoder_sparse_step != 0 ||
         std::find(mlp_only_layers.begin(), mlp_only_layers.end(), layer) != mlp_only_layers.end();
}

double PolicyConfig::attention_scale() const {
  if (attention == AttentionKind::kGrouped) return 1.0 / std::sqrt(static_cast<double>(head_dim));
  const double scale = 1.0 / std::sqrt(static_cast<double>(qk_head_dim()));
  if (!yarn || yarn->mscale_all_dim == 0 || yarn->factor <= 1) return scale;
  const double m = 0.1 * yarn->mscale_all_dim * std::log(yarn->factor) + 1.0;
  return scale * m * m;
}

Result<PolicyConfig> ReadConfig(const std::filesystem::path& folder) {
  if (!std::filesystem::is_directory(folder)) {
    return Fail(
        Code::kNotFound,
        "{}: no such model folder; it must hold config.json, safetensors and tokenizer.json",
        folder.string());
  }
  AHA_ASSIGN(const std::string text, ReadSmallFile(folder / "config.json", kMaxConfigBytes));
  return ParseConfig(text, (folder / "config.json").string());
}

Result<PolicyConfig> ParseConfig(std::string_view json, std::string_view where) {
  if (json.size() > kMaxConfigBytes) return Fail(Code::kCorrupt, "{}: larger than 16 MiB", where);
  AHA_TRY(ParseStrictJson(json, where));  // no deep nesting, no repeated keys
  const Json object = Json::parse(json, nullptr, /*allow_exceptions=*/false);
  if (!object.is_object()) return Fail(Code::kCorrupt, "{}: must be a JSON object", where);
  KeyReader keys(object, std::string(where));
  AHA_ASSIGN(const Architecture* architecture, FindArchitecture(keys));
  PolicyConfig config;
  config.family = architecture->family;
  ReadShape(keys, *architecture, config);
  if (keys.error()) return tl::unexpected<Error>(*keys.error());
  architecture->read(keys, config);
  if (keys.error()) return tl::unexpected<Error>(*keys.error());
  ReadRope(keys, architecture->rope_theta, config);
  ReadTokensAndType(keys, config);
  if (keys.error()) return tl::unexpected<Error>(*keys.error());
  RefuseAbsurd(keys, *architecture, config);
  if (keys.error()) return tl::unexpected<Error>(*keys.error());
  return config;
}

std::string ConfigJson(const PolicyConfig& c) {
  const Architecture& architecture = ArchitectureOf(c.family);
  const char* type = c.dtype == NumberType::kBf16 ? "bfloat16" : "float32";
  Json j = {{"architectures", {architecture.class_name}},
            {"model_type", architecture.model_type},
            {"vocab_size", c.vocab_size},
            {"hidden_size", c.hidden_size},
            {"intermediate_size", c.intermediate_size},
            {"num_hidden_layers", c.num_hidden_layers},
            {"num_attention_heads", c.num_attention_heads}};
  architecture.write(c, j);
  j["hidden_act"] = "silu";
  j["max_position_embeddings"] = c.max_position_embeddings;
  j["initializer_range"] = c.initializer_range;
  j["rms_norm_eps"] = c.rms_norm_eps;
  j["use_cache"] = true;
  j["attention_dropout"] = 0.0;
  j["tie_word_embeddings"] = c.tie_word_embeddings;
  WriteRope(c, j);
  if (c.bos_token_id) j["bos_token_id"] = *c.bos_token_id;
  if (c.eos_token_id) j["eos_token_id"] = EosJson(c);
  j["torch_dtype"] = type;
  j["dtype"] = type;
  return j.dump(2) + "\n";
}

}  // namespace aha::policy
