// Gradients of attention of one target, block by block from the saved log-sum-exp. After
// simd-inl.h, tile-inl.h and turn-inl.h, inside their namespace.

// y (+)= x w. Fp32: x [rows][steps], w [steps][columns]; pairs: both bf16, x [rows][steps][2], w
// [steps][columns][2]. Columns are whole vectors.
struct PlainCall {
  const void* x;
  std::size_t x_stride;  // numbers of fp32, pairs of bf16
  const void* w;
  std::size_t w_stride, steps;
  float* y;
  std::size_t y_stride;
  bool add;
};

template <Way way, int MR, int NV>
void PlainTile(const PlainCall& c) {
  Tile<MR, NV> tile;
#pragma GCC unroll 12
  for (int m = 0; m < MR; ++m) {
#pragma GCC unroll 8
    for (int v = 0; v < NV; ++v)
      tile.sum[m][v] = c.add ? Load(c.y + m * c.y_stride + v * kL) : Zeros();
  }
  const std::byte* from[NV];
  for (int v = 0; v < NV; ++v)
    from[v] = static_cast<const std::byte*>(c.w) + v * (kL * 4);
  Accumulate<way, MR, NV>({static_cast<const std::byte*>(c.x), c.x_stride * 4}, from, c.steps,
                          c.w_stride * 4, tile);
#pragma GCC unroll 12
  for (int m = 0; m < MR; ++m) {
#pragma GCC unroll 8
    for (int v = 0; v < NV; ++v) {
      // + 0: half a pair adds a zero, which must not be told by a sum of negative zero.
      const V sum = way == Way::kPairs ? hn::Add(tile.sum[m][v], Zeros()) : tile.sum[m][v];
      Store(sum, c.y + m * c.y_stride + v * kL);
    }
  }
}

template <Way way, int NV, std::size_t... I>
constexpr auto PlainTiles(std::index_sequence<I...>) {
  return std::array<void (*)(const PlainCall&), sizeof...(I)>{
      PlainTile<way, static_cast<int>(I) + 1, NV>...};
}

template <Way way>
void PlainProduct(const PlainCall& call, std::size_t rows, std::size_t columns) {
  static constexpr auto kSingle = PlainTiles<way, 1>(std::make_index_sequence<kMostRows>());
  static constexpr auto kDouble = PlainTiles<way, 2>(std::make_index_sequence<kMostRows>());
  const std::size_t tiles = (rows + kMostRows - 1) / kMostRows;
  for (std::size_t c = 0; c < columns;) {
    const bool two = c + 2 * kL <= columns;
    for (std::size_t t = 0; t < tiles; ++t) {
      const std::size_t first = rows * t / tiles;
      PlainCall part = call;
      part.x = static_cast<const std::byte*>(call.x) + first * call.x_stride * 4;
      part.w = static_cast<const std::byte*>(call.w) + c * 4;
      part.y += first * call.y_stride + c;
      (two ? kDouble : kSingle)[rows * (t + 1) / tiles - first - 1](part);
    }
    c += two ? 2 * kL : kL;
  }
}

constexpr std::size_t kQueryRows = 48;
constexpr std::size_t kKeyBlock = 64;

// One head. Products take bf16 in pairs where the target does (softmax weights and slopes rounded
// to bf16 then, as the forward rounds weights), else everything widened to fp32; widths are padded
// to whole vectors with zeros, and sums are fp32.
template <class T>
class AttentionGradient {
  static constexpr Way kWay =
      std::is_same_v<T, Bf16> && kBf16Way == Way::kPairs ? Way::kPairs : Way::kFp32;
  static constexpr bool kPairs = kWay == Way::kPairs;
  static constexpr std::size_t kEach = kPairs ? 2 : 1;  // numbers of a step
  using X = std::conditional_t<kPairs, Bf16, float>;
  static std::size_t Steps(std::size_t n) { return (n + kEach - 1) / kEach; }

