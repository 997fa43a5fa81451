#include "policy/model/pass.h"

#include <algorithm>

#include "policy/kernels/cpu/gemm.h"
#include "policy/kernels/cpu/ops.h"
#include "policy/kernels/cpu/weight_gradient.h"
#include "policy/model/block.h"

namespace aha::policy {

using cpu::Bf16;
using cpu::Columns;
using cpu::FirstRows;
using cpu::Read;

namespace {

// Of one number type: only one of a record's two is in use.
template <class T>
struct TypedRecord {
  std::vector<BlockTape<T>> blocks;
  Rows<T> last, hidden;             // before and after the final norm
  Rows<T> embedded, trunk, joined;  // MTP
};

}  // namespace

struct Tape::Record {
  bool recompute = false;
  Workspace memory;
  BatchLayout layout;
  TypedRecord<Bf16> bf16;
  TypedRecord<float> fp32;
  double balance_loss = 0;

  template <class T>
  TypedRecord<T>& typed() {
    if constexpr (std::is_same_v<T, Bf16>) {
      return bf16;
    } else {
      return fp32;
    }
  }
};

bool SharesContexts(const PolicyConfig& config) {
  return config.attention == AttentionKind::kGrouped && config.n_routed_experts == 0 &&
         config.num_nextn_predict_layers == 0;
}

Tape::Tape(bool recompute) : record_(std::make_unique<Record>()) {
  record_->recompute = recompute;
}
Tape::~Tape() = default;
void Tape::set_recompute(bool recompute) {
  record_->recompute = recompute;
}
double Tape::balance_loss() const {
  return record_->balance_loss;
}
std::size_t Tape::bytes() const {
  return record_->memory.used();
}

namespace {

// One call of a pass.
template <class T>
class Run {
 public:
  Run(const Weights& weights,
      const cpu::Cpu& cpu,
      RopeTable& rope,
      const BatchLayout& layout,
      Workspace& scratch,
      Tape::Record* record)
      : c_(weights.config()),
        w_(weights),
        cpu_(cpu),
        layout_(layout),
        scratch_(scratch),
        record_(record),
        width_(static_cast<std::size_t>(c_.hidden_size)),
        context_{c_, cpu, layout, rope, {}, nullptr, 0, record != nullptr, &scratch} {
    rope.Reach(layout.reach);
  }

  Hidden Forward(const TokenBatch& batch, const ForwardOptions& options) {
    Prepare(batch.pool);
    const Rows<T> hidden = Kept(width_);
    Rows<T> x = Kept(width_);
    Rows<T> spare = record_ == nullptr ? scratch_.TakeRows<T>(layout_.tokens(), width_) : Rows<T>();
    cpu::Embed<T>(cpu_, layout_.ids_T, w_.embedding().matrix, x);
    if (options.on_block) options.on_block(0, Shown(x));
    for (std::size_t l = 0; l < w_.blocks().size(); ++l) {
      const Rows<T> y = record_ == nullptr ? spare : Kept(width_);
      LayerOf(batch.pool, l);
      Block(w_.blocks()[l], x, y, options.load);
      if (record_ == nullptr) spare = x;
      x = y;
      if (options.on_block) options.on_block(l + 1, Shown(x));
    }
    return End(x, w_.final_norm(), hidden);
  }

  Hidden ForwardMtp(const TokenBatch& batch, const Hidden& trunk, const ForwardOptions& options) {
    Prepare(batch.pool);
    const PackedMtp& mtp = *w_.mtp();
    const Rows<T> hidden = Kept(width_);
    const Rows<T> embedded = Kept(width_);
    const Rows<T> joined = Kept(2 * width_);
    Rows<const T> below = trunk.as<T>();
    cpu::Embed<T>(cpu_, layout_.ids_T, w_.embedding().matrix, embedded);
    if (record_ != nullptr) {
      TypedRecord<T>& typed = record_->template typed<T>();
      typed.embedded = embedded;
      typed.joined = joined;
      typed.trunk = Kept(width_);
      cpu::CopyRows(cpu_, below, typed.trunk);
    }
    cpu::RmsNorm<T>(cpu_, embedded, mtp.embedding_norm.data(), Eps(), Columns(joined, 0, width_));
    cpu::RmsNorm<T>(cpu_, below, mtp.hidden_norm.data(), Eps(), Columns(joined, width_, width_));
    const Rows<T> x = Kept(width_);
    const Rows<T> y = Kept(width_);
    cpu::Gemm(cpu_, Read(joined), mtp.projection.matrix, x);
    LayerOf(batch.pool, w_.blocks().size());
    Block(mtp.block, x, y, options.load);
    return End(y, mtp.final_norm, hidden);
  }

