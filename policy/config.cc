#include "policy/config.h"

#include <cmath>
#include <limits>

#include <nlohmann/json.hpp>

#include "base/whole_file.h"

namespace aha::policy {
namespace {

using Json = nlohmann::ordered_json;

// Reads keys of one JSON object and remembers the first thing that was wrong.
class KeyReader {
 public:
  KeyReader(const Json& object, std::string where) : object_(object), where_(std::move(where)) {}

  std::int64_t Count(const char* key, std::int64_t low, std::int64_t high, std::optional<std::int64_t> absent = {}) {
    const Json* value = Find(key, absent.has_value());
    if (value == nullptr) return absent.value_or(low);
    if (!value->is_number_integer()) return Refuse(key, "must be a whole number"), low;
    const bool huge = value->is_number_unsigned() &&
                      value->get<std::uint64_t>() > static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max());
    const std::int64_t number = huge ? std::numeric_limits<std::int64_t>::max() : value->get<std::int64_t>();
    if (number < low || number > high) {
      Refuse(key, fmt::format("is {}, must lie in [{}, {}]", number, low, high));
      return low;
    }
    return number;
  }
  double Number(const char* key, double low, double high, std::optional<double> absent = {}) {
    const Json* value = Find(key, absent.has_value());
    if (value == nullptr) return absent.value_or(low);
    if (!value->is_number()) return Refuse(key, "must be a number"), low;
    const auto number = value->get<double>();
    if (!(number >= low && number <= high)) {
      Refuse(key, fmt::format("is {}, must lie in [{}, {}]", number, low, high));
    }
    return number;
  }
  bool Flag(const char* key, bool absent) {
    const Json* value = Find(key, true);
    if (value == nullptr) return absent;
    if (!value->is_boolean()) Refuse(key, "must be true or false");
    return value->is_boolean() && value->get<bool>();
  }
  // A key whose only supported value is `only`.
  template <class T>
  void Require(const char* key, const T& only) {
    const Json* value = Find(key, true);
    if (value != nullptr && *value != Json(only)) {
      Refuse(key, fmt::format("is {}; only {} is supported", value->dump(), Json(only).dump()));
    }
  }
  const Json* Find(const char* key, bool optional = true) {
    const auto it = object_.find(key);
    if (it == object_.end() || it->is_null()) {
      if (!optional) Refuse(key, "is missing");
      return nullptr;
    }
    return &*it;
  }
  void Refuse(std::string_view key, std::string_view what) {
    if (!error_) error_ = Error{Code::kInvalidArgument, fmt::format("{}: key \"{}\" {}", where_, key, what)};
  }
  [[nodiscard]] const std::optional<Error>& error() const { return error_; }
  [[nodiscard]] const std::string& where() const { return where_; }