 public:
  explicit AttentionGradient(const AttentionGradientCall<T>& call) : c_(call) {
    wide_key_ = (c_.key_width + 15) / 16 * 16;
    wide_value_ = (c_.value_width + 15) / 16 * 16;
    rows_ = c_.length * c_.group;
    const std::size_t wide = wide_key_ + wide_value_;
    // dq of all rows stays until the last block of keys has added to it.
    const std::size_t floats =
        rows_ * (wide_key_ + 1) + kKeyBlock * wide + kQueryRows * kKeyBlock * 3;
    const std::size_t numbers =
        kKeyBlock * (wide_key_ + 2 * wide) + kQueryRows * 2 * wide + kQueryRows * kKeyBlock * 2;
    auto* memory = static_cast<std::byte*>(
        ThreadScratch(ScratchSlot::kState, floats * sizeof(float) + numbers * sizeof(X)));
    auto* at = reinterpret_cast<float*>(memory);
    const auto take = [&](std::size_t n) { return std::exchange(at, at + n); };
    dq_ = take(rows_ * wide_key_);
    dk_ = take(kKeyBlock * wide_key_);
    dv_ = take(kKeyBlock * wide_value_);
    weights_ = take(kQueryRows * kKeyBlock);
    slopes_ = take(kQueryRows * kKeyBlock);
    turned_ = take(kQueryRows * kKeyBlock);
    inner_ = take(rows_);
    auto* x = reinterpret_cast<X*>(at);
    const auto take_x = [&](std::size_t n) { return std::exchange(x, x + n); };
    key_rows_ = take_x(kKeyBlock * wide_key_);
    value_rows_ = take_x(kKeyBlock * wide_value_);
    key_steps_ = take_x(kKeyBlock * wide_key_);
    keys_turned_ = take_x(kKeyBlock * wide_key_);
    values_turned_ = take_x(kKeyBlock * wide_value_);
    q_ = take_x(kQueryRows * wide_key_);
    dy_ = take_x(kQueryRows * wide_value_);
    q_steps_ = take_x(kQueryRows * wide_key_);
    dy_steps_ = take_x(kQueryRows * wide_value_);
    slopes_x_ = take_x(kQueryRows * kKeyBlock);
    turned_x_ = take_x(kQueryRows * kKeyBlock);
  }

  void operator()() {
    std::fill_n(dq_, rows_ * wide_key_, 0.0F);
    for (std::size_t r = 0; r < rows_; ++r)
      inner_[r] = Inner(r);
    for (std::size_t start = 0; start < c_.context; start += kKeyBlock)
      ContextKeys(start, std::min(kKeyBlock, c_.context - start));
    for (std::size_t start = 0; start < c_.length; start += kKeyBlock)
      OwnKeys(start, std::min(kKeyBlock, c_.length - start));
    for (std::size_t r = 0; r < rows_; ++r) {
      T* dq = c_.dq + r / c_.group * c_.q_stride + r % c_.group * c_.key_width;
      for (std::size_t i = 0; i < c_.key_width; i += kL)
        StoreN(Load(dq_ + r * wide_key_ + i), dq + i, c_.key_width - i);
    }
  }

 private:
  [[nodiscard]] const T* Y(const T* tensor, std::size_t r) const {
    return tensor + r / c_.group * c_.y_stride + r % c_.group * c_.value_width;
  }

  // y . dy of a row: what the softmax takes off each slope.
  [[nodiscard]] float Inner(std::size_t r) const {
    V sum = Zeros();
    for (std::size_t i = 0; i < c_.value_width; i += kL) {
      const std::size_t left = c_.value_width - i;
      sum = hn::Add(sum, hn::Mul(LoadN(Y(c_.y, r) + i, left), LoadN(Y(c_.dy, r) + i, left)));
    }
    return Sum(sum);
  }

  // The context's keys from `start` on: all queries see them.
  void ContextKeys(std::size_t start, std::size_t count) {
    Stage(c_.k_context + start * c_.k_stride, c_.v_context + start * c_.v_stride, count);
    float* dk = c_.dk_context + start * c_.dk_sum_stride;
    float* dv = c_.dv_context + start * c_.dv_sum_stride;
    StartFrom(dk, dv, count);
    for (std::size_t r = 0; r < rows_; r += kQueryRows)
      Queries(r, std::min(kQueryRows, rows_ - r), [&](std::size_t) { return count; });
    for (std::size_t j = 0; j < count; ++j) {
      std::copy_n(dk_ + j * wide_key_, c_.key_width, dk + j * c_.dk_sum_stride);
      std::copy_n(dv_ + j * wide_value_, c_.value_width, dv + j * c_.dv_sum_stride);
    }
  }

  void OwnKeys(std::size_t start, std::size_t count) {
    const T* keys = c_.k + start * c_.k_stride;
    Stage(keys, c_.latent ? keys : c_.v + start * c_.v_stride, count);
    if (c_.dk_from != nullptr) {
      StartFrom(c_.dk_from + start * c_.dk_sum_stride, c_.dv_from + start * c_.dv_sum_stride,
                count);
    }
    for (std::size_t r = start * c_.group; r < rows_; r += kQueryRows) {
      Queries(r, std::min(kQueryRows, rows_ - r), [&](std::size_t row) {
        const std::size_t position = row / c_.group;
        return position < start ? 0 : std::min(kKeyBlock, position + 1 - start);
      });
    }
    for (std::size_t j = 0; j < count; ++j)
      Finish(start + j, dk_ + j * wide_key_, dv_ + j * wide_value_);
  }

