#include <vector>

#include "policy/kernels/cuda/host_block.h"
#include "policy/kernels/cuda/kernels.h"

namespace aha::policy::cuda {
namespace {

// A tile's product, each sum one chain of fused additions. (Tensor cores round sums of bf16
// products in an order of their own.)
struct HostProduct {
  std::vector<float> sums = std::vector<float>(kTileRows * kTileColumns, 0);

  template <class T>
  void Multiply(HostBlock&, const GroupedShared<T>& shared) {
    for (int i = 0; i < kTileRows * kTileColumns; ++i) {
      if (shared.source[i / kTileColumns] < 0) continue;  // a row of zeros
      const T* x = shared.x + i / kTileColumns * kTileStride;
      const T* weight = shared.weight + i % kTileColumns * kTileStride;
      float& sum = sums[static_cast<std::size_t>(i)];
      for (int k = 0; k < kTileInner; ++k)
        sum = fmaf(Widen(x[k]), Widen(weight[k]), sum);
    }
  }
  template <class T>
  void Leave(HostBlock&, GroupedShared<T>& shared) const {
    for (int i = 0; i < kTileRows * kTileColumns; ++i)
      shared.out[i / kTileColumns * kTileOut + i % kTileColumns] =
          sums[static_cast<std::size_t>(i)];
  }
};

class Host : public Kernels {
 public:
  explicit Host(bool backwards) : block_{backwards} {}

  void Attention(const AttentionArgs<float>& args) const override { AttentionOf(args); }
  void Attention(const AttentionArgs<Bf16>& args) const override { AttentionOf(args); }
  void Grouped(const GroupedArgs<float>& args) const override { GroupedOf(args); }
  void Grouped(const GroupedArgs<Bf16>& args) const override { GroupedOf(args); }
  void Combine(const CombineArgs<float>& args) const override { CombineOf(args); }
  void Combine(const CombineArgs<Bf16>& args) const override { CombineOf(args); }

  void Dispatch(const DispatchArgs& args) const override {
    HostBlock block = block_;
    DispatchShared shared;
    for (int expert = 0; expert < args.experts; ++expert)
      cuda::Dispatch(block, args, expert, shared);
  }

  void Draw(const DrawArgs& args) const override {
    HostBlock block = block_;
    const auto shared = std::make_unique<DrawShared>();
    for (std::int64_t row = 0; row < args.rows; ++row)
      cuda::Draw(block, args, row, *shared);
  }

 private:
  template <class T>
  void AttentionOf(const AttentionArgs<T>& args) const {
    HostBlock block = block_;
    std::vector<float> memory(AttentionShared<T>(args, nullptr).bytes / sizeof(float) + 1);
    const AttentionShared<T> shared(args, memory.data());
    for (std::int64_t token = 0; token < args.tokens; ++token) {
      for (std::int64_t part = 0; part < AttentionParts(args); ++part) {
        for (std::int64_t heads = 0; heads < AttentionHeadBlocks(args); ++heads)
          AttentionPart<HostBlock, T>(block, args, shared, token, heads, part).Run();
      }
      for (int head = 0; head < args.heads; ++head)
        JoinParts(block, args, token, head);
    }
  }

  template <class T>
  void GroupedOf(const GroupedArgs<T>& args) const {
    HostBlock block = block_;
    const auto shared = std::make_unique<GroupedShared<T>>();
    for (std::int64_t tile = 0; tile < GroupedRowTiles(args); ++tile) {
      for (int column = 0; column * kTileColumns < args.columns; ++column)
        GroupedProduct<HostProduct>(block, args, tile, column, *shared);
    }
  }

  template <class T>
  void CombineOf(const CombineArgs<T>& args) const {
    HostBlock block = block_;
    for (std::int64_t token = 0; token < args.tokens; ++token)
      cuda::Combine(block, args, token);
  }

  HostBlock block_;
};

}  // namespace

std::unique_ptr<Kernels> HostKernels(bool backwards) {
  return std::make_unique<Host>(backwards);
}

}  // namespace aha::policy::cuda
