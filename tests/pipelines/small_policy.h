#pragma once
/// A small dense policy whose memory and arithmetic tests count.

#include "policy/config.h"

namespace aha::pipelines {

inline policy::PolicyConfig Grouped() {
  policy::PolicyConfig c;
  c.family = policy::Family::kLlama;
  c.attention = policy::AttentionKind::kGrouped;
  c.vocab_size = 1000;
  c.hidden_size = 64;
  c.intermediate_size = 128;
  c.num_hidden_layers = 3;
  c.num_attention_heads = 4;
  c.num_key_value_heads = 2;
  c.head_dim = 16;
  c.tie_word_embeddings = true;
  return c;
}

}  // namespace aha::pipelines