  void StartFrom(const float* dk, const float* dv, std::size_t count) {
    for (std::size_t j = 0; j < count; ++j) {
      std::copy_n(dk + j * c_.dk_sum_stride, c_.key_width, dk_ + j * wide_key_);
      std::copy_n(dv + j * c_.dv_sum_stride, c_.value_width, dv_ + j * wide_value_);
    }
  }

  // A row as a product's left side reads it.
  static void StageRow(const T* from, std::size_t n, std::size_t wide, X* to) {
    for (std::size_t i = 0; i < wide; i += kL)
      StoreN(LoadN(from + i, n > i ? n - i : 0), to + i, kL);
  }
  // Rows as the right side's steps: two of them are a step where products take pairs, the last one
  // with zeros.
  static const X* StageSteps(const X* rows, std::size_t count, std::size_t wide, X* to) {
    if constexpr (!kPairs) {
      return rows;
    } else {
      for (std::size_t r = 0; r < count; r += 2) {
        const Bf16* first = rows + r * wide;
        for (std::size_t i = 0; i < wide; i += kL) {
          const auto low = hn::ShiftRight<16>(hn::BitCast(DU(), Load(first + i)));
          const V second = r + 1 < count ? Load(first + wide + i) : Zeros();
          Store(hn::BitCast(D(), hn::Or(low, hn::BitCast(DU(), second))),
                reinterpret_cast<float*>(to + r * wide) + i);
        }
      }
      return to;
    }
  }
  // Sums as the left side of the next product.
  static const X* Narrow(const float* from, std::size_t n, X* to) {
    if constexpr (!kPairs) {
      return from;
    } else {
      for (std::size_t i = 0; i < n; i += kL)
        Store(Load(from + i), to + i);
      return to;
    }
  }

  // A block of keys and values, as the products read them; their gradients start from zero.
  void Stage(const T* keys, const T* values, std::size_t count) {
    const std::size_t value_stride = c_.latent ? c_.k_stride : c_.v_stride;
    std::fill_n(dk_, kKeyBlock * wide_key_, 0.0F);
    std::fill_n(dv_, kKeyBlock * wide_value_, 0.0F);
    for (std::size_t j = 0; j < count; ++j) {
      StageRow(keys + j * c_.k_stride, c_.key_width, wide_key_, key_rows_ + j * wide_key_);
      StageRow(values + j * value_stride, c_.value_width, wide_value_,
               value_rows_ + j * wide_value_);
    }
    std::fill_n(key_rows_ + count * wide_key_, (kKeyBlock - count) * wide_key_, X{});
    std::fill_n(value_rows_ + count * wide_value_, (kKeyBlock - count) * wide_value_, X{});
    TurnRows(key_rows_, wide_key_, keys_turned_);
    TurnRows(value_rows_, wide_value_, values_turned_);
    keys_ = StageSteps(key_rows_, kKeyBlock, wide_key_, key_steps_);
  }

  // A block's rows as columns: what is one step of a row is a word.
  static void TurnRows(const X* rows, std::size_t wide, X* to) {
    const std::size_t words = wide / kEach;
    for (std::size_t j = 0; j < kKeyBlock; j += 16) {
      Turn16(reinterpret_cast<const std::uint32_t*>(rows + j * wide), words, words,
             reinterpret_cast<std::uint32_t*>(to) + j, kKeyBlock);
    }
  }

