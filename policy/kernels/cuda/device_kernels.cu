#include <stdexcept>
#include <string>

#include "policy/kernels/cuda/device_block.h"
#include "policy/kernels/cuda/device_product.h"
#include "policy/kernels/cuda/kernels.h"

namespace aha::policy::cuda {
namespace {

template <class T>
__global__ void __launch_bounds__(kLanes) AttentionKernel(AttentionArgs<T> args) {
  extern __shared__ float memory[];
  DeviceBlock block;
  const AttentionShared<T> shared(args, memory);
  const std::int64_t heads = AttentionHeadBlocks(args);
  AttentionPart<DeviceBlock, T>(block, args, shared, blockIdx.x / heads, blockIdx.x % heads,
                                blockIdx.y)
      .Run();
}

template <class T>
__global__ void __launch_bounds__(kLanes) JoinKernel(AttentionArgs<T> args) {
  DeviceBlock block;
  JoinParts(block, args, blockIdx.x, static_cast<int>(blockIdx.y));
}

__global__ void __launch_bounds__(kLanes) DispatchKernel(DispatchArgs args) {
  __shared__ DispatchShared shared;
  DeviceBlock block;
  Dispatch(block, args, static_cast<int>(blockIdx.x), shared);
}

template <class T>
__global__ void __launch_bounds__(kLanes) GroupedKernel(GroupedArgs<T> args) {
  __shared__ GroupedShared<T> shared;
  DeviceBlock block;
  GroupedProduct<DeviceProduct<T>>(block, args, blockIdx.x, static_cast<int>(blockIdx.y), shared);
}

template <class T>
__global__ void __launch_bounds__(kLanes) CombineKernel(CombineArgs<T> args) {
  DeviceBlock block;
  Combine(block, args, blockIdx.x);
}

__global__ void __launch_bounds__(kLanes) DrawKernel(DrawArgs args) {
  __shared__ DrawShared shared;
  DeviceBlock block;
  Draw(block, args, blockIdx.x, shared);
}

void Check(cudaError_t error, const char* what) {
  if (error == cudaSuccess) return;
  throw std::runtime_error(std::string("CUDA kernel ") + what + ": " + cudaGetErrorString(error));
}

unsigned Blocks(std::int64_t count) {
  return static_cast<unsigned>(count);
}

class Device : public Kernels {
 public:
  explicit Device(cudaStream_t stream) : stream_(stream) {}

  void Attention(const AttentionArgs<float>& args) const override { AttentionOf(args); }
  void Attention(const AttentionArgs<Bf16>& args) const override { AttentionOf(args); }
  void Grouped(const GroupedArgs<float>& args) const override { GroupedOf(args); }
  void Grouped(const GroupedArgs<Bf16>& args) const override { GroupedOf(args); }
  void Combine(const CombineArgs<float>& args) const override { CombineOf(args); }
  void Combine(const CombineArgs<Bf16>& args) const override { CombineOf(args); }

  void Dispatch(const DispatchArgs& args) const override {
    DispatchKernel<<<Blocks(args.experts), kLanes, 0, stream_>>>(args);
    Check(cudaGetLastError(), "Dispatch");
  }

  void Draw(const DrawArgs& args) const override {
    if (args.rows == 0) return;
    DrawKernel<<<Blocks(args.rows), kLanes, 0, stream_>>>(args);
    Check(cudaGetLastError(), "Draw");
  }

 private:
  template <class T>
  void AttentionOf(const AttentionArgs<T>& args) const {
    if (args.tokens == 0) return;
    const std::size_t bytes = AttentionShared<T>(args, nullptr).bytes;
    Check(cudaFuncSetAttribute(AttentionKernel<T>, cudaFuncAttributeMaxDynamicSharedMemorySize,
                               static_cast<int>(bytes)),
          "Attention (shared memory)");
    const dim3 grid(Blocks(args.tokens * AttentionHeadBlocks(args)), Blocks(AttentionParts(args)));
    AttentionKernel<T><<<grid, kLanes, bytes, stream_>>>(args);
    Check(cudaGetLastError(), "Attention");
    JoinKernel<T><<<dim3(Blocks(args.tokens), Blocks(args.heads)), kLanes, 0, stream_>>>(args);
    Check(cudaGetLastError(), "Attention (join)");
  }

  template <class T>
  void GroupedOf(const GroupedArgs<T>& args) const {
    if (args.sent == 0) return;
    const dim3 grid(Blocks(GroupedRowTiles(args)), Blocks(Ceil(args.columns, kTileColumns)));
    GroupedKernel<T><<<grid, kLanes, 0, stream_>>>(args);
    Check(cudaGetLastError(), "Grouped");
  }

  template <class T>
  void CombineOf(const CombineArgs<T>& args) const {
    if (args.tokens == 0) return;
    CombineKernel<T><<<Blocks(args.tokens), kLanes, 0, stream_>>>(args);
    Check(cudaGetLastError(), "Combine");
  }

  cudaStream_t stream_;
};

}  // namespace

std::unique_ptr<Kernels> DeviceKernels(CUstream_st* stream) {
  return std::make_unique<Device>(stream);
}

}  // namespace aha::policy::cuda
