#pragma once
/// The bf16 tile unit of AMX, by instructions and by software. Both hold eight tiles of 16 rows x
/// 64 bytes.

#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "policy/kernels/cpu/numbers.h"

namespace aha::policy::cpu {

#if defined(__x86_64__)
/// The CPU's own tiles. Configured while it lives, on this thread.
class HardwareTiles {
 public:
  HardwareTiles() {
    alignas(64) Config config;
    config.palette = 1;
    config.row_bytes.fill(0);
    config.rows.fill(0);
    for (std::size_t t = 0; t < 8; ++t) {
      config.row_bytes[t] = 64;
      config.rows[t] = 16;
    }
    // The operand is the whole structure: GCC 12's own intrinsic does not say that all of it is
    // read.
    asm volatile("ldtilecfg %0" ::"m"(config));
  }
  ~HardwareTiles() { asm volatile("tilerelease" ::); }
  HardwareTiles(const HardwareTiles&) = delete;
  HardwareTiles& operator=(const HardwareTiles&) = delete;

  template <int tile>
  void Zero() {
    asm volatile("tilezero %%tmm%c0" ::"i"(tile));
  }
  template <int tile>
  void Load(const void* from, std::size_t stride) {
    asm volatile("tileloadd (%0,%1,1), %%tmm%c2" ::"r"(from), "r"(stride), "i"(tile) : "memory");
  }
  template <int tile>
  void Store(void* to, std::size_t stride) {
    asm volatile("tilestored %%tmm%c2, (%0,%1,1)" ::"r"(to), "r"(stride), "i"(tile) : "memory");
  }
  /// sum += a b over 32 values of k.
  template <int sum, int a, int b>
  void Dot() {
    asm volatile("tdpbf16ps %%tmm%c2, %%tmm%c1, %%tmm%c0" ::"i"(sum), "i"(a), "i"(b));
  }

 private:
  struct Config {
    std::uint8_t palette = 1;
    std::uint8_t start_row = 0;
    std::array<std::uint8_t, 14> reserved{};
    std::array<std::uint16_t, 16> row_bytes{};
    std::array<std::uint8_t, 16> rows{};
  };
  static_assert(sizeof(Config) == 64);
};
#endif

/// TDPBF16PS as Intel's manual writes it: even and odd elements of the pairs in chains of their own
/// over the tile's 16 pairs, each step a fused multiply-add rounded to nearest even, denormals
/// taken for and flushed to zero; then the two are added, and that to the sum.
class ModelTiles {
 public:
  template <int tile>
  void Zero() {
    std::memset(tiles_[tile].data(), 0, 1024);
  }
  template <int tile>
  void Load(const void* from, std::size_t stride) {
    for (std::size_t r = 0; r < 16; ++r) {
      std::memcpy(tiles_[tile].data() + r * 64, static_cast<const std::byte*>(from) + r * stride,
                  64);
    }
  }
  template <int tile>
  void Store(void* to, std::size_t stride) {
    for (std::size_t r = 0; r < 16; ++r)
      std::memcpy(static_cast<std::byte*>(to) + r * stride, tiles_[tile].data() + r * 64, 64);
  }
  template <int sum, int a, int b>
  void Dot() {
    for (std::size_t m = 0; m < 16; ++m) {
      for (std::size_t n = 0; n < 16; ++n) {
        float even = 0, odd = 0;
        for (std::size_t k = 0; k < 16; ++k) {
          even = Flush(std::fma(Number(a, m, 2 * k), Number(b, k, 2 * n), even));
          odd = Flush(std::fma(Number(a, m, 2 * k + 1), Number(b, k, 2 * n + 1), odd));
        }
        float total = 0;
        std::byte* place = tiles_[sum].data() + m * 64 + n * 4;
        std::memcpy(&total, place, 4);
        total = Flush(Flush(total) + Flush(even + odd));
        std::memcpy(place, &total, 4);
      }
    }
  }

 private:
  static float Flush(float x) { return std::fabs(x) < 0x1p-126F ? std::copysign(0.0F, x) : x; }
  [[nodiscard]] float Number(int tile, std::size_t row, std::size_t column) const {
    Bf16 x{};
    std::memcpy(&x, tiles_[static_cast<std::size_t>(tile)].data() + row * 64 + column * 2, 2);
    return Flush(ToFloat(x));
  }
  std::array<std::array<std::byte, 1024>, 8> tiles_{};
};

}  // namespace aha::policy::cpu
