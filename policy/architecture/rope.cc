// Rotary positions in config.json. Older files hold `rope_theta` and `rope_scaling`; transformers 5
// writes `rope_parameters`, theta inside. Where both are, transformers reads `rope_scaling`.

#include "policy/architecture/architecture.h"

namespace aha::policy {
namespace {

std::string TypeIn(KeyReader& keys) {
  return keys.Find("rope_type") != nullptr ? keys.Text("rope_type", "default")
                                           : keys.Text("type", "default");
}

YarnScaling ReadYarn(KeyReader& keys, const PolicyConfig& c) {
  YarnScaling yarn;
  yarn.factor = keys.Number("factor", 1, 1e6);
  yarn.beta_fast = keys.Number("beta_fast", 0, 1e6, 32.0);
  yarn.beta_slow = keys.Number("beta_slow", 0, 1e6, 1.0);
  if (yarn.beta_fast == 0) yarn.beta_fast = 32;  // transformers takes 0 for absent
  if (yarn.beta_slow == 0) yarn.beta_slow = 1;
  yarn.mscale = keys.Number("mscale", 0, 1e3, 0.0);
  yarn.mscale_all_dim = keys.Number("mscale_all_dim", 0, 1e3, 0.0);
  yarn.original_max_position_embeddings =
      keys.Count("original_max_position_embeddings", 1, kMostPositions, c.max_position_embeddings);
  if (keys.Find("attention_factor") != nullptr)
    yarn.attention_factor = keys.Number("attention_factor", 0, 1e6);
  yarn.truncate = keys.Flag("truncate", true);
  return yarn;
}

Llama3Scaling ReadLlama3(KeyReader& keys, const PolicyConfig& c) {
  Llama3Scaling scaling;
  scaling.factor = keys.Number("factor", 1, 1e6);
  scaling.low_freq_factor = keys.Number("low_freq_factor", 1e-6, 1e6);
  scaling.high_freq_factor = keys.Number("high_freq_factor", 1e-6, 1e6);
  scaling.original_max_position_embeddings =
      keys.Count("original_max_position_embeddings", 1, kMostPositions, c.max_position_embeddings);
  if (scaling.high_freq_factor <= scaling.low_freq_factor)
    keys.Refuse("high_freq_factor", "must exceed low_freq_factor");
  return scaling;
}

void ReadScaling(KeyReader& keys, const std::string& type, PolicyConfig& c) {
  if (type == "yarn") {
    c.yarn = ReadYarn(keys, c);
  } else if (type == "llama3") {
    c.llama3 = ReadLlama3(keys, c);
  } else if (type == "linear") {
    c.rope_linear_factor = keys.Number("factor", 1e-6, 1e6);
  } else if (type != "default") {
    keys.Refuse(
        "rope_type",
        fmt::format("is \"{}\"; only default, linear, llama3 and yarn are supported", type));
  }
}

}  // namespace

void ReadRope(KeyReader& keys, double default_theta, PolicyConfig& c) {
  keys.Require("partial_rotary_factor", 1.0);
  const double outer_theta = keys.Number("rope_theta", 1, 1e12, default_theta);
  std::string first_type;
  const char* first_name = nullptr;
  std::optional<double> theta;
  for (const char* name : {"rope_scaling", "rope_parameters"}) {
    const Json* block = keys.Find(name);
    if (block == nullptr || block->empty()) continue;
    if (!block->is_object()) return keys.Refuse(name, "must be an object");
    KeyReader inner(*block, fmt::format("{}: in \"{}\"", keys.where(), name));
    const std::string type = TypeIn(inner);
    inner.Require("partial_rotary_factor", 1.0);
    if (!theta && inner.Find("rope_theta") != nullptr) theta = inner.Number("rope_theta", 1, 1e12);
    if (first_name == nullptr) {
      first_name = name;
      first_type = type;
      ReadScaling(inner, type, c);
    } else if (type != first_type) {
      keys.Refuse(name, fmt::format("says {}, but \"{}\" says {}; remove one of them", type,
                                    first_name, first_type));
    }
    if (inner.error()) return keys.Refuse(*inner.error());
  }
  c.rope_theta = theta.value_or(outer_theta);
}

void WriteRope(const PolicyConfig& c, Json& j) {
  Json scaling;
  std::string type = "default";
  if (c.yarn) {
    type = "yarn";
    scaling = {{"factor", c.yarn->factor},
               {"beta_fast", c.yarn->beta_fast},
               {"beta_slow", c.yarn->beta_slow}};
    if (c.yarn->mscale != 0) scaling["mscale"] = c.yarn->mscale;
    if (c.yarn->mscale_all_dim != 0) scaling["mscale_all_dim"] = c.yarn->mscale_all_dim;
    scaling["original_max_position_embeddings"] = c.yarn->original_max_position_embeddings;
    if (c.yarn->attention_factor) scaling["attention_factor"] = *c.yarn->attention_factor;
    if (!c.yarn->truncate) scaling["truncate"] = false;
  } else if (c.llama3) {
    type = "llama3";
    scaling = {{"factor", c.llama3->factor},
               {"low_freq_factor", c.llama3->low_freq_factor},
               {"high_freq_factor", c.llama3->high_freq_factor},
               {"original_max_position_embeddings", c.llama3->original_max_position_embeddings}};
  } else if (c.rope_linear_factor != 1) {
    type = "linear";
    scaling = {{"factor", c.rope_linear_factor}};
  }
  j["rope_theta"] = c.rope_theta;
  j["rope_scaling"] = nullptr;
  if (type != "default") {
    j["rope_scaling"] = {{"type", type}, {"rope_type", type}};
    j["rope_scaling"].update(scaling);
  }
  j["rope_parameters"] = {{"rope_type", type}, {"rope_theta", c.rope_theta}};
  if (!scaling.is_null()) j["rope_parameters"].update(scaling);
}

}  // namespace aha::policy
