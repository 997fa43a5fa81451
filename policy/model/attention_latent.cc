// Multi-head latent attention (DeepSeek-V2, arXiv:2405.04434, section 2.1) in absorbed form, in both directions: a head's key
// rows of kv_b move to the query's side, its value rows behind the mix; attention sees latents
// alone.

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

struct Widths {
  explicit Widths(const PolicyConfig& c)
      : heads(static_cast<std::size_t>(c.num_attention_heads)),
        nope(static_cast<std::size_t>(c.qk_nope_head_dim)),
        rope(static_cast<std::size_t>(c.qk_rope_head_dim)),
        value(static_cast<std::size_t>(c.v_head_dim)),
        rank(static_cast<std::size_t>(c.kv_lora_rank)),
        q_head(nope + rope),
        key(rank + rope),
        q_in(c.q_lora_rank > 0 ? static_cast<std::size_t>(c.q_lora_rank) : heads * q_head) {}
  std::size_t heads, nope, rope, value, rank;
  std::size_t q_head;  // of a query before absorption
  std::size_t key;     // of a cached row, and of a query after absorption
  std::size_t q_in;    // columns of `in` that are the query's
};

constexpr auto kEps = static_cast<float>(PolicyConfig::kLatentNormEps);

// f(head) for all of them, shared out.
template <class F>
void EachHead(const BlockContext& context, const Widths& w, const F& f) {
  context.cpu.pool().ParallelFor(w.heads, 1, [&](std::size_t begin, std::size_t end) {
    for (std::size_t a = begin; a < end; ++a)
      f(a);
  });
}

// The rotated parts of queries, from one layout of heads (`first` number, heads `apart`) to
// another.
template <class T>
void CopyHeads(const BlockContext& context,
               const Widths& w,
               const Rows<T>& from,
               std::size_t first,
               std::size_t apart,
               const Rows<T>& to,
               std::size_t to_first,
               std::size_t to_apart) {
  context.cpu.pool().ParallelFor(from.count, 256, [&](std::size_t begin, std::size_t end) {
    for (std::size_t t = begin; t < end; ++t) {
      for (std::size_t a = 0; a < w.heads; ++a)
        std::copy_n(from[t] + a * apart + first, w.rope, to[t] + a * to_apart + to_first);
    }
  });
}

// The rotated part of every absorbed query.
template <class T>
Heads<T> QueryRopes(const Rows<T>& query, const Widths& w) {
  return {Columns(query, w.rank, query.width - w.rank), w.heads, w.rope, w.key};
}

template <class T>
void RotateRows(const BlockContext& context, Heads<T> heads, bool back) {
  cpu::Rotate<T>(context.cpu, heads, context.layout.positions_T, context.rope.cos(),
                 context.rope.sin(), context.pairing(), back);
}

}  // namespace

template <class T>
void AttendLatent(const BlockContext& context,
                  const PackedBlock& block,
                  Rows<const T> normed,
                  AttentionTape<T>& tape,
                  Workspace& memory,
                  Rows<T> y) {
  const Widths w(context.config);
  const cpu::Cpu& cpu = context.cpu;
  const cpu::Working working(cpu.clock(), cpu::Work::kProjections);
  const std::size_t tokens = context.tokens();
  tape.in = memory.TakeRows<T>(tokens, w.q_in + w.key);
  cpu::Gemm(cpu, normed, block.in.matrix, tape.in, block.in.bias_data());

  tape.q = Columns(tape.in, 0, w.q_in);
  if (block.q_b.there()) {
    tape.q_latent = memory.TakeRows<T>(tokens, w.q_in);
    cpu::RmsNorm<T>(cpu, Columns(tape.in, 0, w.q_in), block.q_norm.data(), kEps, tape.q_latent);
    tape.q = memory.TakeRows<T>(tokens, w.heads * w.q_head);
    cpu::Gemm(cpu, Read(tape.q_latent), block.q_b.matrix, tape.q);
  }
  tape.kv = memory.TakeRows<T>(tokens, w.key);
  cpu::RmsNorm<T>(cpu, Columns(tape.in, w.q_in, w.rank), block.k_norm.data(), kEps,
                  Columns(tape.kv, 0, w.rank));
  const Rows<T> key_rope = Columns(tape.kv, w.rank, w.rope);
  cpu::CopyRows(cpu, Read(Columns(tape.in, w.q_in + w.rank, w.rope)), key_rope);
  RotateRows<T>(context, {key_rope, 1, w.rope, w.rope}, /*back=*/false);
  PutKeysAndValues<T>(context, tape.kv, {});

  tape.query = memory.TakeRows<T>(tokens, w.heads * w.key);
  cpu::GemmHeads(cpu, Read(tape.q), w.q_head, block.latent.key_up_A, tape.query, w.key);
  CopyHeads(context, w, tape.q, w.nope, w.q_head, tape.query, w.rank, w.key);
  RotateRows(context, QueryRopes(tape.query, w), /*back=*/false);

  tape.mixed = memory.TakeRows<T>(tokens, w.heads * w.rank);
  tape.lse_TA = context.record ? memory.Take<float>(tokens * w.heads) : nullptr;
  RunAttention<T>(context, tape.query, tape.mixed, tape.lse_TA);
  tape.values = memory.TakeRows<T>(tokens, w.heads * w.value);
  cpu::GemmHeads(cpu, Read(tape.mixed), w.rank, block.latent.value_A, tape.values, w.value);
  cpu::Gemm(cpu, Read(tape.values), block.out.matrix, y, block.out.bias_data());
}