 private:
  const Json& object_;
  std::string where_;
  std::optional<Error> error_;
};

constexpr std::int64_t kMost = std::int64_t{1} << 31U;

void ReadShape(KeyReader& keys, PolicyConfig& c) {
  c.vocab_size = keys.Count("vocab_size", 1, kMost);
  c.hidden_size = keys.Count("hidden_size", 1, 1 << 20);
  c.intermediate_size = keys.Count("intermediate_size", 1, 1 << 24);
  c.num_hidden_layers = keys.Count("num_hidden_layers", 1, 4096);
  c.num_attention_heads = keys.Count("num_attention_heads", 1, 65536);
  c.q_lora_rank = keys.Count("q_lora_rank", 0, 1 << 20, 0);
  c.kv_lora_rank = keys.Count("kv_lora_rank", 1, 1 << 20);
  c.qk_nope_head_dim = keys.Count("qk_nope_head_dim", 1, 65536);
  c.qk_rope_head_dim = keys.Count("qk_rope_head_dim", 2, 65536);
  c.v_head_dim = keys.Count("v_head_dim", 1, 65536);
  c.max_position_embeddings = keys.Count("max_position_embeddings", 1, kMost, 4096);
  c.rms_norm_eps = keys.Number("rms_norm_eps", 0, 1, 1e-6);
  c.initializer_range = keys.Number("initializer_range", 0, 100, 0.02);
  c.tie_word_embeddings = keys.Flag("tie_word_embeddings", false);
  c.rope_interleave = keys.Flag("rope_interleave", true);
  keys.Count("num_key_value_heads", c.num_attention_heads, c.num_attention_heads, c.num_attention_heads);
  keys.Require("attention_bias", false);
  keys.Require("hidden_act", "silu");
  if (c.qk_rope_head_dim % 2 != 0) keys.Refuse("qk_rope_head_dim", "must be even");
  if (keys.Find("quantization_config") != nullptr) keys.Refuse("quantization_config", "is not supported");
}

void ReadExperts(KeyReader& keys, PolicyConfig& c) {
  c.first_k_dense_replace = keys.Count("first_k_dense_replace", 0, 4096, 0);
  c.num_nextn_predict_layers = keys.Count("num_nextn_predict_layers", 0, 1, 0);
  c.moe_intermediate_size = keys.Count("moe_intermediate_size", 1, 1 << 24);
  c.n_routed_experts = keys.Count("n_routed_experts", 1, 65536);
  c.n_shared_experts = keys.Count("n_shared_experts", 0, 1024, 0);
  c.num_experts_per_tok = keys.Count("num_experts_per_tok", 1, c.n_routed_experts);
  c.n_group = keys.Count("n_group", 1, c.n_routed_experts, 1);
  c.topk_group = keys.Count("topk_group", 1, c.n_group, 1);
  c.norm_topk_prob = keys.Flag("norm_topk_prob", true);
  c.routed_scaling_factor = keys.Number("routed_scaling_factor", 0, 1e6, 1.0);
  keys.Require("topk_method", "noaux_tc");
  keys.Require("scoring_func", "sigmoid");
  keys.Require("moe_layer_freq", 1);
  if (c.n_routed_experts % c.n_group != 0) keys.Refuse("n_routed_experts", "must be a multiple of n_group");
  // A group's score is the sum of its two best experts (V3, section 2.1.2).
  if (c.n_group > 1 && c.n_routed_experts / c.n_group < 2) keys.Refuse("n_group", "leaves fewer than two experts in a group");
  if (c.num_experts_per_tok > c.n_routed_experts / c.n_group * c.topk_group) {
    keys.Refuse("num_experts_per_tok", "is more than the kept groups hold");
  }
}

std::optional<Error> ReadRope(KeyReader& keys, PolicyConfig& c) {
  c.rope_theta = keys.Number("rope_theta", 1, 1e12, 10000.0);
  // Older files hold `rope_scaling`; transformers 5 writes `rope_parameters`, theta inside.
  for (const char* name : {"rope_scaling", "rope_parameters"}) {
    const Json* scaling = keys.Find(name);
    if (scaling == nullptr) continue;
    if (!scaling->is_object()) {
      keys.Refuse(name, "must be an object");
      continue;
    }
    KeyReader inner(*scaling, fmt::format("{}: in \"{}\"", keys.where(), name));
    if (inner.Find("rope_theta") != nullptr) c.rope_theta = inner.Number("rope_theta", 1, 1e12);
    const Json* type = inner.Find("rope_type");
    if (type == nullptr) type = inner.Find("type");
    const std::string kind = type != nullptr && type->is_string() ? type->get<std::string>() : "default";
    if (kind == "yarn") {
      YarnScaling yarn;
      yarn.factor = inner.Number("factor", 1, 1e6);
      yarn.beta_fast = inner.Number("beta_fast", 0, 1e6, 32.0);
      yarn.beta_slow = inner.Number("beta_slow", 0, 1e6, 1.0);
      yarn.mscale = inner.Number("mscale", 0, 1e3, 1.0);
      yarn.mscale_all_dim = inner.Number("mscale_all_dim", 0, 1e3, 0.0);
      yarn.original_max_position_embeddings = inner.Count("original_max_position_embeddings", 1, kMost);
      c.yarn = yarn;
    } else if (kind != "default") {
      inner.Refuse("rope_type", fmt::format("is \"{}\"; only yarn and default are supported", kind));
    }
    if (inner.error()) return inner.error();
  }
  return {};
}

void ReadTokensAndType(KeyReader& keys, PolicyConfig& c) {
  for (const auto& [key, slot] : {std::pair{"bos_token_id", &c.bos_token_id}, std::pair{"eos_token_id", &c.eos_token_id}}) {
    if (keys.Find(key) != nullptr) *slot = keys.Count(key, 0, c.vocab_size - 1);
  }
  const Json* type = keys.Find("torch_dtype");
  if (type == nullptr) type = keys.Find("dtype");
  const std::string name = type == nullptr ? "float32" : type->is_string() ? type->get<std::string>() : type->dump();
  if (name == "bfloat16") {
    c.dtype = NumberType::kBf16;
  } else if (name == "float32") {
    c.dtype = NumberType::kFp32;
  } else {
    keys.Refuse("torch_dtype", fmt::format("is {}; only bfloat16 and float32 are supported", name));
  }
}

std::int64_t AttentionParameters(const PolicyConfig& c) {
  const std::int64_t heads = c.num_attention_heads;
  const std::int64_t query = c.q_lora_rank > 0 ? c.q_lora_rank * (c.hidden_size + 1 + heads * c.qk_head_dim())
                                               : heads * c.qk_head_dim() * c.hidden_size;
  return query + c.kv_width() * c.hidden_size + c.kv_lora_rank +
         heads * (c.qk_nope_head_dim + c.v_head_dim) * c.kv_lora_rank + c.hidden_size * heads * c.v_head_dim;
}

}  // namespace

