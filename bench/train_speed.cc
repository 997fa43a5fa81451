// train_speed FOLDER|tiny|base [BATCH LENGTH THREADS DTYPE STEPS]: tokens a second of forward, loss
// and backward, and of the optimizer, on the CPU's own pass and on the same mathematics with
// LibTorch's autograd, one after the other in one process.

#include <time.h>

#include <cstdio>
#include <cstdlib>
#include <string>

#include <ATen/Parallel.h>
#include <ATen/TensorOperators.h>
#include <ATen/ops/tensor.h>

#include "base/keyed_random.h"
#include "policy/checkpoint/checkpoint.h"
#include "policy/kernels/cpu/machine_peak.h"
#include "policy/reference/policy.h"
#include "policy/training/update.h"

namespace {

using namespace aha::policy;
// With one thread, its own time: what else runs on the machine does not count.
bool own_time = false;

double Now() {
  timespec now{};
  clock_gettime(own_time ? CLOCK_THREAD_CPUTIME_ID : CLOCK_MONOTONIC, &now);
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) * 1e-9;
}
double Since(double start) {
  return Now() - start;
}

// 4 layers of width 256 with 16 experts.
PolicyConfig TinyDeepSeek() {
  PolicyConfig c;
  c.vocab_size = 2048;
  c.hidden_size = 256;
  c.num_hidden_layers = 4;
  c.num_attention_heads = 4;
  c.intermediate_size = 512;
  c.moe_intermediate_size = 128;
  c.first_k_dense_replace = 1;
  c.n_routed_experts = 16;
  c.n_shared_experts = 1;
  c.num_experts_per_tok = 4;
  c.n_group = 4;
  c.topk_group = 2;
  c.routed_scaling_factor = 2.5;
  c.q_lora_rank = 96;
  c.kv_lora_rank = 64;
  c.qk_nope_head_dim = 32;
  c.qk_rope_head_dim = 16;
  c.v_head_dim = 32;
  c.max_position_embeddings = 1024;
  return c;
}

TargetSequences RandomBatch(const PolicyConfig& config, std::size_t batch, std::size_t length) {
  TargetSequences sequences;
  for (std::size_t s = 0; s < batch; ++s) {
    const aha::KeyedRandom random = aha::KeyedRandom(1, "train_speed").With(s);
    std::vector<std::int32_t>& ids = sequences.ids_S.emplace_back();
    for (std::size_t i = 0; i < length; ++i) {
      ids.push_back(static_cast<std::int32_t>(random.Integer(i, 0, config.vocab_size - 1)));
    }
    sequences.first_S.push_back(1);
  }
  return sequences;
}

void RunPass(Weights& weights, const TargetSequences& sequences, int threads, int steps) {
  const cpu::Cpu cpu(cpu::ChooseKernelTarget().value(), threads);
  Update update(weights, cpu, {}, 0);
  const std::size_t tokens = sequences.ids_S.size() * sequences.ids_S[0].size();
  const auto targets = static_cast<float>(TargetsOf(sequences).row_N.size());
  double loss = 0;
  const auto slopes = [&](const Targets&, std::span<const float> logprob_N,
                          std::span<const float>) {
    loss = 0;
    for (const float l : logprob_N)
      loss -= l;
    return aha::Result<std::vector<float>>(std::vector<float>(logprob_N.size(), -1 / targets));
  };
  double best = 1e9, best_step = 1e9;
  for (int k = 0; k <= steps; ++k) {
    const auto start = Now();
    if (!update.Add(sequences, 1, false, {}, slopes)) std::abort();
    const double seconds = Since(start);
    const auto step = Now();
    if (!update.Finish(1e-6)) std::abort();
    if (k == 0) continue;
    best = std::min(best, seconds);
    best_step = std::min(best_step, Since(step));
  }
  std::printf("pass       %8.0f tok/s  optimizer %6.1f ms  loss %.4f  (%d threads, %s)\n",
              static_cast<double>(tokens) / best, best_step * 1e3, loss / targets, threads,
              std::string(cpu::KernelTargetName(cpu.target())).c_str());
}

void RunReference(const Weights& weights,
                  const TargetSequences& sequences,
                  int threads,
                  int steps) {
  at::set_num_threads(threads);
  reference::Policy policy = reference::Policy::Of(weights);
  policy.RequireGrad(true);
  const std::size_t tokens = sequences.ids_S.size() * sequences.ids_S[0].size();
  const Targets targets = TargetsOf(sequences);
  const std::vector<std::int64_t> rows(targets.row_N.begin(), targets.row_N.end());
  const std::vector<std::int64_t> ids(targets.token_N.begin(), targets.token_N.end());
  const at::Tensor row_N = at::tensor(rows, at::kLong), token_N = at::tensor(ids, at::kLong);
  double best = 1e9, value = 0;
  for (int k = 0; k <= steps; ++k) {
    const auto start = Now();
    const at::Tensor hidden = policy.Forward(reference::PackSequences(sequences.ids_S));
    const at::Tensor logprob = reference::kernels::LogprobsOf(hidden.index_select(0, row_N),
                                                              policy.head(), token_N, 1, false)
                                   .logprob_T;
    const at::Tensor loss = -logprob.mean();
    loss.backward();
    const double seconds = Since(start);
    value = loss.item<double>();
    for (const reference::NamedTensor& p : policy.parameters())
      const_cast<at::Tensor&>(p.value).mutable_grad() = at::Tensor();
    if (k > 0) best = std::min(best, seconds);
  }
  std::printf("LibTorch   %8.0f tok/s                      loss %.4f  (%d threads)\n",
              static_cast<double>(tokens) / best, value, threads);
}

}  // namespace

int main(int argc, char** argv) {
  const std::string model = argc > 1 ? argv[1] : "tiny";
  const auto number = [&](int i, int otherwise) {
    return argc > i ? std::atoi(argv[i]) : otherwise;
  };
  const int batch = number(2, 8), length = number(3, 192), threads = number(4, 1),
            steps = number(6, 3);
  own_time = threads == 1;
  const NumberType type =
      argc > 5 && std::string(argv[5]) == "fp32" ? NumberType::kFp32 : NumberType::kBf16;
  PolicyConfig config = TinyDeepSeek();
  config.dtype = type;
  auto weights =
      model == "tiny"
          ? aha::Result<Weights>(Weights::Initial(config, aha::KeyedRandom(1, "train_speed")))
          : LoadWeights(model, type, WeightsUse::kTraining);
  if (!weights) return std::fprintf(stderr, "%s\n", weights.error().message.c_str()), 1;
  const TargetSequences sequences = RandomBatch(weights->config(), static_cast<std::size_t>(batch),
                                                static_cast<std::size_t>(length));
  std::printf("%s, %d x %d, %s\n", model.c_str(), batch, length,
              type == NumberType::kBf16 ? "bf16" : "fp32");
  std::printf("%s\n", cpu::Describe(cpu::MeasurePeak(threads)).c_str());
  if (number(7, 0) == 0) RunReference(*weights, sequences, threads, steps);
  RunPass(*weights, sequences, threads, steps);
  return 0;
}