  // Rows from `first` on, of which row r sees `seen(r)` of the block's keys.
  template <class Seen>
  void Queries(std::size_t first, std::size_t count, const Seen& seen) {
    for (std::size_t i = 0; i < count; ++i) {
      const std::size_t r = first + i;
      StageRow(c_.q + r / c_.group * c_.q_stride + r % c_.group * c_.key_width, c_.key_width,
               wide_key_, q_ + i * wide_key_);
      StageRow(Y(c_.dy, r), c_.value_width, wide_value_, dy_ + i * wide_value_);
    }
    PlainProduct<kWay>({q_, wide_key_ / kEach, keys_turned_, kKeyBlock, Steps(c_.key_width),
                        weights_, kKeyBlock, false},
                       count, kKeyBlock);
    PlainProduct<kWay>({dy_, wide_value_ / kEach, values_turned_, kKeyBlock, Steps(c_.value_width),
                        slopes_, kKeyBlock, false},
                       count, kKeyBlock);
    for (std::size_t i = 0; i < count; ++i)
      Slopes(first + i, seen(first + i), weights_ + i * kKeyBlock, slopes_ + i * kKeyBlock);
    if (count % kEach != 0) {  // the other half of the last pair of rows
      std::fill_n(weights_ + count * kKeyBlock, kKeyBlock, 0.0F);
      std::fill_n(slopes_ + count * kKeyBlock, kKeyBlock, 0.0F);
    }
    const X* slopes = Narrow(slopes_, count * kKeyBlock, slopes_x_);
    PlainProduct<kWay>({slopes, kKeyBlock / kEach, keys_, wide_key_, kKeyBlock / kEach,
                        dq_ + first * wide_key_, wide_key_, true},
                       count, wide_key_);
    AddToKeys(slopes_, StageSteps(q_, count, wide_key_, q_steps_), wide_key_, count, dk_);
    AddToKeys(weights_, StageSteps(dy_, count, wide_value_, dy_steps_), wide_value_, count, dv_);
  }

  // Adds to each key the rows of `steps`, by what `from` [count, keys] says of them.
  void AddToKeys(const float* from,
                 const X* steps,
                 std::size_t wide,
                 std::size_t count,
                 float* to) {
    // Rows beyond `count` hold what was there before; no product reads them.
    for (std::size_t i = 0; i < count; i += 16) {
      Turn16(reinterpret_cast<const std::uint32_t*>(from + i * kKeyBlock), kKeyBlock, kKeyBlock,
             reinterpret_cast<std::uint32_t*>(turned_ + i), kQueryRows);
    }
    const X* turned = Narrow(turned_, kKeyBlock * kQueryRows, turned_x_);
    PlainProduct<kWay>({turned, kQueryRows / kEach, steps, wide, Steps(count), to, wide, true},
                       kKeyBlock, wide);
  }

  // weights: scores -> weights of the softmax; slopes (dy . v) -> gradient of the scores, times
  // scale.
  void Slopes(std::size_t r, std::size_t seen, float* weights, float* slopes) const {
    const float lse = c_.lse[r / c_.group * c_.lse_stride + r % c_.group];
    for (std::size_t j = 0; j < seen; j += kL) {
      V weight = ExpLow(hn::Sub(hn::Mul(Load(weights + j), Set(c_.scale)), Set(lse)));
      V slope = hn::Mul(hn::Mul(weight, hn::Sub(Load(slopes + j), Set(inner_[r]))), Set(c_.scale));
      if (seen - j < kL) {
        const auto there = hn::FirstN(D(), seen - j);
        weight = hn::IfThenElseZero(there, weight);
        slope = hn::IfThenElseZero(there, slope);
      }
      Store(weight, weights + j);
      Store(slope, slopes + j);
    }
    const std::size_t whole = (seen + kL - 1) / kL * kL;
    std::fill(weights + whole, weights + kKeyBlock, 0.0F);
    std::fill(slopes + whole, slopes + kKeyBlock, 0.0F);
  }

  void Finish(std::size_t t, const float* dk, const float* dv) const {
    T* to = c_.dk + t * c_.k_stride;
    for (std::size_t i = 0; i < c_.key_width; i += kL) {
      V sum = Load(dk + i);
      // dv is zero beyond the value's width, and its rows are no longer than padded.
      if (c_.latent && i < wide_value_) sum = hn::Add(sum, Load(dv + i));
      StoreN(sum, to + i, c_.key_width - i);
    }
    if (c_.latent) return;
    for (std::size_t i = 0; i < c_.value_width; i += kL)
      StoreN(Load(dv + i), c_.dv + t * c_.v_stride + i, c_.value_width - i);
  }

  const AttentionGradientCall<T>& c_;
  std::size_t wide_key_ = 0, wide_value_ = 0, rows_ = 0;
  float *dq_, *dk_, *dv_, *weights_, *slopes_, *turned_, *inner_;
  const X* keys_ = nullptr;
  X *key_rows_, *value_rows_, *key_steps_, *keys_turned_, *values_turned_, *q_, *dy_, *q_steps_,
      *dy_steps_, *slopes_x_, *turned_x_;
};

template <class T>
void AttentionBackward(const AttentionGradientCall<T>& call) {
  AttentionGradient<T> gradient(call);
  gradient();
}