  void Backward(Rows<const float> dhidden, Gradients& gradients, const BackwardOptions& options) {
    Prepare(nullptr);
    context_.sums = options.sums;
    const TypedRecord<T>& typed = record_->template typed<T>();
    const Rows<T> dx =
        FinalNormBackward(dhidden, w_.final_norm(), gradients.weight(-1, Part::kFinalNorm).data);
    for (std::size_t l = typed.blocks.size(); l-- > 0;) {
      BlockBackward(w_.blocks()[l], typed.blocks[l], dx, {gradients, static_cast<std::int64_t>(l)},
                    options.balance);
    }
    const Gradients::Looked looked =
        gradients.embedding(std::span(layout_.ids_T).first(layout_.gradient_tokens()));
    cpu::EmbedBackward<T>(cpu_, looked.row_T, dx, looked.rows);
  }

  void BackwardMtp(Rows<const float> dhidden,
                   Gradients& gradients,
                   const MtpBackwardOptions& options) {
    Prepare(nullptr);
    const TypedRecord<T>& typed = record_->template typed<T>();
    const PackedMtp& mtp = *w_.mtp();
    const BlockGradients to = {gradients, c_.num_hidden_layers};
    const Rows<T> dx = FinalNormBackward(dhidden, mtp.final_norm, to.vector(Part::kMtpFinalNorm));
    BlockBackward(mtp.block, typed.blocks.front(), dx, to, options.balance);
    cpu::WeightGradient(cpu_, Read(dx), Read(typed.joined), to.weight(Part::kMtpProjection));
    const Rows<T> djoined = scratch_.TakeRows<T>(layout_.tokens(), 2 * width_);
    cpu::Gemm(cpu_, Read(dx), mtp.projection.transposed, djoined);
    const Rows<T> dpart = scratch_.TakeRows<T>(layout_.tokens(), width_);
    cpu::RmsNormBackward<T>(cpu_, typed.embedded, Columns(djoined, 0, width_),
                            mtp.embedding_norm.data(), Eps(), dpart,
                            to.vector(Part::kMtpEmbeddingNorm));
    if (options.embedding)
      cpu::EmbedBackward<T>(cpu_, layout_.ids_T, dpart, gradients.table(TableUse::kMtpEmbedding));
    cpu::RmsNormBackward<T>(cpu_, typed.trunk, Columns(djoined, width_, width_),
                            mtp.hidden_norm.data(), Eps(), dpart, to.vector(Part::kMtpHiddenNorm));
    if (options.dtrunk.data != nullptr) cpu::AddRows<T>(cpu_, dpart, options.dtrunk);
  }

 private:
  [[nodiscard]] float Eps() const { return static_cast<float>(c_.rms_norm_eps); }

  [[nodiscard]] Hidden Shown(const Rows<T>& x) const {
    return {w_.kind(), x.data, x.count, x.width};
  }

  // Rows that outlive the call.
  Rows<T> Kept(std::size_t width) {
    Workspace& memory = record_ != nullptr ? record_->memory : scratch_;
    return memory.TakeRows<T>(layout_.tokens(), width);
  }

  void Prepare(KvPool* pool) {
    context_.shape = pool != nullptr ? pool->shape() : KvShapeOf(c_, KvPool::kPageTokens);
    if (pool != nullptr) return;
    // Pages of this batch alone, for one layer after another. Unused places must be finite.
    const std::size_t bytes = layout_.own_pages * context_.shape.page_bytes();
    context_.page_stride = context_.shape.page_bytes();
    context_.pages = scratch_.Take<std::byte>(bytes);
    std::fill_n(context_.pages, bytes, std::byte{0});
  }
  void LayerOf(KvPool* pool, std::size_t layer) {
    if (pool == nullptr) return;
    context_.pages = pool->layer(layer);
    context_.page_stride = pool->page_stride();
  }

  Hidden End(const Rows<T>& x, const std::vector<float>& norm, const Rows<T>& hidden) {
    const cpu::Working working(cpu_.clock(), cpu::Work::kNorm);
    cpu::RmsNorm<T>(cpu_, x, norm.data(), Eps(), hidden);
    if (record_ != nullptr) {
      record_->template typed<T>().last = x;
      record_->template typed<T>().hidden = hidden;
    }
    return {w_.kind(), hidden.data, hidden.count, hidden.width};
  }

