#include "base/keyed_random.h"

#include <cmath>
#include <numbers>

namespace aha {
namespace {

// SplitMix64's finaliser (Steele, Lea, Flood 2014): a bijection that spreads every input bit.
std::uint64_t Mix(std::uint64_t x) {
  x += 0x9E3779B97F4A7C15U;
  x = (x ^ (x >> 30U)) * 0xBF58476D1CE4E5B9U;
  x = (x ^ (x >> 27U)) * 0x94D049BB133111EBU;
  return x ^ (x >> 31U);
}

constexpr std::uint32_t kM0 = 0xD2511F53;
constexpr std::uint32_t kM1 = 0xCD9E8D57;
constexpr std::uint32_t kW0 = 0x9E3779B9;
constexpr std::uint32_t kW1 = 0xBB67AE85;

}  // namespace

std::array<std::uint32_t, 4> Philox(std::array<std::uint32_t, 4> counter,
                                    std::array<std::uint32_t, 2> key) {
  for (int round = 0; round < 10; ++round) {
    const std::uint64_t p0 = std::uint64_t{kM0} * counter[0];
    const std::uint64_t p1 = std::uint64_t{kM1} * counter[2];
    counter = {static_cast<std::uint32_t>(p1 >> 32U) ^ counter[1] ^ key[0],
               static_cast<std::uint32_t>(p1),
               static_cast<std::uint32_t>(p0 >> 32U) ^ counter[3] ^ key[1],
               static_cast<std::uint32_t>(p0)};
    key[0] += kW0;
    key[1] += kW1;
  }
  return counter;
}

KeyedRandom::KeyedRandom(std::uint64_t seed, std::string_view purpose) : key_(Mix(seed)) {
  for (const char c : purpose)
    key_ = Mix(key_ ^ static_cast<unsigned char>(c));
}

KeyedRandom KeyedRandom::With(std::uint64_t coordinate) const {
  return KeyedRandom(Mix(key_ ^ Mix(coordinate)));
}

std::uint64_t KeyedRandom::Bits(std::uint64_t position) const {
  const auto out = Philox(
      {static_cast<std::uint32_t>(position), static_cast<std::uint32_t>(position >> 32U), 0, 0},
      {static_cast<std::uint32_t>(key_), static_cast<std::uint32_t>(key_ >> 32U)});
  return (std::uint64_t{out[1]} << 32U) | out[0];
}

double KeyedRandom::Uniform(std::uint64_t position) const {
  return static_cast<double>(Bits(position) >> 11U) * 0x1.0p-53;
}

std::int64_t KeyedRandom::Integer(std::uint64_t position,
                                  std::int64_t low,
                                  std::int64_t high) const {
  const auto range = static_cast<std::uint64_t>(high - low) + 1;
  if (range == 0) return static_cast<std::int64_t>(Bits(position));
  __extension__ using Wide = unsigned __int128;
  return low + static_cast<std::int64_t>(
                   static_cast<std::uint64_t>((Wide{Bits(position)} * range) >> 64U));
}

double KeyedRandom::Normal(std::uint64_t position) const {
  const std::uint64_t bits = Bits(position);
  const double u = (static_cast<double>(bits >> 32U) + 0.5) * 0x1.0p-32;
  const double v = static_cast<double>(bits & 0xFFFFFFFFU) * 0x1.0p-32;
  return std::sqrt(-2.0 * std::log(u)) * std::cos(2.0 * std::numbers::pi * v);
}

}  // namespace aha
