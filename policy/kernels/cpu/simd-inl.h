// Vectors of floats for the kernels of one target: loads and stores of either number type, tails,
// sums in a fixed order, exp. No include guard: included inside each target's namespace, once.

namespace hn = hwy::HWY_NAMESPACE;
using D = hn::ScalableTag<float>;
using DI = hn::RebindToSigned<D>;
using DU = hn::RebindToUnsigned<D>;
using DH = hn::Rebind<std::uint16_t, D>;
using V = hn::Vec<D>;
constexpr std::size_t kL = HWY_LANES(float);

HWY_INLINE V Zeros() {
  return hn::Zero(D());
}
HWY_INLINE V Set(float x) {
  return hn::Set(D(), x);
}
HWY_INLINE V Load(const float* p) {
  return hn::LoadU(D(), p);
}
HWY_INLINE V Load(const Bf16* p) {
  const auto half = hn::LoadU(DH(), reinterpret_cast<const std::uint16_t*>(p));
  return hn::BitCast(D(), hn::ShiftLeft<16>(hn::PromoteTo(DU(), half)));
}
HWY_INLINE void Store(V v, float* p) {
  hn::StoreU(v, D(), p);
}

// The bits of the nearest bf16 in the lower half of each lane.
HWY_INLINE hn::Vec<DU> RoundedBits(V v) {
  const DU du;
  const auto bits = hn::BitCast(du, v);
  const auto odd = hn::And(hn::ShiftRight<16>(bits), hn::Set(du, 1U));
  const auto rounded = hn::ShiftRight<16>(hn::Add(bits, hn::Add(odd, hn::Set(du, 0x7FFFU))));
  const auto nan = hn::Or(hn::ShiftRight<16>(bits), hn::Set(du, 0x40U));
  return hn::IfThenElse(hn::RebindMask(du, hn::Ne(v, v)), nan, rounded);
}
// Denormals are kept: for weights, where every target must round alike.
HWY_INLINE void StoreExact(V v, Bf16* p) {
  const auto bits = hn::BitCast(DI(), RoundedBits(v));
  hn::StoreU(hn::DemoteTo(DH(), bits), DH(), reinterpret_cast<std::uint16_t*>(p));
}
HWY_INLINE void StoreExact(V v, float* p) {
  hn::StoreU(v, D(), p);
}
#if AHA_DP
// The CPU's own rounding takes denormals for zero.
HWY_INLINE void Store(V v, Bf16* p) {
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), (__m256i)_mm512_cvtneps_pbh(v.raw));
}
#else
HWY_INLINE void Store(V v, Bf16* p) {
  StoreExact(v, p);
}
#endif
// v as T would hold it after Store.
template <class T>
HWY_INLINE V Rounded(V v) {
  if constexpr (std::is_same_v<T, Bf16>) {
#if AHA_DP
    return V{_mm512_castsi512_ps(
        _mm512_slli_epi32(_mm512_cvtepu16_epi32((__m256i)_mm512_cvtneps_pbh(v.raw)), 16))};
#else
    return hn::BitCast(D(), hn::ShiftLeft<16>(RoundedBits(v)));
#endif
  } else {
    return v;
  }
}

// The first n < kL numbers, zeros after them.
template <class T>
HWY_INLINE V LoadN(const T* p, std::size_t n) {
  if (n >= kL) return Load(p);
  T copy[kL] = {};
  for (std::size_t i = 0; i < n; ++i)
    copy[i] = p[i];
  return Load(copy);
}
template <class T>
HWY_INLINE void StoreN(V v, T* p, std::size_t n) {
  if (n >= kL) {
    Store(v, p);
    return;
  }
  T copy[kL];
  Store(v, copy);
  for (std::size_t i = 0; i < n; ++i)
    p[i] = copy[i];
}

HWY_INLINE V Fma(V a, V b, V c) {
  return hn::MulAdd(a, b, c);
}
// Sum and largest of the lanes, in one order.
HWY_INLINE float Sum(V v) {
  return hn::GetLane(hn::SumOfLanes(D(), v));
}
HWY_INLINE float Largest(V v) {
  return hn::GetLane(hn::MaxOfLanes(D(), v));
}