template <class T>
void AttendLatentBackward(const BlockContext& context,
                          const PackedBlock& block,
                          Rows<const T> normed,
                          const AttentionTape<T>& tape,
                          Rows<const T> dy,
                          const BlockGradients& gradients,
                          Workspace& memory,
                          Rows<T> dnormed) {
  const Widths w(context.config);
  const cpu::Cpu& cpu = context.cpu;
  const cpu::Working working(cpu.clock(), cpu::Work::kInputGradient);
  const std::size_t tokens = context.tokens();
  const Rows<float> dkv_b = gradients.weight(Part::kKvB);
  const auto rows_of = [&](std::size_t a, std::size_t first, std::size_t count) {
    return Rows<float>(dkv_b[a * (w.nope + w.value) + first], count, dkv_b.width);
  };

  const Rows<T> dvalues = memory.TakeRows<T>(tokens, w.heads * w.value);
  cpu::Gemm(cpu, dy, block.out.transposed, dvalues);
  cpu::WeightGradient(cpu, dy, Read(tape.values), gradients.weight(Part::kO));
  if (float* bias = gradients.bias(Part::kO)) cpu::BiasGradient<T>(cpu, dy, bias);
  const Rows<T> dmixed = memory.TakeRows<T>(tokens, w.heads * w.rank);
  cpu::GemmHeads(cpu, Read(dvalues), w.value, block.latent.value_up_A, dmixed, w.rank);
  EachHead(context, w, [&](std::size_t a) {
    cpu::WeightGradient(cpu, Read(Columns(dvalues, a * w.value, w.value)),
                        Read(Columns(tape.mixed, a * w.rank, w.rank)), rows_of(a, w.nope, w.value));
  });

  cpu::AttentionGradientArgs<T> args;
  args.start_S1 = context.layout.start_S1;
  args.heads = w.heads;
  args.kv_heads = 1;
  args.key_width = w.key;
  args.value_width = w.rank;
  args.latent = true;
  args.scale = static_cast<float>(context.config.attention_scale());
  args.q = tape.query;
  args.k = tape.kv;
  args.y = tape.mixed;
  args.dy = dmixed;
  args.lse_TA = tape.lse_TA;
  const Rows<T> dquery = args.dq = memory.TakeRows<T>(tokens, w.heads * w.key);
  const Rows<T> dkv = args.dk = memory.TakeRows<T>(tokens, w.key);
  cpu::AttentionBackward(cpu, args);
  RotateRows(context, QueryRopes(dquery, w), /*back=*/true);
  RotateRows<T>(context, {Columns(dkv, w.rank, w.rope), 1, w.rope, w.rope}, /*back=*/true);

  const Rows<T> din = memory.TakeRows<T>(tokens, w.q_in + w.key);
  const Rows<T> dq =
      block.q_b.there() ? memory.TakeRows<T>(tokens, w.heads * w.q_head) : Columns(din, 0, w.q_in);
  cpu::GemmHeads(cpu, Read(dquery), w.key, block.latent.key_down_A, dq, w.q_head);
  CopyHeads(context, w, dquery, w.rank, w.key, dq, w.nope, w.q_head);
  EachHead(context, w, [&](std::size_t a) {
    cpu::WeightGradient(cpu, Read(Columns(tape.q, a * w.q_head, w.nope)),
                        Read(Columns(dquery, a * w.key, w.rank)), rows_of(a, 0, w.nope));
  });
  const Part q_part = block.q_b.there() ? Part::kQA : Part::kQ;
  if (block.q_b.there()) {
    const Rows<T> dlatent = memory.TakeRows<T>(tokens, w.q_in);
    cpu::Gemm(cpu, Read(dq), block.q_b.transposed, dlatent);
    cpu::WeightGradient(cpu, Read(dq), Read(tape.q_latent), gradients.weight(Part::kQB));
    cpu::RmsNormBackward<T>(cpu, Columns(tape.in, 0, w.q_in), dlatent, block.q_norm.data(), kEps,
                            Columns(din, 0, w.q_in), gradients.vector(Part::kQANorm));
  }
  cpu::RmsNormBackward<T>(cpu, Columns(tape.in, w.q_in, w.rank), Columns(dkv, 0, w.rank),
                          block.k_norm.data(), kEps, Columns(din, w.q_in, w.rank),
                          gradients.vector(Part::kKvANorm));
  cpu::CopyRows(cpu, Read(Columns(dkv, w.rank, w.rope)), Columns(din, w.q_in + w.rank, w.rope));
  const Rows<const T> dq_in = Columns(din, 0, w.q_in);
  const Rows<const T> dkv_in = Columns(din, w.q_in, w.key);
  cpu::WeightGradient(cpu, dq_in, normed, gradients.weight(q_part));
  cpu::WeightGradient(cpu, dkv_in, normed, gradients.weight(Part::kKvA));
  if (float* bias = gradients.bias(q_part)) cpu::BiasGradient<T>(cpu, dq_in, bias);
  if (float* bias = gradients.bias(Part::kKvA)) cpu::BiasGradient<T>(cpu, dkv_in, bias);
  cpu::Gemm(cpu, Read(din), block.in.transposed, dnormed);
}

#define AHA_FOR(T)                                                                              \
  template void AttendLatent<T>(const BlockContext&, const PackedBlock&, Rows<const T>,         \
                                AttentionTape<T>&, Workspace&, Rows<T>);                        \
  template void AttendLatentBackward<T>(const BlockContext&, const PackedBlock&, Rows<const T>, \
                                        const AttentionTape<T>&, Rows<const T>,                 \
                                        const BlockGradients&, Workspace&, Rows<T>);
AHA_FOR(cpu::Bf16)
AHA_FOR(float)
#undef AHA_FOR

}  // namespace aha::policy