double PolicyConfig::attention_scale() const {
  const double scale = 1.0 / std::sqrt(static_cast<double>(qk_head_dim()));
  if (!yarn || yarn->mscale_all_dim == 0 || yarn->factor <= 1) return scale;
  const double m = 0.1 * yarn->mscale_all_dim * std::log(yarn->factor) + 1.0;
  return scale * m * m;
}

ParameterCount CountParameters(const PolicyConfig& c) {
  const std::int64_t h = c.hidden_size;
  const std::int64_t expert = 3 * h * c.moe_intermediate_size;
  const std::int64_t common = AttentionParameters(c) + 2 * h;
  const std::int64_t gate = c.n_routed_experts * (h + 1);
  const std::int64_t moe = common + gate + (c.n_routed_experts + c.n_shared_experts) * expert;
  const std::int64_t moe_active = common + gate + (c.num_experts_per_tok + c.n_shared_experts) * expert;
  const std::int64_t dense = common + 3 * h * c.intermediate_size;
  const std::int64_t dense_layers = std::min(c.first_k_dense_replace, c.num_hidden_layers);
  const std::int64_t moe_layers = c.num_hidden_layers - dense_layers;
  const std::int64_t ends = c.vocab_size * h * (c.tie_word_embeddings ? 1 : 2) + h;
  ParameterCount count;
  count.total = ends + dense_layers * dense + moe_layers * moe;
  count.active = ends + dense_layers * dense + moe_layers * moe_active;
  count.mtp = c.num_nextn_predict_layers * (moe + 3 * h + 2 * h * h);
  return count;
}

Result<PolicyConfig> ReadConfig(const std::filesystem::path& folder) {
  if (!std::filesystem::is_directory(folder)) {
    return Fail(Code::kNotFound, "{}: no such model folder; it must hold config.json, safetensors and tokenizer.json",
                folder.string());
  }
  AHA_ASSIGN(const std::string text, ReadFile(folder / "config.json"));
  return ParseConfig(text, (folder / "config.json").string());
}

