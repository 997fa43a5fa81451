// Keys of other families that change what is computed. A class that does not know such a key would
// pass over it and compute something else than the model was trained for.

#include <array>

#include "policy/architecture/architecture.h"

namespace aha::policy {
namespace {

struct ForeignKey {
  const char* key;
  double harmless;  // besides null and false
};

constexpr std::array kForeignKeys = {
    ForeignKey{"attn_logit_softcapping", 0},   // Gemma 2
    ForeignKey{"final_logit_softcapping", 0},  //
    ForeignKey{"query_pre_attn_scalar", 0},    //
    ForeignKey{"attention_multiplier", 0},     // Granite
    ForeignKey{"embedding_multiplier", 1},     //
    ForeignKey{"residual_multiplier", 1},      //
    ForeignKey{"logits_scaling", 1},           //
    ForeignKey{"logit_scale", 1},              // Cohere
    ForeignKey{"scale_emb", 1},                // MiniCPM
    ForeignKey{"scale_depth", 0},              //
    ForeignKey{"dim_model_base", 0},           //
    ForeignKey{"clip_qkv", 0},                 // OLMo
    ForeignKey{"attention_chunk_size", 0},     // Llama 4
    ForeignKey{"attn_temperature_tuning", 0},  //
    ForeignKey{"no_rope_layers", 0},           // SmolLM3
    ForeignKey{"alibi", 0},                    // Falcon
    ForeignKey{"parallel_attn", 0},            //
};

bool Harmless(const Json& value, double harmless) {
  if (value.is_boolean()) return !value.get<bool>();
  if (value.is_array()) return value.empty();
  return value.is_number() && value.get<double>() == harmless;
}

}  // namespace

void RefuseForeignKeys(KeyReader& keys) {
  for (const ForeignKey& foreign : kForeignKeys) {
    const Json* value = keys.Find(foreign.key);
    if (value == nullptr || Harmless(*value, foreign.harmless)) continue;
    keys.Refuse(foreign.key, fmt::format("is {:.80}, which changes what the model computes and is "
                                         "not supported",
                                         value->dump()));
  }
}

}  // namespace aha::policy
