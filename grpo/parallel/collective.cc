#include "grpo/parallel/collective.h"

#include <algorithm>
#include <cctype>

#include <ATen/ops/empty_like.h>
#include <ATen/ops/zeros.h>
#include <torch/csrc/distributed/c10d/TCPStore.hpp>

namespace aha::grpo {
namespace {

// Numbers summed at once: bounds the memory for other ranks' shares.
constexpr std::int64_t kAtOnce = std::int64_t{1} << 24;

}  // namespace

c10::intrusive_ptr<c10d::Store> OpenStore(const GroupAddress& address) {
  c10d::TCPStoreOptions options;
  options.port = address.port;
  options.isServer = address.rank == 0 && !address.store_is_there;
  options.numWorkers = static_cast<std::size_t>(address.size);
  options.waitWorkers = !address.store_is_there;
  options.timeout = address.deadline;
  return c10::make_intrusive<c10d::TCPStore>(address.host, options);
}

Error ErrorOfCollective(const GroupAddress& address, const std::string& what) {
  Error error =
      ErrorFromException(fmt::format("rank {} of {}: {}", address.rank, address.size, what));
  std::string lower = error.message;
  std::transform(lower.begin(), lower.end(), lower.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  const bool late =
      lower.find("timed out") != std::string::npos || lower.find("timeout") != std::string::npos;
  if (late) error.code = Code::kTimeout;
  return error;
}

template <class F>
Status CollectiveGroup::Try(const std::string& what, const F& f) {
  try {
    f();
    return {};
  } catch (...) {
    return tl::unexpected<Error>(ErrorOfCollective(address_, what));
  }
}

// Each rank takes one share of the numbers from every rank, adds them in the tree, and hands its
// sum round.
void CollectiveGroup::SumSome(at::Tensor numbers) {
  const std::int64_t ranks = size(), share = (numbers.numel() + ranks - 1) / ranks;
  at::Tensor mine = at::zeros({ranks * share}, numbers.options());
  mine.narrow(0, 0, numbers.numel()).copy_(numbers);
  at::Tensor theirs = at::empty_like(mine);
  std::vector<std::int64_t> equal;  // shares of one size
  backend_->alltoall_base(theirs, mine, equal, equal)->wait();
  const at::Tensor share_of_rank = theirs.view({ranks, share});
  for (std::int64_t apart = 1; apart < ranks; apart *= 2) {
    for (std::int64_t rank = 0; rank + apart < ranks; rank += 2 * apart)
      share_of_rank.select(0, rank).add_(share_of_rank.select(0, rank + apart));
  }
  at::Tensor sum = share_of_rank.select(0, 0).contiguous();
  backend_->_allgather_base(mine, sum)->wait();
  numbers.copy_(mine.narrow(0, 0, numbers.numel()));
}

Status CollectiveGroup::Sum(at::Tensor& numbers) {
  return Try("sum over ranks", [&] {
    const at::Tensor flat = numbers.view({-1});
    for (std::int64_t at = 0; at < flat.numel(); at += kAtOnce)
      SumSome(flat.narrow(0, at, std::min(kAtOnce, flat.numel() - at)));
  });
}

Status CollectiveGroup::Broadcast(at::Tensor& numbers, int root) {
  return Try(fmt::format("broadcast from rank {}", root), [&] {
    c10d::BroadcastOptions options;
    options.rootRank = root;
    std::vector<at::Tensor> tensors = {numbers};
    backend_->broadcast(tensors, options)->wait();
  });
}

Status CollectiveGroup::Wait() {
  return Try("waiting for all ranks", [&] { backend_->barrier()->wait(); });
}

}  // namespace aha::grpo