  // One block, with the bookkeeping of what it leaves.
  void Block(const PackedBlock& block, const Rows<T>& x, const Rows<T>& y, ExpertLoad* load) {
    BlockTape<T> kept;
    thread_local BlockTape<T> idle;  // for its memory: inference asks for no more once warm
    BlockTape<T>& tape = record_ != nullptr ? kept : idle;
    const bool keep = record_ != nullptr && !record_->recompute;
    const Workspace::Mark mark = scratch_.mark();
    RunBlock(block, x, y, tape, keep ? record_->memory : scratch_);
    scratch_.Release(mark);
    if (load != nullptr && !block.dense) {
      std::vector<std::int64_t>& counts = load->emplace_back();
      const std::vector<std::size_t>& start = tape.experts.plan.start_E1;
      for (std::size_t e = 0; e + 1 < start.size(); ++e)
        counts.push_back(static_cast<std::int64_t>(start[e + 1] - start[e]));
    }
    if (record_ == nullptr) return;
    record_->balance_loss += tape.experts.balance_loss;
    if (!keep) {
      tape = BlockTape<T>();
      tape.x = x;
    }
    record_->template typed<T>().blocks.push_back(std::move(tape));
  }

  void RunBlock(const PackedBlock& block,
                const Rows<T>& x,
                const Rows<T>& y,
                BlockTape<T>& tape,
                Workspace& memory) const {
    const std::size_t tokens = layout_.tokens();
    tape.x = x;
    tape.normed = scratch_.TakeRows<T>(tokens, width_);
    tape.after = memory.TakeRows<T>(tokens, width_);
    tape.u = scratch_.TakeRows<T>(tokens, width_);
    const cpu::Working working(cpu_.clock(), cpu::Work::kNorm);
    cpu::RmsNorm<T>(cpu_, x, block.input_norm.data(), Eps(), tape.normed);
    const auto attend = c_.attention == AttentionKind::kLatent ? AttendLatent<T> : AttendGrouped<T>;
    attend(context_, block, tape.normed, tape.attention, memory, tape.u);
    cpu::Add<T>(cpu_, x, tape.u, tape.after);
    cpu::RmsNorm<T>(cpu_, tape.after, block.post_attention_norm.data(), Eps(), tape.u);
    if (block.dense) {
      RunNetwork<T>(context_, block.network, tape.u, tape.network, memory, y);
    } else {
      RunMixture<T>(context_, block, tape.u, tape.experts, memory, y);
    }
    cpu::Add<T>(cpu_, tape.after, y, y);
  }

  Rows<T> FinalNormBackward(Rows<const float> dhidden,
                            const std::vector<float>& norm,
                            float* dnorm) {
    const std::size_t tokens = layout_.gradient_tokens();
    const Rows<T> dx = scratch_.TakeRows<T>(tokens, width_);
    const Rows<T> dy = scratch_.TakeRows<T>(tokens, width_);
    cpu::CopyRows(cpu_, FirstRows(dhidden, dy.count), dy);
    cpu::RmsNormBackward<T>(cpu_, FirstRows(record_->template typed<T>().last, dy.count), dy,
                            norm.data(), Eps(), dx, dnorm);
    return dx;
  }

  // What the block normed on its way, again: of rows that have a gradient.
  Rows<T> Normed(const Rows<T>& x, const std::vector<float>& norm) {
    const Rows<T> y = scratch_.TakeRows<T>(layout_.gradient_tokens(), x.width);
    cpu::RmsNorm<T>(cpu_, FirstRows(x, y.count), norm.data(), Eps(), y);
    return y;
  }

  // dx: gradient of the block's output, then of its input.
  void BlockBackward(const PackedBlock& block,
                     const BlockTape<T>& kept,
                     const Rows<T>& dx,
                     const BlockGradients& gradients,
                     float balance) {
    const Workspace::Mark mark = scratch_.mark();
    const std::size_t tokens = layout_.gradient_tokens();
    BlockTape<T> again;
    if (record_->recompute)
      RunBlock(block, kept.x, scratch_.TakeRows<T>(layout_.tokens(), width_), again, scratch_);
    const BlockTape<T>& tape = record_->recompute ? again : kept;
    const Rows<T> after = FirstRows(tape.after, tokens);
    const Rows<T> x = FirstRows(tape.x, tokens);
    const Rows<T> u = record_->recompute ? FirstRows(again.u, tokens)
                                         : Normed(tape.after, block.post_attention_norm);
    const Rows<T> normed =
        record_->recompute ? FirstRows(again.normed, tokens) : Normed(tape.x, block.input_norm);
    const Rows<T> d = scratch_.TakeRows<T>(tokens, width_);
    const Rows<T> part = scratch_.TakeRows<T>(tokens, width_);
    const Rows<float> du = scratch_.TakeRows<float>(tokens, width_);
    std::fill_n(du.data, tokens * width_, 0.0F);
    if (block.dense) {
      constexpr NetworkParts kParts = {Part::kMlpGate, Part::kMlpUp, Part::kMlpDown};
      RunNetworkBackward<T>(context_, block.network, kParts, u, tape.network, dx, gradients,
                            scratch_, du);
    } else {
      RunMixtureBackward<T>(context_, block, u, tape.experts, dx, balance, gradients, scratch_, du);
    }
    cpu::CopyRows(cpu_, Read(du), d);
    cpu::RmsNormBackward<T>(cpu_, after, d, block.post_attention_norm.data(), Eps(), part,
                            gradients.vector(Part::kPostAttentionNorm));
    cpu::Add<T>(cpu_, dx, part, dx);
    const auto attend =
        c_.attention == AttentionKind::kLatent ? AttendLatentBackward<T> : AttendGroupedBackward<T>;
    attend(context_, block, normed, tape.attention, dx, gradients, scratch_, d);
    cpu::RmsNormBackward<T>(cpu_, x, d, block.input_norm.data(), Eps(), part,
                            gradients.vector(Part::kInputNorm));
    cpu::Add<T>(cpu_, dx, part, dx);
    scratch_.Release(mark);
  }

