// Speed of the CPU kernels, each beside what this machine can do: the peak of its multiply-adds, or
// its memory's bandwidth, both measured first. Threads: AHA_BENCH_THREADS (1 unless set). Target:
// AHA_KERNELS.
//
// GFLOPS counts a multiply-add as two; GB/s counts the bytes that must be read, weights or cached
// pages, once.

#include <algorithm>
#include <cstdlib>
#include <iostream>
#include <memory>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include <benchmark/benchmark.h>

#include "policy/kernels/cpu/adamw.h"
#include "policy/kernels/cpu/attention.h"
#include "policy/kernels/cpu/attention_backward.h"
#include "policy/kernels/cpu/experts.h"
#include "policy/kernels/cpu/gemm.h"
#include "policy/kernels/cpu/logits.h"
#include "policy/kernels/cpu/machine_peak.h"
#include "policy/kernels/cpu/ops.h"
#include "policy/kernels/cpu/weight_gradient.h"

namespace aha::policy::cpu {
namespace {

int Threads() {
  const char* asked = std::getenv("AHA_BENCH_THREADS");
  return asked == nullptr ? 1 : std::max(1, std::atoi(asked));
}

// One thread is timed by what it ran, so that other programs' work does not count; more by the
// clock on the wall.
void ChooseClock(benchmark::internal::Benchmark* bench) {
  if (Threads() > 1) bench->UseRealTime();
}

struct Bench {
  std::unique_ptr<Cpu> cpu;
  MachinePeak peak;
};
Bench& The() {
  static Bench bench;
  return bench;
}

std::vector<Bf16> Random(std::size_t n, float size = 0.05F) {
  std::mt19937 random(7);
  std::vector<Bf16> numbers(n);
  for (Bf16& x : numbers)
    x = ToBf16((static_cast<float>(random()) * 0x1p-32F - 0.5F) * size);
  return numbers;
}

PackedMatrix RandomPacked(std::size_t n, std::size_t k) {
  const std::vector<Bf16> w = Random(n * k);
  PackedMatrix packed(n, k, NumberKind::kBf16);
  packed.Pack(0, Rows<const Bf16>(w.data(), n, k));
  return packed;
}

// Work of one iteration, as counters; the share is that of whichever limit is nearer.
void Report(benchmark::State& state, double flops, double bytes) {
  const auto per_s = static_cast<double>(state.iterations());
  state.counters["GFLOPS"] = benchmark::Counter(flops * per_s / 1e9, benchmark::Counter::kIsRate);
  state.counters["GB/s"] = benchmark::Counter(bytes * per_s / 1e9, benchmark::Counter::kIsRate);
  const MachinePeak& peak = The().peak;
  const double least_seconds =
      std::max(flops / (peak.bf16_gflops * 1e9), bytes / (peak.BandwidthOf(bytes) * 1e9));
  state.counters["share"] = benchmark::Counter(least_seconds * per_s, benchmark::Counter::kIsRate);
}

void GemmBf16(benchmark::State& state) {
  const auto t = static_cast<std::size_t>(state.range(0));
  const auto k = static_cast<std::size_t>(state.range(1));
  const auto n = static_cast<std::size_t>(state.range(2));
  const PackedMatrix w = RandomPacked(n, k);
  const std::vector<Bf16> x = Random(t * k);
  std::vector<Bf16> y(t * n);
  for (auto _ : state)
    Gemm(*The().cpu, Rows<const Bf16>(x.data(), t, k), w, Rows<Bf16>(y.data(), t, n));
  Report(state, 2.0 * static_cast<double>(t * k * n), static_cast<double>(k * n) * 2);
}
BENCHMARK(GemmBf16)
    ->Apply(ChooseClock)
    ->ArgNames({"T", "K", "N"})
    ->Args({1, 576, 1536})
    ->Args({16, 576, 1536})
    ->Args({64, 576, 1536})
    ->Args({64, 1536, 576})
    ->Args({256, 576, 1536})
    ->Args({2048, 576, 1536})
    ->Args({64, 128, 128})
    ->Args({64, 128, 256})
    ->Args({512, 256, 512})
    ->Args({1, 576, 49152})
    ->Args({16, 576, 49152})
    ->Args({64, 576, 49152})
    ->Args({1, 896, 151936});

void GemmFp32(benchmark::State& state) {
  const auto t = static_cast<std::size_t>(state.range(0));
  const auto k = static_cast<std::size_t>(state.range(1));
  const auto n = static_cast<std::size_t>(state.range(2));
  const std::vector<float> x(t * k, 0.5F);
  PackedMatrix w(n, k, NumberKind::kFp32);
  w.Pack(0, Rows<const float>(std::vector<float>(n * k, 0.25F).data(), n, k));
  std::vector<float> y(t * n);
  for (auto _ : state)
    Gemm(*The().cpu, Rows<const float>(x.data(), t, k), w, Rows<float>(y.data(), t, n));
  Report(state, 2.0 * static_cast<double>(t * k * n), static_cast<double>(k * n) * 4);
}
BENCHMARK(GemmFp32)
    ->Apply(ChooseClock)
    ->ArgNames({"T", "K", "N"})
    ->Args({1, 576, 1536})
    ->Args({64, 576, 1536})
    ->Args({512, 256, 512});

void GateUp(benchmark::State& state) {
  const auto t = static_cast<std::size_t>(state.range(0));
  const std::size_t k = 576, n = 1536;
  const std::vector<Bf16> w = Random(n * k);
  PackedGateUp packed(n, k, NumberKind::kBf16);
  packed.Pack(PackedGateUp::Half::kGate, 0, Rows<const Bf16>(w.data(), n, k));
  packed.Pack(PackedGateUp::Half::kUp, 0, Rows<const Bf16>(w.data(), n, k));
  const std::vector<Bf16> x = Random(t * k);
  std::vector<Bf16> y(t * n);
  for (auto _ : state)
    GateUpSwiGlu(*The().cpu, Rows<const Bf16>(x.data(), t, k), packed, Rows<Bf16>(y.data(), t, n));
  Report(state, 4.0 * static_cast<double>(t * k * n), static_cast<double>(k * n) * 4);
}
BENCHMARK(GateUp)->Apply(ChooseClock)->ArgName("T")->Arg(1)->Arg(16)->Arg(64)->Arg(512);

void Norm(benchmark::State& state) {
  const auto t = static_cast<std::size_t>(state.range(0));
  const auto h = static_cast<std::size_t>(state.range(1));
  std::vector<Bf16> x = Random(t * h), residual = Random(t * h), y(t * h);
  const std::vector<float> weight(h, 1.0F);
  for (auto _ : state)
    AddRmsNorm(*The().cpu, Rows<const Bf16>(x.data(), t, h), Rows<Bf16>(residual.data(), t, h),
               weight.data(), 1e-6F, Rows<Bf16>(y.data(), t, h));
  Report(state, 0, static_cast<double>(t * h) * 8);
}
BENCHMARK(Norm)->Apply(ChooseClock)->ArgNames({"T", "H"})->Args({64, 576})->Args({2048, 576});

// Sequences of `context` tokens; `shared` of them are pages that all have.
void Attend(benchmark::State& state) {
  const auto sequences = static_cast<std::size_t>(state.range(0));
  const auto queries = static_cast<std::size_t>(state.range(1));
  const auto context = static_cast<std::size_t>(state.range(2));
  const auto shared = static_cast<std::size_t>(state.range(3)) / 32;
  const bool latent = state.range(4) != 0;
  const KvShape shape = latent ? KvShape{NumberKind::kBf16, true, 32, 1, 576, 512}
                               : KvShape{NumberKind::kBf16, false, 32, 3, 64, 64};
  const std::size_t heads = latent ? 16 : 9;
  const std::size_t pages = (context + 31) / 32;
  const std::size_t count = shared + sequences * (pages - shared);
  std::vector<Bf16> pool = Random(count * shape.page_bytes() / 2, 1);
  std::vector<std::vector<std::int32_t>> tables(sequences);
  std::vector<AttentionSequence> calls;
  auto next = static_cast<std::int32_t>(shared);
  for (std::size_t s = 0; s < sequences; ++s) {
    for (std::size_t p = 0; p < pages; ++p)
      tables[s].push_back(p < shared ? static_cast<std::int32_t>(p) : next++);
    calls.push_back({tables[s], context - queries, s * queries, queries});
  }
  const std::size_t t = sequences * queries;
  const std::vector<Bf16> q = Random(t * heads * shape.key_width, 1);
  std::vector<Bf16> y(t * heads * shape.value_width);
  const AttentionCall call{
      shape, reinterpret_cast<const std::byte*>(pool.data()), shape.page_bytes(), calls, heads,
      0.1F};
  for (auto _ : state) {
    Attention(*The().cpu, call, Rows<const Bf16>(q.data(), t, heads * shape.key_width),
              Rows<Bf16>(y.data(), t, heads * shape.value_width));
  }
  const double seen = static_cast<double>(sequences * queries) *
                      (static_cast<double>(context) - static_cast<double>(queries - 1) / 2);
  Report(state, 2 * seen * static_cast<double>(heads * (shape.key_width + shape.value_width)),
         static_cast<double>(count * shape.page_bytes()));
}
BENCHMARK(Attend)
    ->Apply(ChooseClock)
    ->ArgNames({"seqs", "queries", "context", "shared", "mla"})
    ->Args({1, 1, 2048, 0, 0})
    ->Args({64, 1, 192, 0, 0})
    ->Args({64, 1, 192, 64, 0})
    ->Args({64, 1, 2048, 1920, 0})
    ->Args({1, 512, 512, 0, 0})
    ->Args({1, 1, 2048, 0, 1})
    ->Args({16, 1, 512, 0, 1})
    ->Args({16, 1, 512, 256, 1})
    ->Args({1, 256, 256, 0, 1});

void Experts(benchmark::State& state) {
  const auto t = static_cast<std::size_t>(state.range(0));
  const auto h = static_cast<std::size_t>(state.range(1));
  const auto wide = static_cast<std::size_t>(state.range(2));
  const auto experts = static_cast<std::size_t>(state.range(3));
  constexpr std::size_t kSlots = 2;
  std::vector<PackedGateUp> gate_up;
  std::vector<PackedMatrix> down;
  const std::vector<Bf16> w = Random(wide * h);
  for (std::size_t e = 0; e < experts; ++e) {
    gate_up.emplace_back(wide, h, NumberKind::kBf16);
    gate_up.back().Pack(PackedGateUp::Half::kGate, 0, Rows<const Bf16>(w.data(), wide, h));
    gate_up.back().Pack(PackedGateUp::Half::kUp, 0, Rows<const Bf16>(w.data(), wide, h));
    down.emplace_back(RandomPacked(h, wide));
  }
  std::vector<const PackedGateUp*> gate_ups;
  std::vector<const PackedMatrix*> downs;
  for (std::size_t e = 0; e < experts; ++e) {
    gate_ups.push_back(&gate_up[e]);
    downs.push_back(&down[e]);
  }
  std::mt19937 random(3);
  std::vector<std::int32_t> chosen;
  for (std::size_t i = 0; i < t; ++i) {
    const auto first = static_cast<std::int32_t>(random() % experts);
    chosen.push_back(first);
    chosen.push_back((first + 1) % static_cast<std::int32_t>(experts));
  }
  const std::vector<float> weights(t * kSlots, 0.5F);
  const std::vector<Bf16> x = Random(t * h);
  std::vector<Bf16> y(t * h);
  for (auto _ : state) {
    const ExpertPlan plan = PlanExperts(chosen, kSlots, experts);
    RunExperts<Bf16>(*The().cpu, plan, Rows<const Bf16>(x.data(), t, h), weights.data(), gate_ups,
                     downs, Rows<Bf16>(y.data(), t, h));
  }
  const std::size_t used = std::min(experts, t * kSlots);
  Report(state, 6.0 * static_cast<double>(t * kSlots * h * wide),
         6.0 * static_cast<double>(used * h * wide));
}
BENCHMARK(Experts)
    ->Apply(ChooseClock)
    ->ArgNames({"T", "H", "I", "E"})
    ->Args({1, 128, 64, 8})
    ->Args({64, 128, 64, 8})
    ->Args({64, 256, 128, 16})
    ->Args({512, 256, 128, 16})
    ->Args({64, 1024, 512, 32});

void Sample(benchmark::State& state) {
  const auto t = static_cast<std::size_t>(state.range(0));
  const auto h = static_cast<std::size_t>(state.range(1));
  const auto v = static_cast<std::size_t>(state.range(2));
  const PackedMatrix head = RandomPacked(v, h);
  const std::vector<Bf16> hidden = Random(t * h, 1);
  std::vector<SampleRequest> requests(t);
  for (std::size_t i = 0; i < t; ++i)
    requests[i].draw = static_cast<double>(i) / static_cast<double>(t);
  std::vector<SampledToken> out(t);
  for (auto _ : state)
    SampleTokens<Bf16>(*The().cpu, Rows<const Bf16>(hidden.data(), t, h), head, requests, out);
  Report(state, 2.0 * static_cast<double>(t * h * v), static_cast<double>(h * v) * 2);
}
BENCHMARK(Sample)
    ->Apply(ChooseClock)
    ->ArgNames({"T", "H", "V"})
    ->Args({1, 576, 49152})
    ->Args({64, 576, 49152})
    ->Args({64, 128, 512});

void HeadBackward(benchmark::State& state) {
  const auto t = static_cast<std::size_t>(state.range(0));
  const auto h = static_cast<std::size_t>(state.range(1));
  const auto v = static_cast<std::size_t>(state.range(2));
  const PackedMatrix head = RandomPacked(v, h);
  PackedMatrix transposed(h, v, NumberKind::kBf16);
  transposed.PackTransposed(head);
  const std::vector<Bf16> hidden = Random(t * h, 1);
  const std::vector<std::int32_t> target(t, 3);
  const std::vector<float> dlogprob(t, 1);
  std::vector<float> dhidden(t * h), dhead(v * h);
  HeadGradient gradient;
  gradient.dlogprob = dlogprob.data();
  gradient.head_transposed = &transposed;
  gradient.dhidden = Rows<float>(dhidden.data(), t, h);
  gradient.dhead = Rows<float>(dhead.data(), v, h);
  for (auto _ : state)
    TokenLogprobsBackward<Bf16>(*The().cpu, Rows<const Bf16>(hidden.data(), t, h), head, target, 1,
                                gradient);
  Report(state, 6.0 * static_cast<double>(t * h * v), static_cast<double>(h * v) * 12);
}
BENCHMARK(HeadBackward)
    ->Apply(ChooseClock)
    ->ArgNames({"T", "H", "V"})
    ->Args({256, 576, 49152})
    ->Args({1024, 128, 512});

// Its sums are fp32 multiply-adds: the share is of that peak.
void WeightGradientBf16(benchmark::State& state) {
  const auto t = static_cast<std::size_t>(state.range(0));
  const auto n = static_cast<std::size_t>(state.range(1));
  const auto k = static_cast<std::size_t>(state.range(2));
  const std::vector<Bf16> dy = Random(t * n), x = Random(t * k);
  std::vector<float> dw(n * k);
  for (auto _ : state)
    WeightGradient(*The().cpu, Rows<const Bf16>(dy.data(), t, n), Rows<const Bf16>(x.data(), t, k),
                   Rows<float>(dw.data(), n, k));
  Report(state,
         2.0 * static_cast<double>(t * n * k) * The().peak.bf16_gflops / The().peak.fp32_gflops,
         static_cast<double>(n * k) * 8);
  state.counters["GFLOPS"] = benchmark::Counter(
      2.0 * static_cast<double>(t * n * k * static_cast<std::size_t>(state.iterations())) / 1e9,
      benchmark::Counter::kIsRate);
}
BENCHMARK(WeightGradientBf16)
    ->Apply(ChooseClock)
    ->ArgNames({"T", "N", "K"})
    ->Args({1024, 1536, 576})
    ->Args({1024, 256, 128})
    ->Args({64, 1536, 576});

void AttendBackward(benchmark::State& state) {
  const auto sequences = static_cast<std::size_t>(state.range(0));
  const auto length = static_cast<std::size_t>(state.range(1));
  const bool latent = state.range(2) != 0;
  const std::size_t heads = latent ? 4 : 9, kv_heads = latent ? 1 : 3, wide = latent ? 80 : 64,
                    value = 64;
  const std::size_t t = sequences * length;
  const std::vector<Bf16> q = Random(t * heads * wide, 1), k = Random(t * kv_heads * wide, 1),
                          v = Random(t * kv_heads * value, 1);
  const std::vector<Bf16> y = Random(t * heads * value, 1), dy = Random(t * heads * value, 1);
  const std::vector<float> lse(t * heads, 5);
  std::vector<Bf16> dq(q.size()), dk(k.size()), dv(v.size());
  std::vector<std::int64_t> start;
  for (std::size_t s = 0; s <= sequences; ++s)
    start.push_back(static_cast<std::int64_t>(s * length));
  AttentionGradientArgs<Bf16> args;
  args.start_S1 = start;
  args.heads = heads;
  args.kv_heads = kv_heads;
  args.key_width = wide;
  args.value_width = value;
  args.latent = latent;
  args.scale = 0.1F;
  args.q = Rows<const Bf16>(q.data(), t, heads * wide);
  args.k = Rows<const Bf16>(k.data(), t, kv_heads * wide);
  args.v = Rows<const Bf16>(v.data(), t, kv_heads * value);
  args.y = Rows<const Bf16>(y.data(), t, heads * value);
  args.dy = Rows<const Bf16>(dy.data(), t, heads * value);
  args.lse_TA = lse.data();
  args.dq = Rows<Bf16>(dq.data(), t, heads * wide);
  args.dk = Rows<Bf16>(dk.data(), t, kv_heads * wide);
  args.dv = Rows<Bf16>(dv.data(), t, kv_heads * value);
  for (auto _ : state)
    AttentionBackward<Bf16>(*The().cpu, args);
  const double flops = static_cast<double>(sequences * heads) *
                       static_cast<double>(length * (length + 1) / 2) * 2 *
                       static_cast<double>(3 * wide + 2 * value);
  Report(state, flops * The().peak.bf16_gflops / The().peak.fp32_gflops, 0);
  state.counters["GFLOPS"] = benchmark::Counter(
      flops * static_cast<double>(state.iterations()) / 1e9, benchmark::Counter::kIsRate);
}
BENCHMARK(AttendBackward)
    ->Apply(ChooseClock)
    ->ArgNames({"seqs", "length", "mla"})
    ->Args({8, 256, 0})
    ->Args({8, 192, 1})
    ->Args({2, 1024, 0});

void AdamW(benchmark::State& state) {
  const std::size_t n = 1536, k = 576;
  std::vector<float> master(n * k, 0.5F), gradient(n * k, 0.1F), first(n * k), second(n * k);
  PackedMatrix packed(n, k, NumberKind::kBf16), transposed(k, n, NumberKind::kBf16);
  AdamWStep step;
  step.rate = 1e-4F;
  const bool both = state.range(0) != 0;
  for (auto _ : state) {
    AdamWUpdate<float>(*The().cpu, step, Rows<float>(master.data(), n, k),
                       Rows<const float>(gradient.data(), n, k), Rows<float>(first.data(), n, k),
                       Rows<float>(second.data(), n, k),
                       [&](std::size_t at, Rows<const float>, Rows<const Bf16> rounded) {
                         packed.Pack(at, rounded);
                         if (both) transposed.PackColumns(at, rounded);
                       });
  }
  Report(state, 0, static_cast<double>(n * k) * (both ? 32 : 30));
}
BENCHMARK(AdamW)->Apply(ChooseClock)->ArgName("transposed")->Arg(0)->Arg(1);

}  // namespace

int Main(int argc, char** argv) {
  const auto target = ChooseKernelTarget();
  if (!target) {
    std::cerr << target.error().message << '\n';
    return 2;
  }
  const int threads = Threads();
  The().peak = MeasurePeak(threads);
  The().cpu = std::make_unique<Cpu>(*target, threads);
  std::cerr << "target " << KernelTargetName(*target) << ", threads " << threads << ", "
            << Describe(The().peak) << '\n';
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 2;
  benchmark::RunSpecifiedBenchmarks();
  return 0;
}

}  // namespace aha::policy::cpu

int main(int argc, char** argv) {
  return aha::policy::cpu::Main(argc, argv);
}
