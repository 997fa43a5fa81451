// Row operators of one target. Every one works on one row (or one column) by itself, in one order.
namespace aha::policy::cpu::AHA_NS {
#include "policy/kernels/cpu/simd-inl.h"

// Sum over a row of f(i, n): a vector for columns [i, i + kL) of which n are there. Four chains,
// then their sum.
template <class F>
HWY_INLINE float RowSum(std::size_t n, const F& f) {
  V a = Zeros(), b = Zeros(), c = Zeros(), d = Zeros();
  std::size_t i = 0;
  for (; i + 4 * kL <= n; i += 4 * kL) {
    a = hn::Add(a, f(i, kL));
    b = hn::Add(b, f(i + kL, kL));
    c = hn::Add(c, f(i + 2 * kL, kL));
    d = hn::Add(d, f(i + 3 * kL, kL));
  }
  for (; i < n; i += kL)
    a = hn::Add(a, f(i, std::min(kL, n - i)));
  return Sum(hn::Add(hn::Add(a, b), hn::Add(c, d)));
}

template <class T>
float ScaleOf(const T* x, float eps, std::size_t n) {
  const float squares = RowSum(n, [&](std::size_t i, std::size_t left) AHA_ATTR {
    const V v = LoadN(x + i, left);
    return hn::Mul(v, v);
  });
  return 1.0F / std::sqrt(squares / static_cast<float>(n) + eps);
}

template <class T>
float RmsNorm(const T* x, const float* weight, float eps, std::size_t n, T* y) {
  const float scale = ScaleOf(x, eps, n);
  for (std::size_t i = 0; i < n; i += kL) {
    const std::size_t left = n - i;
    const V normal = Rounded<T>(hn::Mul(LoadN(x + i, left), Set(scale)));
    StoreN(hn::Mul(LoadN(weight + i, left), normal), y + i, left);
  }
  return scale;
}

template <class T>
void Add(const T* a, const T* b, std::size_t n, T* y) {
  for (std::size_t i = 0; i < n; i += kL)
    StoreN(hn::Add(LoadN(a + i, n - i), LoadN(b + i, n - i)), y + i, n - i);
}

template <class T>
float AddRmsNorm(const T* x, T* residual, const float* weight, float eps, std::size_t n, T* y) {
  Add(residual, x, n, residual);
  return RmsNorm(residual, weight, eps, n, y);
}

// With u = dy * weight and h = x * scale: dx = scale * (u - h * mean(u * h)).
template <class T>
float RmsNormBackward(const T* x,
                      const T* dy,
                      const float* weight,
                      float eps,
                      std::size_t n,
                      T* dx) {
  const float scale = ScaleOf(x, eps, n);
  const float mean = RowSum(n,
                            [&](std::size_t i, std::size_t left) AHA_ATTR {
                              const V u = hn::Mul(LoadN(dy + i, left), LoadN(weight + i, left));
                              return hn::Mul(u, hn::Mul(LoadN(x + i, left), Set(scale)));
                            }) /
                     static_cast<float>(n);
  for (std::size_t i = 0; i < n; i += kL) {
    const std::size_t left = n - i;
    const V u = hn::Mul(LoadN(dy + i, left), LoadN(weight + i, left));
    const V h = hn::Mul(LoadN(x + i, left), Set(scale));
    StoreN(hn::Mul(Set(scale), hn::Sub(u, hn::Mul(h, Set(mean)))), dx + i, left);
  }
  return scale;
}

template <class T>
void RmsNormWeight(const Rows<const T>& x,
                   const Rows<const T>& dy,
                   const float* scale,
                   std::size_t begin,
                   std::size_t end,
                   float* dweight) {
  for (std::size_t i = begin; i < end; i += kL) {
    const std::size_t left = end - i;
    V sum = LoadN(dweight + i, left);
    for (std::size_t t = 0; t < x.count; ++t) {
      const V h = Rounded<T>(hn::Mul(LoadN(x[t] + i, left), Set(scale[t])));
      sum = hn::Add(sum, hn::Mul(LoadN(dy[t] + i, left), h));
    }
    StoreN(sum, dweight + i, left);
  }
}

// Numbers of even and of odd place.
HWY_INLINE void LoadPairs(const float* p, V& even, V& odd) {
  hn::LoadInterleaved2(D(), p, even, odd);
}
HWY_INLINE void StorePairs(V even, V odd, float* p) {
  hn::StoreInterleaved2(even, odd, D(), p);
}
HWY_INLINE void LoadPairs(const Bf16* p, V& even, V& odd) {
  const auto words = hn::LoadU(DU(), reinterpret_cast<const std::uint32_t*>(p));
  even = hn::BitCast(D(), hn::ShiftLeft<16>(words));
  odd = hn::BitCast(D(), hn::And(words, hn::Set(DU(), 0xFFFF0000U)));
}
HWY_INLINE void StorePairs(V even, V odd, Bf16* p) {
  const auto low = hn::ShiftRight<16>(hn::BitCast(DU(), Rounded<Bf16>(even)));
  hn::StoreU(hn::Or(low, hn::BitCast(DU(), Rounded<Bf16>(odd))), DU(),
             reinterpret_cast<std::uint32_t*>(p));
}

// Pairs are (x_2j, x_2j+1) or (x_j, x_j+width/2); each turns by its angle, back by the opposite
// one.
template <class T>
void Rotate(const T* x,
            const float* cos,
            const float* sin,
            bool interleaved,
            bool back,
            std::size_t width,
            T* y) {
  const std::size_t half = width / 2;
  const float sign = back ? -1.0F : 1.0F;
  if (interleaved) {
    std::size_t j = 0;
    for (; j + kL <= half; j += kL) {
      V first, second;
      LoadPairs(x + 2 * j, first, second);
      const V c = Load(cos + j);
      const V s = hn::Mul(Load(sin + j), Set(sign));
      StorePairs(hn::Sub(hn::Mul(first, c), hn::Mul(second, s)),
                 hn::Add(hn::Mul(second, c), hn::Mul(first, s)), y + 2 * j);
    }
    for (; j < half; ++j) {
      const float first = ToFloat(x[2 * j]);
      const float second = ToFloat(x[2 * j + 1]);
      const float turn = sign * sin[j];
      y[2 * j] = FromFloat<T>(first * cos[j] - second * turn);
      y[2 * j + 1] = FromFloat<T>(second * cos[j] + first * turn);
    }
    return;
  }
  for (std::size_t j = 0; j < half; j += kL) {
    const std::size_t left = half - j;
    const V first = LoadN(x + j, left);
    const V second = LoadN(x + half + j, left);
    const V c = LoadN(cos + j, left);
    const V s = hn::Mul(LoadN(sin + j, left), Set(sign));
    StoreN(hn::Sub(hn::Mul(first, c), hn::Mul(second, s)), y + j, left);
    StoreN(hn::Add(hn::Mul(second, c), hn::Mul(first, s)), y + half + j, left);
  }
}

template <class T>
HWY_INLINE V SwiGluOf(V gate, V up) {
  return hn::Mul(Rounded<T>(hn::Mul(gate, SigmoidOfFinite(gate))), up);
}

template <class T>
void SwiGlu(const T* gate, const T* up, std::size_t n, T* y) {
  for (std::size_t i = 0; i < n; i += kL)
    StoreN(SwiGluOf<T>(LoadN(gate + i, n - i), LoadN(up + i, n - i)), y + i, n - i);
}

void SwiGluRowBf16(const float* gate, const float* up, std::size_t n, Bf16* y) {
  for (std::size_t i = 0; i < n; i += kL) {
    const V g = Rounded<Bf16>(LoadN(gate + i, n - i));
    const V u = Rounded<Bf16>(LoadN(up + i, n - i));
    StoreN(SwiGluOf<Bf16>(g, u), y + i, n - i);
  }
}

// With s = sigmoid(gate): dup = dy * gate * s, dgate = dy * up * s * (1 + gate * (1 - s)).
template <class T>
void SwiGluBackward(const T* gate, const T* up, const T* dy, std::size_t n, T* dgate, T* dup) {
  for (std::size_t i = 0; i < n; i += kL) {
    const std::size_t left = n - i;
    const V g = LoadN(gate + i, left);
    const V u = LoadN(up + i, left);
    const V d = LoadN(dy + i, left);
    const V s = Sigmoid(g);
    const V slope = hn::Mul(s, hn::Add(Set(1.0F), hn::Mul(g, hn::Sub(Set(1.0F), s))));
    StoreN(hn::Mul(hn::Mul(d, u), slope), dgate + i, left);
    StoreN(hn::Mul(d, Rounded<T>(hn::Mul(g, s))), dup + i, left);
  }
}

template <class T>
void WeightedSum(const T* const* rows,
                 const float* weight,
                 std::size_t count,
                 std::size_t n,
                 T* y) {
  for (std::size_t i = 0; i < n; i += kL) {
    V sum = Zeros();
    for (std::size_t r = 0; r < count; ++r)
      sum = hn::Add(sum, hn::Mul(LoadN(rows[r] + i, n - i), Set(weight[r])));
    StoreN(sum, y + i, n - i);
  }
}

template <class T>
void Scale(const T* x, float scale, std::size_t n, T* y) {
  for (std::size_t i = 0; i < n; i += kL)
    StoreN(hn::Mul(LoadN(x + i, n - i), Set(scale)), y + i, n - i);
}

template <class T>
float Dot(const T* a, const T* b, std::size_t n) {
  return RowSum(n, [&](std::size_t i, std::size_t left)
                       AHA_ATTR { return hn::Mul(LoadN(a + i, left), LoadN(b + i, left)); });
}

template <class From, class To>
void Convert(const From* x, std::size_t n, To* y) {
  std::size_t i = 0;
  for (; i + kL <= n; i += kL)
    StoreExact(Load(x + i), y + i);
  for (; i < n; ++i)
    y[i] = FromFloat<To>(ToFloat(x[i]));
}

void Finish(const float* sums, const float* bias, std::size_t n, bool bf16, void* y) {
  for (std::size_t i = 0; i < n; i += kL) {
    V v = LoadN(sums + i, n - i);
    if (bias != nullptr) v = hn::Add(v, LoadN(bias + i, n - i));
    if (bf16) {
      StoreN(v, static_cast<Bf16*>(y) + i, n - i);
    } else {
      StoreN(v, static_cast<float*>(y) + i, n - i);
    }
  }
}

void ExpRow(const float* x, std::size_t n, float* y) {
  for (std::size_t i = 0; i < n; i += kL)
    StoreN(Exp(LoadN(x + i, n - i)), y + i, n - i);
}
void SigmoidRow(const float* x, std::size_t n, float* y) {
  for (std::size_t i = 0; i < n; i += kL)
    StoreN(Sigmoid(LoadN(x + i, n - i)), y + i, n - i);
}

// Eight chains of float64, number i in chain i % 8.
double SquareSum(const float* x, std::size_t n) {
  double chain[8] = {};
  std::size_t i = 0;
  for (; i + 8 <= n; i += 8) {
#pragma GCC unroll 8
    for (std::size_t c = 0; c < 8; ++c)
      chain[c] += double{x[i + c]} * double{x[i + c]};
  }
  for (; i < n; ++i)
    chain[i % 8] += double{x[i]} * double{x[i]};
  return ((chain[0] + chain[1]) + (chain[2] + chain[3])) +
         ((chain[4] + chain[5]) + (chain[6] + chain[7]));
}

template <class M>
void AdamW(const AdamWFactors& f,
           const float* gradient,
           std::size_t n,
           float* master,
           M* first,
           M* second) {
  for (std::size_t i = 0; i < n; i += kL) {
    const std::size_t left = n - i;
    const V g = hn::Mul(LoadN(gradient + i, left), Set(f.gradient_scale));
    const V m =
        hn::Add(hn::Mul(Set(f.beta1), LoadN(first + i, left)), hn::Mul(Set(1.0F - f.beta1), g));
    const V v = hn::Add(hn::Mul(Set(f.beta2), LoadN(second + i, left)),
                        hn::Mul(hn::Mul(Set(1.0F - f.beta2), g), g));
    StoreN(m, first + i, left);
    StoreN(v, second + i, left);
    const V size = hn::Add(hn::Sqrt(hn::Mul(v, Set(f.correct2))), Set(f.epsilon));
    const V step = hn::Div(hn::Mul(Set(f.rate), hn::Mul(m, Set(f.correct1))), size);
    StoreN(hn::Sub(hn::Mul(LoadN(master + i, left), Set(f.keep)), step), master + i, left);
  }
}

template <class T>
constexpr RowOps<T> RowTable() {
  return {RmsNorm<T>,        AddRmsNorm<T>, RmsNormBackward<T>,
          RmsNormWeight<T>,  Rotate<T>,     SwiGlu<T>,
          SwiGluBackward<T>, Add<T>,        WeightedSum<T>,
          Scale<T>,          Dot<T>,        Convert<T, float>,
          Convert<float, T>};
}

const OpsKernels& OpsTable() {
  static constexpr OpsKernels kTable = {
      RowTable<Bf16>(), RowTable<float>(), Finish,      SwiGluRowBf16, ExpRow,
      SigmoidRow,       SquareSum,         AdamW<Bf16>, AdamW<float>};
  return kTable;
}

}  // namespace aha::policy::cpu::AHA_NS
