#pragma once
/// What a GPU computes by kernels of ours, because ATen has nothing that fits. Behind one interface
/// stand the GPU's launches and the same kernels' code run on the CPU, lane by lane: slow, and
/// there for tests.
///
/// Pointers are the device's own memory (the host's for HostKernels). Calls return once they are
/// queued. Errors of a launch are thrown as std::runtime_error with CUDA's words.

#include <memory>

#include "policy/kernels/cuda/attention.h"
#include "policy/kernels/cuda/draw.h"
#include "policy/kernels/cuda/experts.h"

struct CUstream_st;

namespace aha::policy::cuda {

class Kernels {
 public:
  virtual ~Kernels() = default;

  /// Paged attention; `args.parts` holds AttentionScratch(args) numbers.
  virtual void Attention(const AttentionArgs<float>& args) const = 0;
  virtual void Attention(const AttentionArgs<Bf16>& args) const = 0;

  /// Sorts (token, slot) pairs by expert, stably.
  virtual void Dispatch(const DispatchArgs& args) const = 0;
  /// Products by expert, fp32 sums.
  virtual void Grouped(const GroupedArgs<float>& args) const = 0;
  virtual void Grouped(const GroupedArgs<Bf16>& args) const = 0;
  /// A token's slots, weighted, added in their order.
  virtual void Combine(const CombineArgs<float>& args) const = 0;
  virtual void Combine(const CombineArgs<Bf16>& args) const = 0;

  /// A token of each row. Vocabularies of up to kDrawTile * kDrawTiles.
  virtual void Draw(const DrawArgs& args) const = 0;
};

/// `backwards`: lanes of every phase in reverse order, which must change no bit.
std::unique_ptr<Kernels> HostKernels(bool backwards = false);

/// On this stream of the current device (null: the default one). Only in a build with AHA_CUDA.
std::unique_ptr<Kernels> DeviceKernels(CUstream_st* stream);

}  // namespace aha::policy::cuda
