#pragma once
/// The parts of a block, forward and backward: what pass.cc strings together. T is the policy's
/// number type, Bf16 or float.
///
/// Shapes: T tokens, H hidden, A query heads, G key-value heads, W key width, S sent rows, E
/// experts, K slots.

#include <cstdint>

#include "policy/kernels/cpu/experts.h"
#include "policy/kernels/cpu/ops.h"
#include "policy/kernels/cpu/router.h"
#include "policy/kernels/cpu/rows.h"
#include "policy/model/batch_layout.h"
#include "policy/model/context_sums.h"
#include "policy/model/gradients.h"
#include "policy/model/rope_table.h"
#include "policy/model/weights.h"
#include "policy/model/workspace.h"

namespace aha::policy {

using cpu::Rows;

/// What the parts of a block share in one pass.
struct BlockContext {
  const PolicyConfig& config;
  const cpu::Cpu& cpu;
  const BatchLayout& layout;
  const RopeTable& rope;
  cpu::KvShape shape;
  std::byte* pages = nullptr;  ///< this layer's part of page 0
  std::size_t page_stride = 0;
  bool record =
      false;  ///< keep what the way back reads, but for what it makes again at little cost
  Workspace* scratch = nullptr;  ///< for that; until the block's end
  ContextSums* sums = nullptr;   ///< backward, of a batch that is continued or open

  [[nodiscard]] std::size_t tokens() const { return layout.tokens(); }
  [[nodiscard]] cpu::Pairing pairing() const {
    return config.rope_interleave ? cpu::Pairing::kInterleaved : cpu::Pairing::kHalves;
  }
};

/// Where a block's gradients go.
struct BlockGradients {
  Gradients& all;
  std::int64_t layer;

  [[nodiscard]] Rows<float> weight(Part part) const { return all.weight(layer, part); }
  [[nodiscard]] float* bias(Part part) const { return all.bias(layer, part); }
  [[nodiscard]] float* vector(Part part) const { return weight(part).data; }
  [[nodiscard]] Rows<float> expert(std::size_t e, Part part) const {
    return all.expert(layer, e, part);
  }
};

// What each part keeps. Rows lie in the memory that the forward pass was given.

template <class T>
struct AttentionTape {
  Rows<T> in;                ///< normed input times PackedBlock::in; grouped: rotated in place
  Rows<T> q_latent;          ///< latent with q_lora: normed
  Rows<T> q;                 ///< latent: [T, A * (nope + rope)], not rotated
  Rows<T> kv;                ///< latent: [T, R + rope], as cached
  Rows<T> query;             ///< latent: absorbed, [T, A * (R + rope)]
  Rows<T> q_plain, k_plain;  ///< grouped with head norms: before norm and rotation
  Rows<T> mixed;             ///< [T, A * value width of the cache]
  Rows<T> values;            ///< latent: [T, A * V]; what the output projection reads
  float* lse_TA = nullptr;
};

template <class T>
struct NetworkTape {
  Rows<T> both;
  Rows<T> act;  ///< not kept
};

template <class T>
struct ExpertsTape {
  cpu::ExpertPlan plan;
  std::int32_t* experts_TK = nullptr;
  float* weights_TK = nullptr;
  float* scores_TE = nullptr;
  Rows<T> sent_SH;  ///< not kept
  Rows<T> done_SH;
  NetworkTape<T> routed, shared;
  Rows<T> shared_out;  ///< before the switch
  float* switch_T = nullptr;
  double balance_loss = 0;
};

template <class T>
struct BlockTape {
  Rows<T> x, after;
  Rows<T> normed, u;  ///< not kept: the norms of the other two
  AttentionTape<T> attention;
  NetworkTape<T> network;
  ExpertsTape<T> experts;
};

/// y = attention of the normed rows.
template <class T>
void AttendLatent(const BlockContext& context,
                  const PackedBlock& block,
                  Rows<const T> normed,
                  AttentionTape<T>& tape,
                  Workspace& memory,
                  Rows<T> y);
template <class T>
void AttendGrouped(const BlockContext& context,
                   const PackedBlock& block,
                   Rows<const T> normed,
                   AttentionTape<T>& tape,
                   Workspace& memory,
                   Rows<T> y);
/// dnormed is overwritten. `memory` is for intermediate results. Rows of dy are the batch's first,
/// layout.gradient_tokens() of them; those of the tape are all, for the grouped kind.
template <class T>
void AttendLatentBackward(const BlockContext& context,
                          const PackedBlock& block,
                          Rows<const T> normed,
                          const AttentionTape<T>& tape,
                          Rows<const T> dy,
                          const BlockGradients& gradients,
                          Workspace& memory,
                          Rows<T> dnormed);
template <class T>
void AttendGroupedBackward(const BlockContext& context,
                           const PackedBlock& block,
                           Rows<const T> normed,
                           const AttentionTape<T>& tape,
                           Rows<const T> dy,
                           const BlockGradients& gradients,
                           Workspace& memory,
                           Rows<T> dnormed);

/// Writes new keys and values (none when latent) of all tokens to their pages.
template <class T>
void PutKeysAndValues(const BlockContext& context, Rows<const T> keys, Rows<const T> values);
template <class T>
void RunAttention(const BlockContext& context, Rows<const T> query, Rows<T> mixed, float* lse_TA);

/// y = down(silu(gate x) * up x).
template <class T>
void RunNetwork(const BlockContext& context,
                const PackedNetwork& network,
                Rows<const T> x,
                NetworkTape<T>& tape,
                Workspace& memory,
                Rows<T> y);
/// Parts of a network's tensors, as Gradients names them.
struct NetworkParts {
  Part gate, up, down;
};
/// dx += the gradient of x, fp32.
template <class T>
void RunNetworkBackward(const BlockContext& context,
                        const PackedNetwork& network,
                        const NetworkParts& parts,
                        Rows<const T> x,
                        const NetworkTape<T>& tape,
                        Rows<const T> dy,
                        const BlockGradients& gradients,
                        Workspace& memory,
                        Rows<float> dx);

/// y = routed experts and shared network of u.
template <class T>
void RunMixture(const BlockContext& context,
                const PackedBlock& block,
                Rows<const T> u,
                ExpertsTape<T>& tape,
                Workspace& memory,
                Rows<T> y);
/// dx += the gradient of u, fp32. `balance` as in BackwardOptions.
template <class T>
void RunMixtureBackward(const BlockContext& context,
                        const PackedBlock& block,
                        Rows<const T> u,
                        const ExpertsTape<T>& tape,
                        Rows<const T> dy,
                        float balance,
                        const BlockGradients& gradients,
                        Workspace& memory,
                        Rows<float> du);

/// dW += dy^T x for gate and up from dboth in PackedGateUp's layout, already split into `split` [T,
/// 2 I].
template <class T>
void GateUpGradient(const cpu::Cpu& cpu,
                    Rows<const T> split,
                    Rows<const T> x,
                    Rows<float> dgate,
                    Rows<float> dup);

cpu::RouterRule RouterRuleOf(const PolicyConfig& config);

}  // namespace aha::policy
