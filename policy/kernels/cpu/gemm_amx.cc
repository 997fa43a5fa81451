// Matrix products on bf16 tiles: 32 rows x one panel at a time, two tiles by two. All rows go
// through tiles, also a single one, so that a row's bits do not depend on how many there are.

#include <algorithm>
#include <cstring>

#include <hwy/detect_targets.h>

#include "policy/kernels/cpu/amx_tiles.h"
#include "policy/kernels/cpu/cpu.h"
#include "policy/kernels/cpu/gemm_kernels.h"
#include "policy/kernels/cpu/ops_kernels.h"

namespace aha::policy::cpu {
#if defined(__x86_64__)
namespace {

constexpr std::size_t kPanel = PackedMatrix::kPanel;
constexpr std::size_t kTileRows = 32;
constexpr std::size_t kBlockBytes = std::size_t{1} << 18;

// Rows of x, whole tiles of them, K padded as W's is.
struct Staged {
  const Bf16* data;
  std::size_t stride;
};

Staged Stage(const GemmCall& call, std::size_t row, std::size_t rows) {
  const std::size_t k = call.w->k();
  const std::size_t wide = call.w->padded_k();
  const Bf16* x = static_cast<const Bf16*>(call.x) + row * call.x_stride;
  if (rows % kTileRows == 0 && k == wide) return {x, call.x_stride};
  const std::size_t whole = (rows + kTileRows - 1) / kTileRows * kTileRows;
  auto* copy = static_cast<Bf16*>(ThreadScratch(ScratchSlot::kRows, whole * wide * sizeof(Bf16)));
  std::memset(copy, 0, whole * wide * sizeof(Bf16));
  for (std::size_t r = 0; r < rows; ++r)
    std::memcpy(copy + r * wide, x + r * call.x_stride, k * sizeof(Bf16));
  return {copy, wide};
}

// sums [32][32] (+)= 32 rows of x against one panel.
template <class Tiles>
void PanelProduct(Tiles& tiles,
                  const Bf16* x,
                  std::size_t stride,
                  const std::byte* panel,
                  std::size_t padded_k,
                  bool add,
                  float* sums) {
  const std::size_t row = kPanel * sizeof(float);
  float* lower = sums + 16 * kPanel;
  if (add) {
    tiles.template Load<0>(sums, row);
    tiles.template Load<1>(sums + 16, row);
    tiles.template Load<2>(lower, row);
    tiles.template Load<3>(lower + 16, row);
  } else {
    tiles.template Zero<0>();
    tiles.template Zero<1>();
    tiles.template Zero<2>();
    tiles.template Zero<3>();
  }
  for (std::size_t k = 0; k < padded_k; k += 32) {
    const std::byte* w = panel + k * kPanel * sizeof(Bf16);
    tiles.template Load<4>(x + k, stride * sizeof(Bf16));
    tiles.template Load<6>(w, kPanel * 4);
    tiles.template Load<7>(w + 64, kPanel * 4);
    tiles.template Load<5>(x + 16 * stride + k, stride * sizeof(Bf16));
    tiles.template Dot<0, 4, 6>();
    tiles.template Dot<1, 4, 7>();
    tiles.template Dot<2, 5, 6>();
    tiles.template Dot<3, 5, 7>();
  }
  tiles.template Store<0>(sums, row);
  tiles.template Store<1>(sums + 16, row);
  tiles.template Store<2>(lower, row);
  tiles.template Store<3>(lower + 16, row);
}

template <class Out>
void Finish(const GemmCall& call,
            const float* sums,
            std::size_t row,
            std::size_t rows,
            std::size_t panel,
            const OpsKernels& ops) {
  const std::size_t column = panel * kPanel;
  const std::size_t columns = std::min(kPanel, call.n - column);
  for (std::size_t r = 0; r < rows; ++r) {
    Out* y = static_cast<Out*>(call.y) + (row + r) * call.y_stride + column;
    ops.finish(sums + r * kPanel, call.bias == nullptr ? nullptr : call.bias + column, columns,
               std::is_same_v<Out, Bf16>, y);
  }
}

template <class Tiles, class Out, bool swiglu>
void Gemm(const GemmCall& call) {
  const OpsKernels& ops = OpsKernelsFor(KernelTarget::kAvx512Bf16);
  const PackedMatrix& w = *call.w;
  const std::size_t wide = w.padded_k();
  const std::size_t block =
      std::max(kTileRows, kBlockBytes / (wide * sizeof(Bf16)) / kTileRows * kTileRows);
  auto* sums = static_cast<float*>(
      ThreadScratch(ScratchSlot::kTile, 2 * kTileRows * kPanel * sizeof(float)));
  Tiles tiles;
  for (std::size_t start = 0; start < call.rows; start += block) {
    const std::size_t rows = std::min(block, call.rows - start);
    const Staged x = Stage(call, start, rows);
    for (std::size_t p = call.panel_begin; p < call.panel_end; ++p) {
      for (std::size_t t = 0; t < rows; t += kTileRows) {
        const std::size_t here = std::min(kTileRows, rows - t);
        const Bf16* from = x.data + t * x.stride;
        if constexpr (swiglu) {
          float* up = sums + kTileRows * kPanel;
          PanelProduct(tiles, from, x.stride, w.panel(2 * p), wide, false, sums);
          PanelProduct(tiles, from, x.stride, w.panel(2 * p + 1), wide, false, up);
          for (std::size_t r = 0; r < here; ++r) {
            auto* y = static_cast<Bf16*>(call.y) + (start + t + r) * call.y_stride + p * kPanel;
            ops.swiglu_row_bf16(sums + r * kPanel, up + r * kPanel,
                                std::min(kPanel, call.n - p * kPanel), y);
          }
        } else {
          if (call.add) {
            std::memset(sums, 0, kTileRows * kPanel * sizeof(float));
            const std::size_t columns = std::min(kPanel, call.n - p * kPanel);
            for (std::size_t r = 0; r < here; ++r) {
              std::memcpy(
                  sums + r * kPanel,
                  static_cast<const float*>(call.y) + (start + t + r) * call.y_stride + p * kPanel,
                  columns * 4);
            }
          }
          PanelProduct(tiles, from, x.stride, w.panel(p), wide, call.add, sums);
          Finish<Out>(call, sums, start + t, here, p, ops);
        }
      }
    }
  }
}

template <class Tiles>
const GemmKernels& Table() {
  static const GemmKernels table = {Gemm<Tiles, Bf16, false>, Gemm<Tiles, float, false>,
                                    GemmKernelsFor(KernelTarget::kAvx512Bf16).fp32,
                                    Gemm<Tiles, Bf16, true>,
                                    GemmKernelsFor(KernelTarget::kAvx512Bf16).fp32_swiglu};
  return table;
}

}  // namespace

const GemmKernels& AmxGemmKernels(bool model);
const GemmKernels& AmxGemmKernels(bool model) {
  return model ? Table<ModelTiles>() : Table<HardwareTiles>();
}
#endif
}  // namespace aha::policy::cpu
