#pragma once
/// Ranks that train one policy on shares of the data: sums of gradients and weights handed out,
/// over c10d: NCCL between GPUs, Gloo between CPUs. Ranks are launched by what clusters have
/// (torchrun
/// --no-python, srun), which set the environment that GroupFromEnvironment reads.
///
/// A sum over ranks is added in one fixed tree, pairs of neighbours first: ((0 + 1) + (2 + 3)) +
/// ... So it is a function of the ranks' numbers alone, not of the transport's own order, and ranks
/// that each added a whole branch of a tree of shards in that order make the tree's sum: with 1, 2
/// or 4 ranks over 4 shards the bits are the same.

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>

#include "base/result.h"

namespace at {
class Tensor;
}

namespace aha::grpo {

class Group {
 public:
  virtual ~Group() = default;

  [[nodiscard]] virtual int rank() const = 0;
  [[nodiscard]] virtual int size() const = 0;

  // Collective: every rank calls them in one order, with tensors of one shape and type, contiguous,
  // on the group's device. Errors: kTimeout when the deadline passed, else kInternal; either names
  // this rank and what it waited for. A group that failed is not to be used again.

  /// Replaces each rank's numbers by the sum over all ranks, the same bits everywhere.
  virtual Status Sum(at::Tensor& numbers) = 0;
  /// Replaces each rank's numbers by those of rank `root`.
  virtual Status Broadcast(at::Tensor& numbers, int root) = 0;
  /// Returns once every rank has come here.
  virtual Status Wait() = 0;
};

struct GroupAddress {
  int rank = 0, size = 1;
  int local_rank = 0;  ///< on its host: the number of its GPU
  std::string host = "127.0.0.1";
  std::uint16_t port = 0;
  bool store_is_there = false;  ///< the launcher holds the store; else rank 0 does
  std::chrono::milliseconds deadline = std::chrono::minutes(10);  ///< of joining and of each call
};

/// From RANK, WORLD_SIZE, LOCAL_RANK, MASTER_ADDR, MASTER_PORT and TORCHELASTIC_USE_AGENT_STORE;
/// without RANK and WORLD_SIZE one rank alone. kInvalidArgument names the variable that is wrong.
Result<GroupAddress> GroupFromEnvironment();

/// One rank: nothing to wait for.
std::unique_ptr<Group> Alone();

/// Tensors on the CPU. kTimeout says how many ranks came.
Result<std::unique_ptr<Group>> JoinGloo(const GroupAddress& address);

/// Tensors on GPU `local_rank`. Only in a build with AHA_CUDA.
Result<std::unique_ptr<Group>> JoinNccl(const GroupAddress& address);

}  // namespace aha::grpo
