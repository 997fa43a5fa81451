#include "policy/checkpoint/gguf_config.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdlib>
#include <numbers>
#include <vector>

#include <nlohmann/json.hpp>

namespace aha::policy {
namespace {

using Json = nlohmann::ordered_json;

// A number that the file has in fp32, as the shortest decimal that is the same in fp32: 1e-05, not
// 9.99999974737875e-06.
double Shortest(double stored) {
  const auto narrow = static_cast<float>(stored);
  if (!std::isfinite(narrow)) return stored;
  return std::strtod(fmt::format("{}", narrow).c_str(), nullptr);
}

// Keys of one architecture: "llama." + name.
class Keys {
 public:
  Keys(const GgufFile& file, std::string architecture)
      : file_(file), prefix_(std::move(architecture) + ".") {}

  [[nodiscard]] std::string Full(std::string_view name) const {
    return prefix_ + std::string(name);
  }
  [[nodiscard]] bool Has(std::string_view name) const { return file_.Has(Full(name)); }

  [[nodiscard]] Result<std::int64_t> Count(std::string_view name,
                                           std::int64_t high,
                                           std::optional<std::int64_t> absent = {}) const {
    AHA_ASSIGN(const std::int64_t value, file_.Count(Full(name), absent));
    if (value < 1 || value > high) {
      return Fail(Code::kCorrupt, "{}: key {}: is {}, must lie in [1, {}]", file_.name(),
                  Full(name), value, high);
    }
    return value;
  }
  // One number, or an array that has it for every layer.
  [[nodiscard]] Result<std::int64_t> Uniform(std::string_view name, std::int64_t high) const {
    AHA_ASSIGN(const std::vector<std::int64_t> values, file_.Counts(Full(name)));
    const bool same = !values.empty() && std::all_of(values.begin(), values.end(),
                                                     [&](auto v) { return v == values.front(); });
    if (!same)
      return Fail(Code::kInvalidArgument,
                  "{}: key {}: differs from layer to layer, which is not supported", file_.name(),
                  Full(name));
    if (values.front() < 1 || values.front() > high) {
      return Fail(Code::kCorrupt, "{}: key {}: is {}, must lie in [1, {}]", file_.name(),
                  Full(name), values.front(), high);
    }
    return values.front();
  }
  [[nodiscard]] Result<double> Number(std::string_view name,
                                      double low,
                                      double high,
                                      std::optional<double> absent = {}) const {
    AHA_ASSIGN(const double value, file_.Number(Full(name), absent));
    if (!(value >= low && value <= high)) {
      return Fail(Code::kCorrupt, "{}: key {}: is {}, must lie in [{}, {}]", file_.name(),
                  Full(name), value, low, high);
    }
    return Shortest(value);
  }