Result<PolicyConfig> ParseConfig(std::string_view json, std::string_view where) {
  if (json.size() > (std::size_t{16} << 20U)) return Fail(Code::kCorrupt, "{}: larger than 16 MiB", where);
  const Json object = Json::parse(json, nullptr, /*allow_exceptions=*/false);
  if (object.is_discarded()) return Fail(Code::kCorrupt, "{}: is not valid JSON", where);
  if (!object.is_object()) return Fail(Code::kCorrupt, "{}: must be a JSON object", where);
  KeyReader keys(object, std::string(where));
  const Json* names = keys.Find("architectures");
  if (names == nullptr || *names != Json::array({"DeepseekV3ForCausalLM"})) {
    return Fail(Code::kInvalidArgument, "{}: key \"architectures\" is {}; supported: [\"DeepseekV3ForCausalLM\"]",
                where, names == nullptr ? "missing" : names->dump());
  }
  PolicyConfig config;
  ReadShape(keys, config);
  if (keys.error()) return tl::unexpected<Error>(*keys.error());
  ReadExperts(keys, config);
  if (const auto error = ReadRope(keys, config)) return tl::unexpected<Error>(*error);
  ReadTokensAndType(keys, config);
  if (keys.error()) return tl::unexpected<Error>(*keys.error());
  return config;
}

std::string ConfigJson(const PolicyConfig& c) {
  const char* type = c.dtype == NumberType::kBf16 ? "bfloat16" : "float32";
  Json j = {{"architectures", {"DeepseekV3ForCausalLM"}},
            {"model_type", "deepseek_v3"},
            {"vocab_size", c.vocab_size},
            {"hidden_size", c.hidden_size},
            {"intermediate_size", c.intermediate_size},
            {"moe_intermediate_size", c.moe_intermediate_size},
            {"num_hidden_layers", c.num_hidden_layers},
            {"num_nextn_predict_layers", c.num_nextn_predict_layers},
            {"num_attention_heads", c.num_attention_heads},
            {"num_key_value_heads", c.num_attention_heads},
            {"n_shared_experts", c.n_shared_experts},
            {"n_routed_experts", c.n_routed_experts},
            {"routed_scaling_factor", c.routed_scaling_factor},
            {"kv_lora_rank", c.kv_lora_rank},
            {"q_lora_rank", c.q_lora_rank > 0 ? Json(c.q_lora_rank) : Json(nullptr)},
            {"qk_rope_head_dim", c.qk_rope_head_dim},
            {"v_head_dim", c.v_head_dim},
            {"qk_nope_head_dim", c.qk_nope_head_dim},
            {"topk_method", "noaux_tc"},
            {"n_group", c.n_group},
            {"topk_group", c.topk_group},
            {"num_experts_per_tok", c.num_experts_per_tok},
            {"moe_layer_freq", 1},
            {"first_k_dense_replace", c.first_k_dense_replace},
            {"norm_topk_prob", c.norm_topk_prob},
            {"scoring_func", "sigmoid"},
            {"hidden_act", "silu"},
            {"max_position_embeddings", c.max_position_embeddings},
            {"initializer_range", c.initializer_range},
            {"rms_norm_eps", c.rms_norm_eps},
            {"use_cache", true},
            {"rope_theta", c.rope_theta},
            {"rope_interleave", c.rope_interleave},
            {"attention_bias", false},
            {"attention_dropout", 0.0},
            {"tie_word_embeddings", c.tie_word_embeddings},
            {"torch_dtype", type},
            {"dtype", type}};
  Json rope = {{"rope_type", "default"}, {"rope_theta", c.rope_theta}};
  if (c.yarn) {
    const Json yarn = {{"factor", c.yarn->factor},
                       {"beta_fast", c.yarn->beta_fast},
                       {"beta_slow", c.yarn->beta_slow},
                       {"mscale", c.yarn->mscale},
                       {"mscale_all_dim", c.yarn->mscale_all_dim},
                       {"original_max_position_embeddings", c.yarn->original_max_position_embeddings}};
    rope["rope_type"] = "yarn";
    rope.update(yarn);
    j["rope_scaling"] = {{"type", "yarn"}};
    j["rope_scaling"].update(yarn);
  } else {
    j["rope_scaling"] = nullptr;
  }
  j["rope_parameters"] = rope;
  if (c.bos_token_id) j["bos_token_id"] = *c.bos_token_id;
  if (c.eos_token_id) j["eos_token_id"] = *c.eos_token_id;
  return j.dump(2) + "\n";
}

}  // namespace aha::policy
