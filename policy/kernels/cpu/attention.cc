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

// Lists of one call, kept for their memory.
struct Lists {
  std::vector<Place> places;
  std::vector<std::size_t> cuts;  // between chunks of rows
  std::vector<std::size_t> cost;  // keys that chunks before this one look at
};

// Chunk c is rows of cut c / heads, of head c % heads: a page holds its heads side by side.
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
        lists_(Kept()) {
    lists_.places.clear();
    for (std::size_t s = 0; s < call.sequences.size(); ++s) {
      for (std::size_t i = 0; i < call.sequences[s].queries; ++i)
        lists_.places.push_back({s, i});
    }
  }

  [[nodiscard]] std::size_t rows() const { return lists_.places.size() * group_; }
  [[nodiscard]] std::size_t chunks() const { return (lists_.cuts.size() - 1) * call_.shape.heads; }
  // Keys that chunks before `chunk` look at: what time grows with.
  [[nodiscard]] std::size_t CostBefore(std::size_t chunk) const { return lists_.cost[chunk]; }

  // Cuts rows into chunks of `most` at most. Sequences that share pages stay together, so that
  // these are read once; others are cut apart, so that a page is read whole before the next.
  void Cut(std::size_t most) {
    lists_.cuts.assign(1, 0);
    lists_.cost.assign(1, 0);
    for (std::size_t s = 0; s < call_.sequences.size();) {
      const AttentionSequence& first = call_.sequences[s];
      std::size_t count = 0;
      for (; s < call_.sequences.size() && SharePages(first, call_.sequences[s]); ++s)
        count += call_.sequences[s].queries * group_;
      const std::size_t begin = lists_.cuts.back();
      const std::size_t parts = (count + most - 1) / most;
      for (std::size_t part = 0; part < parts; ++part) {
        const Share share = ShareOf(count, parts, part);
        lists_.cuts.push_back(begin + share.end);
        const std::size_t keys = Keys(begin + share.begin, begin + share.end);
        for (std::size_t head = 0; head < call_.shape.heads; ++head)
          lists_.cost.push_back(lists_.cost.back() + keys);
      }
    }
  }

  void Chunk(std::size_t c) const {
    const std::size_t heads = call_.shape.heads;
    const std::size_t begin = lists_.cuts[c / heads];
    const std::size_t end = lists_.cuts[c / heads + 1];
    std::array<AttentionRow, kAttentionRows> rows;
    for (std::size_t r = begin; r < end; ++r)
      rows[r - begin] = RowAt(c % heads, r);
    AttentionChunk chunk;
    chunk.shape = call_.shape;
    chunk.pool = PoolOf(c % heads);
    chunk.page_stride = call_.page_stride;
    chunk.scale = call_.scale;
    chunk.rows = rows.data();
    chunk.count = end - begin;
    if (c + 1 < chunks()) {
      const AttentionRow next = RowAt((c + 1) % heads, lists_.cuts[(c + 1) / heads]);
      chunk.next = {PoolOf((c + 1) % heads), next.pages, next.keys};
    }
    kernel_(chunk);
  }

 private:
  static Lists& Kept() {
    thread_local Lists lists;
    return lists;
  }
  static bool SharePages(const AttentionSequence& a, const AttentionSequence& b) {
    return &a == &b || (!a.pages.empty() && !b.pages.empty() && a.pages[0] == b.pages[0]);
  }
  [[nodiscard]] const std::byte* PoolOf(std::size_t head) const {
    return call_.pool + head * call_.shape.head_bytes();
  }
  [[nodiscard]] std::size_t Keys(std::size_t begin, std::size_t end) const {
    std::size_t keys = 0;
    for (std::size_t r = begin; r < end; ++r) {
      const Place& place = lists_.places[r / group_];
      keys += call_.sequences[place.sequence].context + place.query + 1;
    }
    return keys;
  }
  [[nodiscard]] AttentionRow RowAt(std::size_t head, std::size_t r) const {
    const Place& place = lists_.places[r / group_];
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
  Lists& lists_;  // the calling thread's, for all
};

template <class T>
void Attend(const Cpu& cpu, Run<T> run, std::size_t heads) {
  const auto threads = static_cast<std::size_t>(cpu.threads());
  if (run.rows() == 0) return;
  // Chunks as large as they may be, but enough of them for all threads.
  const std::size_t cuts = (threads + heads - 1) / heads;
  run.Cut(std::min(kAttentionRows, (run.rows() + cuts - 1) / cuts));
  const std::size_t chunks = run.chunks();
  const std::size_t whole = run.CostBefore(chunks);
  constexpr std::size_t kSmall = 512;  // keys that are not worth a second thread
  const std::size_t parts = whole < kSmall ? 1 : std::min(cpu.pool().shares(), chunks);
  // A chunk belongs to the part that its middle falls into.
  const auto part_of = [&](std::size_t c) {
    return (run.CostBefore(c) + run.CostBefore(c + 1)) / 2 * parts / whole;
  };
  const auto begin_of = [&](std::size_t part) {
    std::size_t low = 0, high = chunks;
    while (low < high) {
      const std::size_t middle = (low + high) / 2;
      if (part_of(middle) < part) {
        low = middle + 1;
      } else {
        high = middle;
      }
    }
    return low;
  };
  cpu.pool().ParallelFor(parts, 1, [&](std::size_t begin, std::size_t end) {
    const std::size_t last = begin_of(end);
    for (std::size_t c = begin_of(begin); c < last; ++c)
      run.Chunk(c);
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