 private:
  const GgufFile& file_;
  std::string prefix_;
};

constexpr std::int64_t kMost = std::int64_t{1} << 31U;

// Llama 3's factor on the wavelength of pair j: transformers' _compute_llama3_parameters, inverted.
double Llama3Factor(const GgufRope& rope, std::int64_t head_dim, std::int64_t j) {
  const double inverse =
      std::pow(rope.theta, -2.0 * static_cast<double>(j) / static_cast<double>(head_dim));
  const double wavelength = 2 * std::numbers::pi / inverse;
  const auto context = static_cast<double>(rope.original_context);
  if (wavelength < context / rope.high_freq_factor) return 1;
  if (wavelength > context / rope.low_freq_factor) return rope.factor;
  const double smooth = (context / wavelength - rope.low_freq_factor) /
                        (rope.high_freq_factor - rope.low_freq_factor);
  return 1 / ((1 - smooth) / rope.factor + smooth);
}

// rope_freqs.weight holds what each frequency is divided by: Llama 3's four numbers, spelt out.
Status ReadRopeFactors(const GgufFile& file,
                       const GgufTensor& tensor,
                       std::int64_t head_dim,
                       GgufRope& rope) {
  if (tensor.type != GgmlType::kF32 || tensor.shape != std::vector{head_dim / 2}) {
    return Fail(Code::kCorrupt, "{}: tensor rope_freqs.weight: must be F32 of {} numbers",
                file.name(), head_dim / 2);
  }
  std::vector<float> factors(static_cast<std::size_t>(head_dim / 2));
  Dequantize(tensor.type, tensor.data, factors.data());
  rope.kind = "llama3";
  rope.factor = *std::max_element(factors.begin(), factors.end());
  for (std::size_t j = 0; j < factors.size(); ++j) {
    const double want = Llama3Factor(rope, head_dim, static_cast<std::int64_t>(j));
    if (std::abs(factors[j] - want) <= 1e-4 * want) continue;
    return Fail(Code::kInvalidArgument,
                "{}: tensor rope_freqs.weight: its factors are not Llama 3's (factor {}, low 1, "
                "high 4, original context {}); "
                "number {} is {}, expected {}",
                file.name(), rope.factor, rope.original_context, j, factors[j], want);
  }
  return {};
}

struct ForeignKey {
  const char* key;
  double harmless;
};

// Keys of other architectures that change what is computed.
constexpr std::array kForeignKeys = {
    ForeignKey{"attn_logit_softcapping", 0},   ForeignKey{"final_logit_softcapping", 0},
    ForeignKey{"attention.scale", 0},          ForeignKey{"attention.clamp_kqv", 0},
    ForeignKey{"attention.max_alibi_bias", 0}, ForeignKey{"logit_scale", 1},
    ForeignKey{"residual_scale", 1},           ForeignKey{"embedding_scale", 1}};

Status RefuseForeignKeys(const GgufFile& file, const Keys& keys) {
  for (const char* key : {"expert_count", "attention.sliding_window"}) {
    AHA_ASSIGN(const std::int64_t value, file.Count(keys.Full(key), 0));
    if (value != 0)
      return Fail(Code::kInvalidArgument, "{}: key {}: is {}, which is not supported", file.name(),
                  keys.Full(key), value);
  }
  for (const ForeignKey& foreign : kForeignKeys) {
    AHA_ASSIGN(const double value, file.Number(keys.Full(foreign.key), foreign.harmless));
    if (value != foreign.harmless && value != 0)
      return Fail(Code::kInvalidArgument,
                  "{}: key {}: is {}, which changes what the model computes and is not supported",
                  file.name(), keys.Full(foreign.key), value);
  }
  return {};
}

Status ReadRope(const GgufFile& file, const Keys& keys, GgufModel& m) {
  AHA_ASSIGN(m.rope.theta, keys.Number("rope.freq_base", 1, 1e12, 10000.0));
  AHA_ASSIGN(const std::string_view kind, file.Text(keys.Full("rope.scaling.type"), "none"));
  AHA_ASSIGN(m.rope.original_context,
             keys.Count("rope.scaling.original_context_length", kMost, 8192));
  if (kind == "linear" || kind == "yarn") {
    m.rope.kind = std::string(kind);
    AHA_ASSIGN(m.rope.factor, keys.Number("rope.scaling.factor", 1, 1e6));
  } else if (kind != "none") {
    return Fail(Code::kInvalidArgument,
                "{}: key {}: {:.80} is not supported; known: none, linear, yarn", file.name(),
                keys.Full("rope.scaling.type"), kind);
  }
  const GgufTensor* factors = file.Find("rope_freqs.weight");
  return factors == nullptr ? Status() : ReadRopeFactors(file, *factors, m.head_dim, m.rope);
}

}  // namespace

Result<GgufModel> ReadGgufModel(const GgufFile& file) {
  GgufModel m;
  AHA_ASSIGN(const std::string_view architecture, file.Text("general.architecture"));
  if (architecture != "llama" && architecture != "qwen2") {
    return Fail(Code::kInvalidArgument,
                "{}: key general.architecture: {:.80} is not supported; known: llama, qwen2",
                file.name(), architecture);
  }
  m.architecture = std::string(architecture);
  const Keys keys(file, m.architecture);
  AHA_TRY(RefuseForeignKeys(file, keys));
  AHA_ASSIGN(m.hidden, keys.Count("embedding_length", 1 << 20));
  AHA_ASSIGN(m.layers, keys.Count("block_count", 4096));
  AHA_ASSIGN(m.intermediate, keys.Uniform("feed_forward_length", 1 << 24));
  AHA_ASSIGN(m.heads, keys.Uniform("attention.head_count", 65536));
  m.kv_heads = m.heads;
  if (keys.Has("attention.head_count_kv")) {
    AHA_ASSIGN(m.kv_heads, keys.Uniform("attention.head_count_kv", 65536));
  }
  AHA_ASSIGN(m.context, keys.Count("context_length", kMost));
  AHA_ASSIGN(m.norm_eps, keys.Number("attention.layer_norm_rms_epsilon", 0, 1));
  AHA_ASSIGN(m.head_dim, keys.Count("attention.key_length", 65536,
                                    std::max<std::int64_t>(1, m.hidden / m.heads)));
  AHA_ASSIGN(const std::int64_t value_dim, keys.Count("attention.value_length", 65536, m.head_dim));
  AHA_ASSIGN(const std::int64_t rotated, keys.Count("rope.dimension_count", 65536, m.head_dim));
  if (m.heads % m.kv_heads != 0 || m.head_dim % 2 != 0) {
    return Fail(Code::kCorrupt, "{}: {} heads of width {} over {} key heads do not divide",
                file.name(), m.heads, m.head_dim, m.kv_heads);
  }
  if (value_dim != m.head_dim || rotated != m.head_dim) {
    return Fail(
        Code::kInvalidArgument,
        "{}: keys of width {}, values of {} and {} rotated numbers differ, which is not supported",
        file.name(), m.head_dim, value_dim, rotated);
  }
  AHA_TRY(ReadRope(file, keys, m));
  const GgufTensor* embedding = file.Find("token_embd.weight");
  if (embedding == nullptr || embedding->shape.size() != 2) {
    return Fail(Code::kCorrupt, "{}: tensor token_embd.weight: is missing, or is no matrix",
                file.name());
  }
  m.vocab = embedding->shape[0];
  m.tied = file.Find("output.weight") == nullptr;
  m.attention_bias = m.architecture == "qwen2" || file.Find("blk.0.attn_q.bias") != nullptr;
  return m;
}

std::string GgufConfigJson(const GgufModel& m,
                           const GgufTokenizer& tokenizer,
                           SafetensorsDtype dtype) {
  const bool llama = m.architecture == "llama";
  const char* type = dtype == SafetensorsDtype::kF32 ? "float32" : "bfloat16";
  Json rope = {{"rope_type", m.rope.kind}, {"rope_theta", m.rope.theta}};
  if (m.rope.kind != "default") rope["factor"] = m.rope.factor;
  if (m.rope.kind == "llama3") {
    rope["low_freq_factor"] = m.rope.low_freq_factor;
    rope["high_freq_factor"] = m.rope.high_freq_factor;
  }
  if (m.rope.kind == "llama3" || m.rope.kind == "yarn")
    rope["original_max_position_embeddings"] = m.rope.original_context;
  Json json = {{"architectures", {llama ? "LlamaForCausalLM" : "Qwen2ForCausalLM"}},
               {"model_type", llama ? "llama" : "qwen2"},
               {"vocab_size", m.vocab},
               {"hidden_size", m.hidden},
               {"intermediate_size", m.intermediate},
               {"num_hidden_layers", m.layers},
               {"num_attention_heads", m.heads},
               {"num_key_value_heads", m.kv_heads},
               {"head_dim", m.head_dim},
               {"hidden_act", "silu"},
               {"max_position_embeddings", m.context},
               {"initializer_range", 0.02},
               {"rms_norm_eps", m.norm_eps},
               {"use_cache", true},
               {"rope_theta", m.rope.theta},
               {"rope_scaling", nullptr},
               {"rope_parameters", rope},
               {"attention_dropout", 0.0},
               {"tie_word_embeddings", m.tied},
               {"bos_token_id", nullptr},
               {"eos_token_id", tokenizer.eos_id},
               {"torch_dtype", type},
               {"dtype", type}};
  if (m.rope.kind != "default") {
    rope.erase("rope_theta");
    json["rope_scaling"] = rope;
  }
  if (llama) {
    json["attention_bias"] = m.attention_bias;
    json["mlp_bias"] = false;
  } else {
    json["use_sliding_window"] = false;
  }
  if (tokenizer.bos_id) json["bos_token_id"] = *tokenizer.bos_id;
  if (tokenizer.pad_id) json["pad_token_id"] = *tokenizer.pad_id;
  return json.dump(2) + "\n";
}

std::string GgufGenerationJson(const GgufTokenizer& tokenizer) {
  Json json = {{"_from_model_config", true}};
  if (tokenizer.bos_id) json["bos_token_id"] = *tokenizer.bos_id;
  json["eos_token_id"] = tokenizer.eos_id;
  if (tokenizer.eot_id && *tokenizer.eot_id != tokenizer.eos_id) {
    json["eos_token_id"] = {tokenizer.eos_id, *tokenizer.eot_id};
  }
  if (tokenizer.pad_id) json["pad_token_id"] = *tokenizer.pad_id;
  return json.dump(2) + "\n";
}

}  // namespace aha::policy
