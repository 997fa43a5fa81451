#include "policy/checkpoint/numbers.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <vector>

namespace aha::policy {
namespace {

template <class T>
T Load(const std::byte* from) {
  T value;
  std::memcpy(&value, from, sizeof(T));
  return value;
}
template <class T>
void Store(std::byte* to, T value) {
  std::memcpy(to, &value, sizeof(T));
}

// All ones where a number's exponent is, in an integer as wide as the number.
std::uint32_t NotFinite(float value) {
  const std::uint32_t exponent = std::bit_cast<std::uint32_t>(value) & 0x7F800000U;
  return exponent == 0x7F800000U ? ~0U : 0U;
}
std::uint16_t NotFinite(std::uint16_t bf16) {
  const auto exponent = static_cast<std::uint16_t>(bf16 & 0x7F80U);
  return exponent == 0x7F80U ? std::uint16_t{0xFFFFU} : std::uint16_t{0};
}

// Element by element through `convert`: a loop without branches, everything as wide as the result,
// so that the compiler makes vectors of it.
template <class In, class Out, class F>
bool Each(std::span<const std::byte> in, std::byte* __restrict out, const F& convert) {
  const std::size_t count = in.size() / sizeof(In);
  const std::byte* __restrict from = in.data();
  decltype(NotFinite(Out())) bad = 0;
  for (std::size_t i = 0; i < count; ++i) {
    const Out value = convert(Load<In>(from + i * sizeof(In)));
    bad |= NotFinite(value);
    Store<Out>(out + i * sizeof(Out), value);
  }
  return bad == 0;
}

template <class T>
bool EachFinite(std::span<const std::byte> numbers) {
  decltype(NotFinite(T())) bad = 0;
  for (std::size_t i = 0; i < numbers.size() / sizeof(T); ++i)
    bad |= NotFinite(Load<T>(numbers.data() + i * sizeof(T)));
  return bad == 0;
}

template <class In, class F>
bool ToType(std::span<const std::byte> in, SafetensorsDtype to, std::byte* out, const F& widen) {
  if (to == SafetensorsDtype::kF32) return Each<In, float>(in, out, widen);
  return Each<In, std::uint16_t>(in, out, [&](In value) { return Bf16OfFloat(widen(value)); });
}

std::array<float, 256> MakeE4M3() {
  std::array<float, 256> table{};
  for (unsigned i = 0; i < 256; ++i) {
    const int exponent = static_cast<int>((i >> 3U) & 0xFU);
    const auto mantissa = static_cast<float>(i & 7U);
    float value =
        exponent == 0 ? std::ldexp(mantissa, -9) : std::ldexp(8 + mantissa, exponent - 10);
    if ((i & 0x7FU) == 0x7FU) value = NAN;
    table[i] = (i & 0x80U) != 0 ? -value : value;
  }
  return table;
}

const std::array<float, 256>& E4M3() {
  static const std::array<float, 256> table = MakeE4M3();
  return table;
}

}  // namespace

float FloatOfE4M3(std::uint8_t bits) {
  return E4M3()[bits];
}

bool IsWeightType(SafetensorsDtype from) {
  return from == SafetensorsDtype::kF64 || from == SafetensorsDtype::kF32 ||
         from == SafetensorsDtype::kF16 || from == SafetensorsDtype::kBF16;
}

bool ConvertNumbers(SafetensorsDtype from,
                    std::span<const std::byte> in,
                    SafetensorsDtype to,
                    std::byte* out) {
  switch (from) {
    case SafetensorsDtype::kF64:
      return ToType<double>(in, to, out, [](double v) { return static_cast<float>(v); });
    case SafetensorsDtype::kF32:
      return ToType<float>(in, to, out, [](float v) { return v; });
    case SafetensorsDtype::kF16:
      return ToType<std::uint16_t>(in, to, out, [](std::uint16_t v) { return FloatOfHalf(v); });
    default:
      if (to == SafetensorsDtype::kBF16) {
        return Each<std::uint16_t, std::uint16_t>(in, out, [](std::uint16_t v) { return v; });
      }
      return ToType<std::uint16_t>(in, to, out, [](std::uint16_t v) { return FloatOfBf16(v); });
  }
}

bool AllFinite(SafetensorsDtype type, std::span<const std::byte> numbers) {
  return type == SafetensorsDtype::kF32 ? EachFinite<float>(numbers)
                                        : EachFinite<std::uint16_t>(numbers);
}

bool StoreFloats(std::span<const float> values, SafetensorsDtype to, std::byte* out) {
  return ConvertNumbers(SafetensorsDtype::kF32, std::as_bytes(values), to, out);
}

bool DequantizeFp8Rows(std::span<const std::byte> weights,
                       std::span<const std::byte> scales,
                       std::int64_t columns,
                       std::int64_t first,
                       std::int64_t last,
                       SafetensorsDtype to,
                       std::byte* out) {
  const auto& table = E4M3();
  const auto width = static_cast<std::size_t>(columns);
  const std::size_t blocks = (width + kFp8Block - 1) / kFp8Block;
  std::vector<float> row(width);
  bool finite = true;
  for (std::int64_t r = first; r < last; ++r) {
    const std::byte* in = weights.data() + static_cast<std::size_t>(r) * width;
    const std::byte* scale_row =
        scales.data() + static_cast<std::size_t>(r / kFp8Block) * blocks * sizeof(float);
    for (std::size_t b = 0; b < blocks; ++b) {
      const auto scale = Load<float>(scale_row + b * sizeof(float));
      const std::size_t end = std::min(width, (b + 1) * kFp8Block);
      for (std::size_t c = b * kFp8Block; c < end; ++c) {
        row[c] = table[static_cast<std::uint8_t>(in[c])] * scale;
      }
    }
    finite = StoreFloats(row, to, out) && finite;
    out += width * DtypeSize(to);
  }
  return finite;
}

}  // namespace aha::policy
