// Grouped-query attention: every key and value head serves several query heads. Queries and keys
// may be normed by head (Qwen3) and are rotated.

#include <algorithm>

#include "policy/kernels/cpu/attention_backward.h"
#include "policy/kernels/cpu/gemm.h"
#include "policy/kernels/cpu/ops.h"
#include "policy/kernels/cpu/weight_gradient.h"
#include "policy/model/block.h"

namespace aha::policy {
namespace {

using cpu::Columns;
using cpu::Heads;
using cpu::Read;

// Queries, keys and values side by side in one row.
template <class T>
struct Stacked {
  Stacked(const PolicyConfig& c, Rows<T> all)
      : width(static_cast<std::size_t>(c.head_dim)),
        heads(static_cast<std::size_t>(c.num_attention_heads)),
        kv_heads(static_cast<std::size_t>(c.num_key_value_heads)),
        rows(all),
        q(Columns(all, 0, heads * width)),
        k(Columns(all, heads * width, kv_heads * width)),
        v(Columns(all, (heads + kv_heads) * width, kv_heads * width)) {}
  [[nodiscard]] Heads<T> q_heads() const { return {q, heads, width, width}; }
  [[nodiscard]] Heads<T> k_heads() const { return {k, kv_heads, width, width}; }

  std::size_t width, heads, kv_heads;
  Rows<T> rows, q, k, v;
};

std::size_t StackedWidth(const PolicyConfig& c) {
  return static_cast<std::size_t>((c.num_attention_heads + 2 * c.num_key_value_heads) * c.head_dim);
}

template <class T>
void RotateRows(const BlockContext& context, Heads<T> heads, bool back) {
  cpu::Rotate<T>(context.cpu, heads, context.layout.positions_T, context.rope.cos(),
                 context.rope.sin(), context.pairing(), back);
}

template <class T>
Rows<T> CopyOf(const BlockContext& context, const Rows<T>& rows, Workspace& memory) {
  const Rows<T> copy = memory.TakeRows<T>(rows.count, rows.width);
  cpu::CopyRows(context.cpu, Read(rows), copy);
  return copy;
}

// Queries and keys normed by head, if the model does, and turned by their positions; in place.
template <class T>
void NormAndRotate(const BlockContext& context,
                   const PackedBlock& block,
                   const Stacked<T>& stacked,
                   AttentionTape<T>& tape,
                   Workspace& memory) {
  const cpu::Cpu& cpu = context.cpu;
  const cpu::Working working(cpu.clock(), cpu::Work::kNorm);
  if (!block.q_norm.empty()) {
    if (context.record) {
      tape.q_plain = CopyOf(context, stacked.q, memory);
      tape.k_plain = CopyOf(context, stacked.k, memory);
    }
    const auto eps = static_cast<float>(context.config.rms_norm_eps);
    cpu::HeadRmsNorm<T>(cpu, stacked.q_heads(), block.q_norm.data(), eps);
    cpu::HeadRmsNorm<T>(cpu, stacked.k_heads(), block.k_norm.data(), eps);
  }
  RotateRows(context, stacked.q_heads(), /*back=*/false);
  RotateRows(context, stacked.k_heads(), /*back=*/false);
}

// Gradient of norms by head, in place in `d`. Heads of one token are added before the next token's.
template <class T>
void HeadNormBackward(const BlockContext& context,
                      const Rows<T>& plain,
                      const Rows<T>& d,
                      const std::vector<float>& norm,
                      float* dnorm,
                      Workspace& memory) {
  const std::size_t width = norm.size();
  const std::size_t heads = d.count * (d.width / width);
  const Rows<T> dy = CopyOf(context, d, memory);
  const Rows<T> dx = memory.TakeRows<T>(d.count, d.width);
  const auto eps = static_cast<float>(context.config.rms_norm_eps);
  cpu::RmsNormBackward<T>(context.cpu, Rows<const T>(plain.data, heads, width),
                          Rows<const T>(dy.data, heads, width), norm.data(), eps,
                          Rows<T>(dx.data, heads, width), dnorm);
  cpu::CopyRows(context.cpu, Read(dx), d);
}

// Attention's gradient; of contexts that sequences share, in sums that go from batch to batch.
template <class T>
void RunAttentionBackward(const BlockContext& context,
                          std::size_t layer,
                          cpu::AttentionGradientArgs<T>& args,
                          Workspace& memory) {
  const BatchLayout& layout = context.layout;
  args.contexts = layout.contexts;
  args.open = layout.open;
  args.dk_sum = memory.TakeRows<float>(layout.context_tokens, args.k.width);
  args.dv_sum = memory.TakeRows<float>(layout.context_tokens, args.v.width);
  const auto sums_of = [&](const cpu::SharedContext& shared, const Rows<float>& sums) {
    const std::size_t tokens = layout.sequences_S[shared.context].queries;
    return Rows<float>(sums[shared.sum_row], tokens, sums.width);
  };
  for (const Rows<float>& sums : {args.dk_sum, args.dv_sum})
    std::fill_n(sums.data, sums.count * sums.width, 0.0F);
  if (layout.continued) {
    const cpu::SharedContext& first = layout.contexts.front();
    context.sums->Recall(layer, sums_of(first, args.dk_sum), sums_of(first, args.dv_sum));
  }
  cpu::AttentionBackward(context.cpu, args);
  if (layout.open) {
    const cpu::SharedContext& last = layout.contexts.back();
    context.sums->Keep(layer, sums_of(last, args.dk_sum), sums_of(last, args.dv_sum));
  }
}

}  // namespace

template <class T>
void AttendGrouped(const BlockContext& context,
                   const PackedBlock& block,
                   Rows<const T> normed,
                   AttentionTape<T>& tape,
                   Workspace& memory,
                   Rows<T> y) {
  const cpu::Cpu& cpu = context.cpu;
  const cpu::Working working(cpu.clock(), cpu::Work::kProjections);
  const std::size_t tokens = context.tokens();
  tape.in = memory.TakeRows<T>(tokens, StackedWidth(context.config));
  cpu::Gemm(cpu, normed, block.in.matrix, tape.in, block.in.bias_data());
  const Stacked<T> stacked(context.config, tape.in);
  NormAndRotate(context, block, stacked, tape, memory);
  PutKeysAndValues<T>(context, stacked.k, stacked.v);
  tape.mixed = memory.TakeRows<T>(tokens, stacked.q.width);
  tape.lse_TA = context.record ? memory.Take<float>(tokens * stacked.heads) : nullptr;
  RunAttention<T>(context, stacked.q, tape.mixed, tape.lse_TA);
  cpu::Gemm(cpu, Read(tape.mixed), block.out.matrix, y, block.out.bias_data());
}

template <class T>
void AttendGroupedBackward(const BlockContext& context,
                           const PackedBlock& block,
                           Rows<const T> normed,
                           const AttentionTape<T>& tape,
                           Rows<const T> dy,
                           const BlockGradients& gradients,
                           Workspace& memory,
                           Rows<T> dnormed) {
  const cpu::Cpu& cpu = context.cpu;
  const cpu::Working working(cpu.clock(), cpu::Work::kInputGradient);
  const std::size_t tokens = dy.count;
  const Stacked<T> stacked(context.config, tape.in);
  const Rows<T> dmixed = memory.TakeRows<T>(tokens, stacked.q.width);
  cpu::Gemm(cpu, dy, block.out.transposed, dmixed);
  cpu::WeightGradient(cpu, dy, Read(cpu::FirstRows(tape.mixed, tokens)),
                      gradients.weight(Part::kO));
  if (float* bias = gradients.bias(Part::kO)) cpu::BiasGradient<T>(cpu, dy, bias);

  const Stacked<T> d(context.config, memory.TakeRows<T>(tokens, tape.in.width));
  cpu::AttentionGradientArgs<T> args;
  args.start_S1 = context.layout.start_S1;
  args.heads = stacked.heads;
  args.kv_heads = stacked.kv_heads;
  args.key_width = args.value_width = stacked.width;
  args.scale = static_cast<float>(context.config.attention_scale());
  args.q = stacked.q;
  args.k = stacked.k;
  args.v = stacked.v;
  args.y = tape.mixed;
  args.dy = dmixed;
  args.lse_TA = tape.lse_TA;
  args.dq = d.q;
  args.dk = d.k;
  args.dv = d.v;
  RunAttentionBackward(context, static_cast<std::size_t>(gradients.layer), args, memory);
  RotateRows(context, d.q_heads(), /*back=*/true);
  RotateRows(context, d.k_heads(), /*back=*/true);
  if (!block.q_norm.empty()) {
    HeadNormBackward(context, tape.q_plain, d.q, block.q_norm, gradients.vector(Part::kQNorm),
                     memory);
    HeadNormBackward(context, tape.k_plain, d.k, block.k_norm, gradients.vector(Part::kKNorm),
                     memory);
  }
  const struct {
    Part part;
    Rows<const T> rows;
  } inputs[] = {{Part::kQ, d.q}, {Part::kK, d.k}, {Part::kV, d.v}};
  for (const auto& input : inputs) {
    cpu::WeightGradient(cpu, input.rows, normed, gradients.weight(input.part));
    if (float* bias = gradients.bias(input.part)) cpu::BiasGradient<T>(cpu, input.rows, bias);
  }
  cpu::Gemm(cpu, Read(d.rows), block.in.transposed, dnormed);
}

#define AHA_FOR(T)                                                                               \
  template void AttendGrouped<T>(const BlockContext&, const PackedBlock&, Rows<const T>,         \
                                 AttentionTape<T>&, Workspace&, Rows<T>);                        \
  template void AttendGroupedBackward<T>(const BlockContext&, const PackedBlock&, Rows<const T>, \
                                         const AttentionTape<T>&, Rows<const T>,                 \
                                         const BlockGradients&, Workspace&, Rows<T>);
AHA_FOR(cpu::Bf16)
AHA_FOR(float)
#undef AHA_FOR

}  // namespace aha::policy
