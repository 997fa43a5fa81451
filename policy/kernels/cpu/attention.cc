#include "policy/kernels/cpu/attention.h"

#include <algorithm>
#include <array>
#include <vector>

#include "policy/kernels/cpu/attention_kernels.h"

namespace aha::policy::cpu {
namespace {

// Row r of a key-value head: the token, and which of the heads that share the key.
struct Place {
  std::size_t sequence, query;
};

template <class T>
class Run {
 public:
  Run(const AttentionCall& call,
      const Rows<const T>& q,
      const Rows<T>& y,
      float* lse_TA,
      void (*kernel)(const AttentionChunk&))
      : call_(call),
        q_(q),
        y_(y),
        lse_TA_(lse_TA),
        kernel_(kernel),
        group_(call.heads / call.shape.heads),
        places_(Places()) {
    places_.clear();
    for (std::size_t s = 0; s < call.sequences.size(); ++s) {
      for (std::size_t i = 0; i < call.sequences[s].queries; ++i)
        places_.push_back({s, i});
    }
  }

  [[nodiscard]] std::size_t rows() const { return places_.size() * group_; }

  // Rows [begin, end) of key-value head `head`.
  void Chunk(std::size_t head, std::size_t begin, std::size_t end) const {
    std::array<AttentionRow, kAttentionRows> rows;
    for (std::size_t r = begin; r < end; ++r)
      rows[r - begin] = RowAt(head, r);
    AttentionChunk chunk;
    chunk.shape = call_.shape;
    chunk.pool = call_.pool + head * call_.shape.head_bytes();
    chunk.page_stride = call_.page_stride;
    chunk.scale = call_.scale;
    chunk.rows = rows.data();
    chunk.count = end - begin;
    chunk.next_head = head + 1 < call_.shape.heads;
    kernel_(chunk);
  }

  // Keys that a chunk looks at: what its time grows with.
  [[nodiscard]] std::size_t Cost(std::size_t begin, std::size_t end) const {
    std::size_t keys = 0;
    for (std::size_t r = begin; r < end; ++r) {
      const Place& place = places_[r / group_];
      keys += call_.sequences[place.sequence].context + place.query + 1;
    }
    return keys;
  }

 private:
  static std::vector<Place>& Places() {
    thread_local std::vector<Place> places;
    return places;
  }
  [[nodiscard]] AttentionRow RowAt(std::size_t head, std::size_t r) const {
    const Place& place = places_[r / group_];
    const AttentionSequence& sequence = call_.sequences[place.sequence];
    const std::size_t token = sequence.first_row + place.query;
    const std::size_t query_head = head * group_ + r % group_;
    AttentionRow row;
    row.q = q_[token] + query_head * call_.shape.key_width;
    row.y = y_[token] + query_head * call_.shape.value_width;
    row.lse = lse_TA_ == nullptr ? nullptr : lse_TA_ + token * call_.heads + query_head;
    row.pages = sequence.pages.data();
    row.keys = sequence.context + place.query + 1;
    return row;
  }

  const AttentionCall& call_;
  Rows<const T> q_;
  Rows<T> y_;
  float* lse_TA_;
  void (*kernel_)(const AttentionChunk&);
  std::size_t group_;
  std::vector<Place>& places_;  // this thread's, kept for its memory
};

template <class T>
void Attend(const Cpu& cpu, const Run<T>& run, std::size_t heads) {
  const auto threads = static_cast<std::size_t>(cpu.threads());
  const std::size_t rows = run.rows();
  if (rows == 0) return;
  // Chunks as large as they may be, but enough of them for all threads.
  const std::size_t per_head = std::max((rows + kAttentionRows - 1) / kAttentionRows,
                                        std::min(rows, (threads + heads - 1) / heads));
  const std::size_t chunks = per_head * heads;
  // All heads of some rows one after the other: a page holds them side by side.
  const auto share = [&](std::size_t chunk) { return ShareOf(rows, per_head, chunk / heads); };
  thread_local std::vector<std::size_t> kept;
  kept.assign(chunks + 1, 0);
  std::vector<std::size_t>& cost = kept;  // the caller's, for all threads
  for (std::size_t c = 0; c < chunks; ++c)
    cost[c + 1] = cost[c] + run.Cost(share(c).begin, share(c).end);
  constexpr std::size_t kSmall = 512;  // keys that are not worth a second thread
  const std::size_t parts = cost[chunks] < kSmall ? 1 : std::min(cpu.pool().shares(), chunks);
  cpu.pool().ParallelFor(parts, 1, [&](std::size_t begin, std::size_t end) {
    for (std::size_t part = begin; part < end; ++part) {
      // A chunk belongs to the part that its middle falls into.
      for (std::size_t c = 0; c < chunks; ++c) {
        if ((cost[c] + cost[c + 1]) / 2 * parts / cost[chunks] == part)
          run.Chunk(c % heads, share(c).begin, share(c).end);
      }
    }
  });
}

}  // namespace

void Attention(const Cpu& cpu,
               const AttentionCall& call,
               Rows<const Bf16> q,
               Rows<Bf16> y,
               float* lse_TA) {
  Attend(cpu, Run<Bf16>(call, q, y, lse_TA, AttentionKernelsFor(cpu.target()).bf16),
         call.shape.heads);
}
void Attention(const Cpu& cpu,
               const AttentionCall& call,
               Rows<const float> q,
               Rows<float> y,
               float* lse_TA) {
  Attend(cpu, Run<float>(call, q, y, lse_TA, AttentionKernelsFor(cpu.target()).fp32),
         call.shape.heads);
}

}  // namespace aha::policy::cpu