  const PolicyConfig& c_;
  const Weights& w_;
  const cpu::Cpu& cpu_;
  const BatchLayout& layout_;
  Workspace& scratch_;
  Tape::Record* record_;
  std::size_t width_;
  BlockContext context_;
};

// Calls f with a number of the policy's type.
template <class F>
auto WithType(cpu::NumberKind kind, const F& f) {
  return kind == cpu::NumberKind::kBf16 ? f(Bf16{}) : f(0.0F);
}

// The layout of a new batch: the tape's, if there is one.
BatchLayout& StartBatch(const TokenBatch& batch,
                        const ForwardOptions& options,
                        BatchLayout& own,
                        Workspace& scratch) {
  scratch.Reset();
  BatchLayout& layout = options.tape != nullptr ? options.tape->record().layout : own;
  if (options.tape != nullptr) {
    Tape::Record& record = options.tape->record();
    record.memory.Reset();
    record.balance_loss = 0;
    record.bf16.blocks.clear();
    record.fp32.blocks.clear();
  }
  if (options.load != nullptr) options.load->clear();
  layout.Build(batch);
  return layout;
}

Tape::Record* RecordOf(const ForwardOptions& options) {
  return options.tape == nullptr ? nullptr : &options.tape->record();
}

}  // namespace

Pass::Pass(const Weights& weights, const cpu::Cpu& cpu)
    : weights_(weights), cpu_(cpu), rope_(weights.config()) {}
Pass::~Pass() = default;

Hidden Pass::Forward(const TokenBatch& batch, const ForwardOptions& options) {
  const BatchLayout& layout = StartBatch(batch, options, layout_, workspace_);
  return WithType(weights_.kind(), [&]<class T>(T) {
    return Run<T>(weights_, cpu_, rope_, layout, workspace_, RecordOf(options))
        .Forward(batch, options);
  });
}

Hidden Pass::ForwardMtp(const TokenBatch& batch,
                        const Hidden& trunk,
                        const ForwardOptions& options) {
  const BatchLayout& layout = StartBatch(batch, options, mtp_layout_, mtp_workspace_);
  return WithType(weights_.kind(), [&]<class T>(T) {
    return Run<T>(weights_, cpu_, rope_, layout, mtp_workspace_, RecordOf(options))
        .ForwardMtp(batch, trunk, options);
  });
}

void Pass::Backward(Tape& tape,
                    cpu::Rows<const float> dhidden,
                    Gradients& gradients,
                    const BackwardOptions& options) {
  workspace_.Reset();
  WithType(weights_.kind(), [&]<class T>(T) {
    Run<T>(weights_, cpu_, rope_, tape.record().layout, workspace_, &tape.record())
        .Backward(dhidden, gradients, options);
  });
}

void Pass::BackwardMtp(Tape& tape,
                       cpu::Rows<const float> dhidden,
                       Gradients& gradients,
                       const MtpBackwardOptions& options) {
  mtp_workspace_.Reset();
  WithType(weights_.kind(), [&]<class T>(T) {
    Run<T>(weights_, cpu_, rope_, tape.record().layout, mtp_workspace_, &tape.record())
        .BackwardMtp(dhidden, gradients, options);
  });
}

Hidden GatherRows(const cpu::Cpu& cpu,
                  const Hidden& hidden,
                  std::span<const std::int32_t> row_N,
                  Workspace& memory) {
  return WithType(hidden.kind, [&]<class T>(T) {
    const Rows<const T> from = hidden.as<T>();
    const Rows<T> to = memory.TakeRows<T>(row_N.size(), hidden.width);
    cpu.pool().ParallelFor(row_N.size(), 64, [&](std::size_t begin, std::size_t end) {
      for (std::size_t n = begin; n < end; ++n)
        std::copy_n(from[static_cast<std::size_t>(row_N[n])], hidden.width, to[n]);
    });
    return Hidden{hidden.kind, to.data, to.count, to.width};
  });
}

}  // namespace aha::policy
