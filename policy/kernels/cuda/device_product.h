#pragma once
/// A tile's product on a GPU: for .cu files. bf16 goes through the tensor cores (mma of sm_80 and
/// later), fp32 through fused additions, each sum one chain as on the host.

#include <cuda_bf16.h>
#include <mma.h>

#include "policy/kernels/cuda/device_block.h"
#include "policy/kernels/cuda/experts.h"

namespace aha::policy::cuda {

template <class T>
class DeviceProduct;

/// Eight warps; each keeps two of the sixteen 16 x 16 squares, side by side.
template <>
class DeviceProduct<Bf16> {
 public:
  __device__ DeviceProduct() {
    for (auto& square : squares_)
      nvcuda::wmma::fill_fragment(square, 0.0F);
  }

  __device__ void Multiply(DeviceBlock&, const GroupedShared<Bf16>& shared) {
    using namespace nvcuda::wmma;
    fragment<matrix_a, 16, 16, 16, __nv_bfloat16, row_major> x;
    fragment<matrix_b, 16, 16, 16, __nv_bfloat16, col_major> weight;
    for (int k = 0; k < kTileInner; k += 16) {
      load_matrix_sync(x, At(shared.x + Row() * kTileStride + k), kTileStride);
      for (int s = 0; s < 2; ++s) {
        load_matrix_sync(weight, At(shared.weight + Column(s) * kTileStride + k), kTileStride);
        mma_sync(squares_[s], x, weight, squares_[s]);
      }
    }
    __syncthreads();
  }

  __device__ void Leave(DeviceBlock&, GroupedShared<Bf16>& shared) const {
    for (int s = 0; s < 2; ++s) {
      nvcuda::wmma::store_matrix_sync(shared.out + Row() * kTileOut + Column(s), squares_[s],
                                      kTileOut, nvcuda::wmma::mem_row_major);
    }
    __syncthreads();
  }

 private:
  static __device__ int Row() { return SquareRow(static_cast<int>(threadIdx.x)); }
  static __device__ int Column(int s) { return SquareColumn(static_cast<int>(threadIdx.x), s); }
  static __device__ const __nv_bfloat16* At(const Bf16* x) {
    return reinterpret_cast<const __nv_bfloat16*>(x);
  }

  nvcuda::wmma::fragment<nvcuda::wmma::accumulator, 16, 16, 16, float> squares_[2];
};

/// Each thread keeps 4 x 4 sums.
template <>
class DeviceProduct<float> {
 public:
  __device__ void Multiply(DeviceBlock&, const GroupedShared<float>& shared) {
    for (int k = 0; k < kTileInner; ++k) {
      for (int r = 0; r < 4; ++r) {
        for (int c = 0; c < 4; ++c) {
          sums_[r][c] = fmaf(shared.x[(Row() + r) * kTileStride + k],
                             shared.weight[(Column() + c) * kTileStride + k], sums_[r][c]);
        }
      }
    }
    __syncthreads();
  }

  __device__ void Leave(DeviceBlock&, GroupedShared<float>& shared) const {
    for (int r = 0; r < 4; ++r) {
      for (int c = 0; c < 4; ++c)
        shared.out[(Row() + r) * kTileOut + Column() + c] = sums_[r][c];
    }
    __syncthreads();
  }

 private:
  static __device__ int Row() { return ThreadRow(static_cast<int>(threadIdx.x)); }
  static __device__ int Column() { return ThreadColumn(static_cast<int>(threadIdx.x)); }

  float sums_[4][4] = {};
};

}  // namespace aha::policy::cuda