// e^r for |r| <= ln(2) / 2, and n with x = n ln(2) + r.
HWY_INLINE V ExpPolynomial(V x, V& n) {
  n = hn::Round(hn::Mul(x, Set(1.44269504F)));
  V r = hn::NegMulAdd(n, Set(0.693359375F), x);
  r = hn::NegMulAdd(n, Set(-2.12194440e-4F), r);
  V p = Set(1.9875691500e-4F);
  p = Fma(p, r, Set(1.3981999507e-3F));
  p = Fma(p, r, Set(8.3334519073e-3F));
  p = Fma(p, r, Set(4.1665795894e-2F));
  p = Fma(p, r, Set(1.6666665459e-1F));
  p = Fma(p, r, Set(5.0000001201e-1F));
  return Fma(p, hn::Mul(r, r), hn::Add(r, Set(1.0F)));
}

// e^x, within two units of the last place; 0 below -87, infinity above 88.72, NaN stays.
HWY_INLINE V Exp(V x) {
  const D d;
  const DI di;
  V n;
  const V p = ExpPolynomial(x, n);
  // 2^n in two factors, so that n = 128 does not overflow on the way.
  const auto exponent = hn::ConvertTo(di, hn::Min(hn::Max(n, Set(-126.0F)), Set(128.0F)));
  const auto half = hn::ShiftRight<1>(exponent);
  const auto bias = hn::Set(di, 127);
  const V scale1 = hn::BitCast(d, hn::ShiftLeft<23>(hn::Add(half, bias)));
  const V scale2 = hn::BitCast(d, hn::ShiftLeft<23>(hn::Add(hn::Sub(exponent, half), bias)));
  V y = hn::Mul(hn::Mul(p, scale1), scale2);
  y = hn::IfThenElse(hn::Lt(x, Set(-87.0F)), Zeros(), y);
  y = hn::IfThenElse(hn::Gt(x, Set(88.72F)), Set(std::numeric_limits<float>::infinity()), y);
  return hn::IfThenElse(hn::Ne(x, x), x, y);
}
// The same bits for x up to 0 (minus infinity too, but no NaN), in fewer steps.
HWY_INLINE V ExpLow(V x) {
  const DI di;
  V n;
  const V p = ExpPolynomial(hn::Max(x, Set(-87.0F)), n);
  const auto scaled = hn::Add(hn::BitCast(di, p), hn::ShiftLeft<23>(hn::ConvertTo(di, n)));
  return hn::IfThenElseZero(hn::Ge(x, Set(-87.0F)), hn::BitCast(D(), scaled));
}
// 1 / (1 + e^-x): the bits of Sigmoid in fewer steps, but for NaN, which becomes a number. Its
// product with x is NaN all the same.
HWY_INLINE V SigmoidOfFinite(V x) {
  const DI di;
  const V minus = hn::Neg(x);
  V n;
  // Below e^-80 the sum is 1 whatever is added.
  const V p = ExpPolynomial(hn::Min(hn::Max(minus, Set(-80.0F)), Set(88.72F)), n);
  // 2^(n - 1) by the exponent's bits, then twice that: n = 128 does not overflow on the way.
  const auto halved = hn::ShiftLeft<23>(hn::Sub(hn::ConvertTo(di, n), hn::Set(di, 1)));
  const V half = hn::BitCast(D(), hn::Add(hn::BitCast(di, p), halved));
  const V share = hn::Div(Set(1.0F), hn::Add(Set(1.0F), hn::Add(half, half)));
  return hn::IfThenElseZero(hn::Le(minus, Set(88.72F)), share);
}
// 1 / (1 + e^-x).
HWY_INLINE V Sigmoid(V x) {
  return hn::Div(Set(1.0F), hn::Add(Set(1.0F), Exp(hn::Neg(x))));
}
