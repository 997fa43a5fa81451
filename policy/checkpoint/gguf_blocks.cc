#include "policy/checkpoint/gguf_blocks.h"

#include <array>
#include <bit>
#include <cstring>
#include <utility>

#include "policy/checkpoint/numbers.h"

namespace aha::policy {
namespace {

using Bytes = const std::uint8_t*;

// fp16 at `p`.
float Half(Bytes p) {
  return FloatOfHalf(static_cast<std::uint16_t>(p[0] | p[1] << 8U));
}

// --- Blocks of 32: a scale d, perhaps a minimum m, perhaps fifth bits, then nibbles: the low ones
// are
// --- weights 0 to 15, the high ones 16 to 31.

float Nibble(Bytes q, int i) {
  return static_cast<float>(i < 16 ? q[i] & 0xFU : q[i - 16] >> 4U);
}

int FiveBits(Bytes high, Bytes q, int i) {
  const unsigned bit = (static_cast<unsigned>(high[i / 8]) >> static_cast<unsigned>(i % 8)) & 1U;
  const unsigned low = i < 16 ? q[i] & 0xFU : q[i - 16] >> 4U;
  return static_cast<int>(low | bit << 4U);
}

void Q4_0(Bytes block, float* out) {
  const float d = Half(block);
  for (int i = 0; i < 32; ++i)
    out[i] = d * (Nibble(block + 2, i) - 8.0F);
}
void Q4_1(Bytes block, float* out) {
  const float d = Half(block);
  const float m = Half(block + 2);
  for (int i = 0; i < 32; ++i)
    out[i] = d * Nibble(block + 4, i) + m;
}
void Q5_0(Bytes block, float* out) {
  const float d = Half(block);
  for (int i = 0; i < 32; ++i) {
    out[i] = d * static_cast<float>(FiveBits(block + 2, block + 6, i) - 16);
  }
}
void Q5_1(Bytes block, float* out) {
  const float d = Half(block);
  const float m = Half(block + 2);
  for (int i = 0; i < 32; ++i) {
    out[i] = d * static_cast<float>(FiveBits(block + 4, block + 8, i)) + m;
  }
}
void Q8_0(Bytes block, float* out) {
  const float d = Half(block);
  for (int i = 0; i < 32; ++i) {
    out[i] = static_cast<float>(std::bit_cast<std::int8_t>(block[2 + i])) * d;
  }
}

// --- Blocks of 256.

// Scale and minimum (6 bits each) of the 32 weights of group j, out of 12 packed bytes.
std::pair<float, float> ScaleAndMinimum(Bytes packed, int j) {
  if (j < 4) {
    return {static_cast<float>(packed[j] & 0x3FU), static_cast<float>(packed[j + 4] & 0x3FU)};
  }
  const unsigned scale = (packed[j + 4] & 0xFU) | ((packed[j - 4] >> 2U) & 0x30U);
  const unsigned minimum = (packed[j + 4] >> 4U) | ((packed[j] >> 2U) & 0x30U);
  return {static_cast<float>(scale), static_cast<float>(minimum)};
}

// d, dmin, 12 bytes of scales, with `high` 32 bytes of fifth bits, 128 bytes of nibbles: 64 weights
// in each 32 of them, the low nibbles first.
void Q4or5_K(Bytes block, bool high, float* out) {
  const float d = Half(block);
  const float dmin = Half(block + 2);
  Bytes fifth = block + 16;
  Bytes nibbles = high ? block + 48 : block + 16;
  for (int j = 0; j < 8; ++j) {
    const auto [scale, minimum] = ScaleAndMinimum(block + 4, j);
    const float dl = d * scale;
    const float dm = dmin * minimum;
    for (int i = 0; i < 32; ++i) {
      const unsigned byte = nibbles[32 * (j / 2) + i];
      unsigned q = j % 2 == 0 ? byte & 0xFU : byte >> 4U;
      if (high) q |= ((static_cast<unsigned>(fifth[i]) >> static_cast<unsigned>(j)) & 1U) << 4U;
      out[32 * j + i] = dl * static_cast<float>(q) - dm;
    }
  }
}
void Q4_K(Bytes block, float* out) {
  Q4or5_K(block, false, out);
}
void Q5_K(Bytes block, float* out) {
  Q4or5_K(block, true, out);
}

// 128 bytes of low nibbles, 64 of pairs of high bits, 16 scales of int8, d. Each half of the
// weights: 64 bytes of nibbles (low ones, then high ones) and 32 bytes with the four high pairs.
void Q6_K(Bytes block, float* out) {
  Bytes low = block;
  Bytes high = block + 128;
  Bytes scales = block + 192;
  const float d = Half(block + 208);
  for (int i = 0; i < 256; ++i) {
    const int half = i / 128;
    const int in_half = i % 128;
    const unsigned byte = low[64 * half + in_half % 64];
    const unsigned nibble = in_half < 64 ? byte & 0xFU : byte >> 4U;
    const auto shift = static_cast<unsigned>(2 * (in_half / 32));
    const unsigned top = (static_cast<unsigned>(high[32 * half + i % 32]) >> shift) & 3U;
    const int q = static_cast<int>(nibble | top << 4U) - 32;
    const float scale = d * static_cast<float>(std::bit_cast<std::int8_t>(scales[i / 16]));
    out[i] = scale * static_cast<float>(q);
  }
}

// --- Plain types, as blocks of one.

void F32(Bytes block, float* out) {
  std::memcpy(out, block, sizeof(float));
}
void F16(Bytes block, float* out) {
  *out = Half(block);
}
void BF16(Bytes block, float* out) {
  *out = FloatOfBf16(static_cast<std::uint16_t>(block[0] | block[1] << 8U));
}

struct Entry {
  GgmlType type;
  GgmlLayout layout;
  void (*dequantize)(Bytes block, float* out);
};
constexpr std::array<Entry, 11> kEntries{{{GgmlType::kF32, {"F32", 1, 4}, F32},
                                          {GgmlType::kF16, {"F16", 1, 2}, F16},
                                          {GgmlType::kQ4_0, {"Q4_0", 32, 18}, Q4_0},
                                          {GgmlType::kQ4_1, {"Q4_1", 32, 20}, Q4_1},
                                          {GgmlType::kQ5_0, {"Q5_0", 32, 22}, Q5_0},
                                          {GgmlType::kQ5_1, {"Q5_1", 32, 24}, Q5_1},
                                          {GgmlType::kQ8_0, {"Q8_0", 32, 34}, Q8_0},
                                          {GgmlType::kQ4_K, {"Q4_K", 256, 144}, Q4_K},
                                          {GgmlType::kQ5_K, {"Q5_K", 256, 176}, Q5_K},
                                          {GgmlType::kQ6_K, {"Q6_K", 256, 210}, Q6_K},
                                          {GgmlType::kBF16, {"BF16", 1, 2}, BF16}}};

const Entry& EntryOf(GgmlType type) {
  for (const Entry& entry : kEntries) {
    if (entry.type == type) return entry;
  }
  return kEntries.front();
}

// Types that the format defines and that are not read here, by their numbers.
constexpr std::array<std::pair<std::uint32_t, std::string_view>, 24> kUnsupported{
    {{9, "Q8_1"},    {10, "Q2_K"},     {11, "Q3_K"},     {15, "Q8_K"},    {16, "IQ2_XXS"},
     {17, "IQ2_XS"}, {18, "IQ3_XXS"},  {19, "IQ1_S"},    {20, "IQ4_NL"},  {21, "IQ3_S"},
     {22, "IQ2_S"},  {23, "IQ4_XS"},   {24, "I8"},       {25, "I16"},     {26, "I32"},
     {27, "I64"},    {28, "F64"},      {29, "IQ1_M"},    {34, "TQ1_0"},   {35, "TQ2_0"},
     {39, "MXFP4"},  {31, "Q4_0_4_4"}, {32, "Q4_0_4_8"}, {33, "Q4_0_8_8"}}};

}  // namespace

std::optional<GgmlType> GgmlTypeOf(std::uint32_t number) {
  for (const Entry& entry : kEntries) {
    if (static_cast<std::uint32_t>(entry.type) == number) return entry.type;
  }
  return std::nullopt;
}

const GgmlLayout& LayoutOf(GgmlType type) {
  return EntryOf(type).layout;
}

std::string_view UnsupportedGgmlName(std::uint32_t number) {
  for (const auto& [known, name] : kUnsupported) {
    if (known == number) return name;
  }
  return "unknown";
}

void Dequantize(GgmlType type, std::span<const std::byte> blocks, float* out) {
  const Entry& entry = EntryOf(type);
  const auto bytes = static_cast<std::size_t>(entry.layout.bytes);
  const auto* block = reinterpret_cast<Bytes>(blocks.data());
  for (std::size_t n = blocks.size() / bytes; n > 0; --n) {
    entry.dequantize(block, out);
    block += bytes;
    out += entry.layout.weights;
  }
}

}  // namespace aha::policy
