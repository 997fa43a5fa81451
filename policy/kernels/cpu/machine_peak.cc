#include "policy/kernels/cpu/machine_peak.h"

#include <algorithm>
#include <cstring>
#include <ctime>
#include <functional>
#include <thread>
#include <vector>

#include <fmt/format.h>
#if defined(__x86_64__)
#include <immintrin.h>
#endif

#include "policy/kernels/cpu/buffer.h"
#include "policy/kernels/cpu/target.h"

namespace aha::policy::cpu {
namespace {

// Time that this thread ran: other programs' work does not count.
double Now() {
  timespec now{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) * 1e-9;
}

// Best of several rounds: the sum over threads of work / seconds, each thread timing itself.
double Best(int threads, const std::function<double()>& rate) {
  double best = 0;
  for (int round = 0; round < 5; ++round) {
    std::vector<double> rates(static_cast<std::size_t>(threads));
    std::vector<std::thread> others;
    for (std::size_t t = 1; t < rates.size(); ++t)
      others.emplace_back([&, t] { rates[t] = rate(); });
    rates[0] = rate();
    for (std::thread& other : others)
      other.join();
    double sum = 0;
    for (const double r : rates)
      sum += r;
    best = std::max(best, sum);
  }
  return best;
}

#if defined(__x86_64__)
constexpr long kRounds = 1000000;

__attribute__((target("avx512f,avx512bf16"))) double Dot512() {
  __m512 sum[16];
#pragma GCC unroll 16
  for (int j = 0; j < 16; ++j)
    sum[j] = _mm512_setzero_ps();
  const auto one = (__m512bh)_mm512_set1_epi32(0x3F803F80);
  const double start = Now();
  for (long i = 0; i < kRounds; ++i) {
#pragma GCC unroll 16
    for (int j = 0; j < 16; ++j) {
      sum[j] = _mm512_dpbf16_ps(sum[j], one, one);
      asm volatile("" : "+v"(sum[j]));
    }
  }
  return static_cast<double>(kRounds) * 16 * 64 / (Now() - start) / 1e9;
}

__attribute__((target("avx512f"))) double Fma512() {
  __m512 sum[16];
#pragma GCC unroll 16
  for (int j = 0; j < 16; ++j)
    sum[j] = _mm512_setzero_ps();
  const __m512 one = _mm512_set1_ps(1e-9F);
  const double start = Now();
  for (long i = 0; i < kRounds; ++i) {
#pragma GCC unroll 16
    for (int j = 0; j < 16; ++j) {
      sum[j] = _mm512_fmadd_ps(one, one, sum[j]);
      asm volatile("" : "+v"(sum[j]));
    }
  }
  return static_cast<double>(kRounds) * 16 * 32 / (Now() - start) / 1e9;
}

__attribute__((target("avx2,fma"))) double Fma256() {
  __m256 sum[12];
#pragma GCC unroll 12
  for (int j = 0; j < 12; ++j)
    sum[j] = _mm256_setzero_ps();
  const __m256 one = _mm256_set1_ps(1e-9F);
  const double start = Now();
  for (long i = 0; i < kRounds; ++i) {
#pragma GCC unroll 12
    for (int j = 0; j < 12; ++j) {
      sum[j] = _mm256_fmadd_ps(one, one, sum[j]);
      asm volatile("" : "+x"(sum[j]));
    }
  }
  return static_cast<double>(kRounds) * 12 * 16 / (Now() - start) / 1e9;
}

__attribute__((target("avx2"))) double Read(const std::byte* memory,
                                            std::size_t bytes,
                                            std::size_t times) {
  __m256i sum[8];
#pragma GCC unroll 8
  for (std::size_t j = 0; j < 8; ++j)
    sum[j] = _mm256_setzero_si256();
  const double start = Now();
  for (std::size_t round = 0; round < times; ++round) {
    for (std::size_t i = 0; i < bytes; i += 256) {
#pragma GCC unroll 8
      for (std::size_t j = 0; j < 8; ++j)
        sum[j] = _mm256_xor_si256(
            sum[j], _mm256_load_si256(reinterpret_cast<const __m256i*>(memory + i + j * 32)));
    }
#pragma GCC unroll 8
    for (std::size_t j = 0; j < 8; ++j)
      asm volatile("" : "+x"(sum[j]));
  }
  return static_cast<double>(bytes * times) / (Now() - start) / 1e9;
}

double Bandwidth(int threads, std::size_t bytes) {
  const std::size_t share = bytes / static_cast<std::size_t>(threads) / 4096 * 4096;
  return Best(threads, [&] {
    Buffer memory(share);
    // Pages that nobody has written are all the same page of zeros, and that one is in the cache.
    std::memset(memory.data(), 1, share);
    return Read(memory.data(), share, std::max<std::size_t>(1, (std::size_t{1} << 28) / share));
  });
}
#endif

}  // namespace

MachinePeak MeasurePeak(int threads) {
  MachinePeak peak;
#if defined(__x86_64__)
  const auto& targets = SupportedKernelTargets();
  const auto has = [&](KernelTarget t) {
    return std::find(targets.begin(), targets.end(), t) != targets.end();
  };
  if (has(KernelTarget::kAvx2)) {
    peak.fp32_gflops = Best(threads, has(KernelTarget::kAvx512) ? Fma512 : Fma256);
    peak.bf16_gflops = has(KernelTarget::kAvx512Bf16)
                           ? std::max(peak.fp32_gflops, Best(threads, Dot512))
                           : peak.fp32_gflops;
    peak.memory_gb_s = Bandwidth(threads, std::size_t{256} << 20);
    peak.l3_gb_s = Bandwidth(threads, std::size_t{8} << 20);
    peak.l2_gb_s = Bandwidth(threads, static_cast<std::size_t>(threads) << 19);
  }
#else
  static_cast<void>(threads);
#endif
  return peak;
}

std::string Describe(const MachinePeak& peak) {
  return fmt::format(
      "measured peak: fp32 {:.0f} GFLOPS, bf16 {:.0f} GFLOPS, memory {:.1f} GB/s, L3 {:.0f} GB/s, "
      "L2 {:.0f} GB/s",
      peak.fp32_gflops, peak.bf16_gflops, peak.memory_gb_s, peak.l3_gb_s, peak.l2_gb_s);
}

}  // namespace aha::policy::cpu
