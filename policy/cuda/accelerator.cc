#include "policy/cuda/accelerator.h"

#include <algorithm>

#include <ATen/TensorOperators.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/from_blob.h>
#include <ATen/ops/tensor.h>

namespace aha::policy::cuda {
namespace {

using reference::kernels::ExpertWeights;
using reference::kernels::PackedMatrix;

template <class T>
T* DataOf(const at::Tensor& tensor) {
  return static_cast<T*>(tensor.data_ptr());
}

// f(a number of the tensor's type).
template <class F>
void ByType(const at::Tensor& tensor, const F& f) {
  tensor.scalar_type() == at::kBFloat16 ? f(Bf16{}) : f(float{});
}

at::Tensor AddressTable(const std::vector<ExpertWeights>& experts,
                        at::Tensor (*part)(const ExpertWeights&),
                        at::Device device) {
  std::vector<std::int64_t> addresses;
  for (const ExpertWeights& expert : experts) {
    const at::Tensor tensor = part(expert);
    if (!tensor.defined()) return {};
    addresses.push_back(reinterpret_cast<std::int64_t>(tensor.data_ptr()));
  }
  return at::tensor(addresses, at::kLong).to(device);
}

constexpr std::int64_t kMostScratch = std::int64_t{64} << 20;  // numbers of attention's work space

// Bytes of plain structs, on the device.
template <class T>
at::Tensor Upload(const std::vector<T>& items, at::Device device) {
  const auto bytes = static_cast<std::int64_t>(items.size() * sizeof(T));
  return at::from_blob(const_cast<T*>(items.data()), {bytes}, at::kByte).to(device, at::kByte);
}

}  // namespace

at::Tensor KernelAccelerator::Attend(const at::Tensor& query_TAW,
                                     const at::Tensor& pages,
                                     const Keys& keys,
                                     double scale,
                                     const reference::RaggedBatch& batch) const {
  const at::Tensor query = query_TAW.contiguous();
  const at::Tensor out =
      at::empty({query.size(0), query.size(1), keys.value_width}, query.options());
  ByType(query, [&](auto number) {
    using T = decltype(number);
    AttentionArgs<T> args;
    args.pages = DataOf<T>(pages);
    args.pages_SB = DataOf<std::int64_t>(batch.pages_SB);
    args.tokens = query.size(0);
    args.longest = batch.plan.longest_context;
    args.table_width = batch.pages_SB.size(0) / batch.plan.sequences;
    args.page_tokens = pages.size(1);
    args.row_width = pages.size(2);
    args.heads = static_cast<int>(query.size(1));
    args.key_heads = static_cast<int>(keys.heads);
    args.key_width = static_cast<int>(keys.key_width);
    args.value_width = static_cast<int>(keys.value_width);
    args.latent = keys.latent;
    args.scale = static_cast<float>(scale);
    // A long prompt in slices of tokens, which changes no bit.
    const std::int64_t tokens = args.tokens, wide = args.heads * args.key_width;
    args.tokens = 1;
    args.tokens =
        std::min(tokens, std::max<std::int64_t>(1, kMostScratch / AttentionScratch(args)));
    const at::Tensor parts = at::empty({AttentionScratch(args)}, query.options().dtype(at::kFloat));
    args.parts = DataOf<float>(parts);
    for (std::int64_t first = 0; first < tokens; first += args.tokens) {
      args.tokens = std::min(args.tokens, tokens - first);
      args.query_TAW = DataOf<T>(query) + first * wide;
      args.out_TAD = DataOf<T>(out) + first * args.heads * args.value_width;
      args.sequence_T = DataOf<std::int64_t>(batch.sequence_T) + first;
      args.position_T = DataOf<std::int64_t>(batch.positions_T) + first;
      kernels_.Attention(args);
    }
  });
  return out;
}

const KernelAccelerator::Addresses& KernelAccelerator::AddressesOf(
    const std::vector<ExpertWeights>& experts,
    at::Device device) const {
  const auto [place, fresh] = addresses_.try_emplace(experts.data());
  if (fresh) {
    const auto table = [&](at::Tensor (*part)(const ExpertWeights&)) {
      return AddressTable(experts, part, device);
    };
    place->second = {table([](const ExpertWeights& e) { return e.gate.leaf(); }),
                     table([](const ExpertWeights& e) { return e.up.leaf(); }),
                     table([](const ExpertWeights& e) { return e.down.leaf(); }),
                     table([](const ExpertWeights& e) { return e.gate_bias; }),
                     table([](const ExpertWeights& e) { return e.up_bias; }),
                     table([](const ExpertWeights& e) { return e.down_bias; })};
  }
  return place->second;
}

at::Tensor KernelAccelerator::RunRoutedExperts(const at::Tensor& x_TH,
                                               const reference::kernels::Routing& routing,
                                               const std::vector<ExpertWeights>& experts) const {
  const Addresses& addresses = AddressesOf(experts, x_TH.device());
  const at::Tensor x = x_TH.contiguous();
  const at::Tensor chosen = routing.experts_TK.contiguous();
  const at::Tensor weights = routing.weights_TK.contiguous();
  const std::int64_t tokens = x.size(0), slots = chosen.size(1), sent = tokens * slots;
  const at::TensorOptions ints = chosen.options().dtype(at::kInt);
  const at::Tensor start = at::empty({static_cast<std::int64_t>(experts.size()) + 1}, ints);
  const at::Tensor from = at::empty({sent}, ints), place = at::empty({sent}, ints);
  kernels_.Dispatch({DataOf<std::int64_t>(chosen), DataOf<std::int32_t>(start),
                     DataOf<std::int32_t>(from), DataOf<std::int32_t>(place), sent,
                     static_cast<int>(experts.size())});
  const at::Tensor out = at::empty_like(x);
  ByType(x, [&](auto number) {
    using T = decltype(number);
    const auto product = [&](const at::Tensor& rows, bool gather, const PackedMatrix& shape,
                             const at::Tensor& table, const at::Tensor& biases) {
      const at::Tensor y = at::empty({sent, shape.leaf().size(0)}, x.options());
      GroupedArgs<T> args;
      args.x = DataOf<T>(rows);
      args.y_SN = DataOf<T>(y);
      args.weight_E = DataOf<const T*>(table);
      args.bias_E = biases.defined() ? DataOf<const T*>(biases) : nullptr;
      args.start_E1 = DataOf<std::int32_t>(start);
      args.from_S = gather ? DataOf<std::int32_t>(from) : nullptr;
      args.sent = sent;
      args.slots = static_cast<int>(slots);
      args.experts = static_cast<int>(experts.size());
      args.columns = static_cast<int>(shape.leaf().size(0));
      args.inner = static_cast<int>(shape.leaf().size(1));
      kernels_.Grouped(args);
      return y;
    };
    const ExpertWeights& first = experts.front();
    const at::Tensor inner = reference::kernels::SwiGlu(
        product(x, true, first.gate, addresses.gate, addresses.gate_bias),
        product(x, true, first.up, addresses.up, addresses.up_bias));
    const at::Tensor done = product(inner, false, first.down, addresses.down, addresses.down_bias);
    kernels_.Combine(CombineArgs<T>{DataOf<T>(done), DataOf<float>(weights),
                                    DataOf<std::int32_t>(place), DataOf<T>(out), tokens,
                                    static_cast<int>(slots), static_cast<int>(x.size(1))});
  });
  return out;
}

std::vector<DrawnToken> DrawTokens(const Kernels& kernels,
                                   const at::Tensor& logits_NV,
                                   const std::vector<DrawRequest>& requests_N) {
  std::vector<DrawnToken> drawn(requests_N.size());
  const at::Tensor requests = Upload(requests_N, logits_NV.device());
  const at::Tensor out = Upload(drawn, logits_NV.device());
  kernels.Draw({DataOf<float>(logits_NV), DataOf<DrawRequest>(requests), DataOf<DrawnToken>(out),
                logits_NV.size(0), logits_NV.size(1)});
  const at::Tensor host = out.to(at::kCPU);
  if (host.const_data_ptr() != drawn.data())
    std::memcpy(drawn.data(), host.const_data_ptr(), drawn.size() * sizeof(DrawnToken));
  return drawn;
}

}  // namespace aha::policy::cuda
