#include "policy/kernels/cpu/packed_matrix.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <type_traits>

namespace aha::policy::cpu {
namespace {

constexpr std::size_t kPanel = PackedMatrix::kPanel;

std::size_t PaddedK(std::size_t k, NumberKind kind) {
  return kind == NumberKind::kBf16 ? (k + 31) / 32 * 32 : k;
}

// Place of element (lane, k) in a panel.
std::size_t PlaceBf16(std::size_t lane, std::size_t k) {
  return (k / 2 * kPanel + lane) * 2 + k % 2;
}
std::size_t PlaceFp32(std::size_t lane, std::size_t k) {
  return k * kPanel + lane;
}

Bf16 Rounded(float x) {
  return ToBf16(x);
}
Bf16 Rounded(Bf16 x) {
  return x;
}

// Rows of W into lanes [lane, ...) of a panel, some columns of each at a time: their places in the
// panel then stay in the nearest cache until every lane is written.
constexpr std::size_t kColumnsAtOnce = 64;

template <class T>
void PackLanesBf16(std::byte* panel, std::size_t lane, const Rows<const T>& rows) {
  for (std::size_t first = 0; first < rows.width; first += kColumnsAtOnce) {
    const std::size_t last = std::min(rows.width, first + kColumnsAtOnce);
    for (std::size_t i = 0; i < rows.count; ++i) {
      const T* from = rows[i];
      std::byte* to = panel + PlaceBf16(lane + i, 0) * sizeof(Bf16);
      for (std::size_t k = first; k < last; k += 2) {
        const std::array pair = {Rounded(from[k]), k + 1 < last ? Rounded(from[k + 1]) : Bf16{0}};
        std::memcpy(to + k * kPanel * sizeof(Bf16), pair.data(), sizeof(pair));
      }
    }
  }
}

template <class T>
void PackLanesFp32(std::byte* panel, std::size_t lane, const Rows<const T>& rows) {
  auto* to = reinterpret_cast<float*>(panel);
  for (std::size_t first = 0; first < rows.width; first += kColumnsAtOnce) {
    const std::size_t last = std::min(rows.width, first + kColumnsAtOnce);
    for (std::size_t i = 0; i < rows.count; ++i) {
      for (std::size_t k = first; k < last; ++k)
        to[PlaceFp32(lane + i, k)] = ToFloat(rows[i][k]);
    }
  }
}

// Two columns that are a pair, of one panel: whole words.
void PackPair(const Bf16* even, const Bf16* odd, std::size_t lanes, Bf16* to) {
  for (std::size_t lane = 0; lane < lanes; ++lane) {
    const std::uint32_t pair = std::uint32_t{even[lane].bits} | std::uint32_t{odd[lane].bits} << 16;
    std::memcpy(to + 2 * lane, &pair, sizeof(pair));
  }
}

}  // namespace

PackedMatrix::PackedMatrix(std::size_t n, std::size_t k, NumberKind kind)
    : n_(n),
      k_(k),
      padded_k_(PaddedK(k, kind)),
      kind_(kind),
      memory_(Buffer::Lasting(panels() * panel_bytes())) {}

template <class T>
void PackedMatrix::PackRows(std::size_t first, const Rows<const T>& rows) {
  for (std::size_t i = 0; i < rows.count;) {
    const std::size_t lane = (first + i) % kPanel;
    const std::size_t lanes = std::min(kPanel - lane, rows.count - i);
    std::byte* panel = memory_.data() + (first + i) / kPanel * panel_bytes();
    const Rows<const T> some(rows[i], lanes, k_, rows.stride);
    kind_ == NumberKind::kBf16 ? PackLanesBf16(panel, lane, some)
                               : PackLanesFp32(panel, lane, some);
    i += lanes;
  }
}

template <class T>
void PackedMatrix::UnpackRows(std::size_t first, const Rows<T>& rows) const {
  for (std::size_t i = 0; i < rows.count; ++i) {
    const std::size_t row = first + i;
    const std::size_t lane = row % kPanel;
    T* to = rows[i];
    const std::byte* from = panel(row / kPanel);
    if (kind_ == NumberKind::kBf16) {
      const auto* w = reinterpret_cast<const Bf16*>(from);
      for (std::size_t k = 0; k < k_; ++k)
        to[k] = FromFloat<T>(ToFloat(w[PlaceBf16(lane, k)]));
    } else {
      const auto* w = reinterpret_cast<const float*>(from);
      for (std::size_t k = 0; k < k_; ++k)
        to[k] = FromFloat<T>(w[PlaceFp32(lane, k)]);
    }
  }
}

void PackedMatrix::Pack(std::size_t first, Rows<const float> rows) {
  PackRows(first, rows);
}
void PackedMatrix::Pack(std::size_t first, Rows<const Bf16> rows) {
  PackRows(first, rows);
}
template <class T>
void PackedMatrix::PackEachColumn(std::size_t first, const Rows<const T>& rows) {
  for (std::size_t i = 0; i < rows.count; ++i) {
    const T* from = rows[i];
    if constexpr (std::is_same_v<T, Bf16>) {
      if (kind_ == NumberKind::kBf16 && (first + i) % 2 == 0 && i + 1 < rows.count) {
        for (std::size_t n0 = 0; n0 < n_; n0 += kPanel) {
          std::byte* panel = memory_.data() + n0 / kPanel * panel_bytes();
          PackPair(from + n0, rows[i + 1] + n0, std::min(kPanel, n_ - n0),
                   reinterpret_cast<Bf16*>(panel) + PlaceBf16(0, first + i));
        }
        ++i;
        continue;
      }
    }
    for (std::size_t n0 = 0; n0 < n_; n0 += kPanel) {
      std::byte* panel = memory_.data() + n0 / kPanel * panel_bytes();
      const std::size_t lanes = std::min(kPanel, n_ - n0);
      if (kind_ == NumberKind::kBf16) {
        auto* to = reinterpret_cast<Bf16*>(panel) + PlaceBf16(0, first + i);
        for (std::size_t lane = 0; lane < lanes; ++lane)
          to[2 * lane] = Rounded(from[n0 + lane]);
      } else {
        auto* to = reinterpret_cast<float*>(panel) + PlaceFp32(0, first + i);
        for (std::size_t lane = 0; lane < lanes; ++lane)
          to[lane] = ToFloat(from[n0 + lane]);
      }
    }
  }
}
void PackedMatrix::PackColumns(std::size_t first, Rows<const float> rows) {
  PackEachColumn(first, rows);
}
void PackedMatrix::PackColumns(std::size_t first, Rows<const Bf16> rows) {
  PackEachColumn(first, rows);
}

void PackedMatrix::Unpack(std::size_t first, Rows<float> rows) const {
  UnpackRows(first, rows);
}
void PackedMatrix::Unpack(std::size_t first, Rows<Bf16> rows) const {
  UnpackRows(first, rows);
}

void PackedMatrix::PackTransposed(const PackedMatrix& source) {
  // A square of 32 x 32 at a time: both its panels stay in the nearest cache.
  const auto move = [&](auto zero, auto place) {
    using T = decltype(zero);
    for (std::size_t n0 = 0; n0 < source.n(); n0 += kPanel) {
      const auto* from = reinterpret_cast<const T*>(source.panel(n0 / kPanel));
      const std::size_t lanes = std::min(kPanel, source.n() - n0);
      for (std::size_t k0 = 0; k0 < source.k(); k0 += kPanel) {
        auto* to = reinterpret_cast<T*>(memory_.data() + k0 / kPanel * panel_bytes());
        const std::size_t columns = std::min(kPanel, source.k() - k0);
        for (std::size_t lane = 0; lane < lanes; ++lane) {
          for (std::size_t k = 0; k < columns; ++k)
            to[place(k, n0 + lane)] = from[place(lane, k0 + k)];
        }
      }
    }
  };
  if (kind_ == NumberKind::kBf16) {
    move(Bf16{}, PlaceBf16);
  } else {
    move(0.0F, PlaceFp32);
  }
}

PackedGateUp::PackedGateUp(std::size_t intermediate, std::size_t k, NumberKind kind)
    : intermediate_(intermediate),
      both_((intermediate + kPanel - 1) / kPanel * 2 * kPanel, k, kind) {}

template <class T>
void PackedGateUp::Pack(Half half, std::size_t first, Rows<const T> rows) {
  EachRun(first, rows.count, [&](std::size_t i, std::size_t count) {
    both_.Pack(RowOf(half, first + i), Rows<const T>(rows[i], count, rows.width, rows.stride));
  });
}
template <class T>
void PackedGateUp::Unpack(Half half, std::size_t first, Rows<T> rows) const {
  for (std::size_t i = 0; i < rows.count; ++i)
    both_.Unpack(RowOf(half, first + i), Rows<T>(rows[i], 1, rows.width));
}
template void PackedGateUp::Pack<float>(Half, std::size_t, Rows<const float>);
template void PackedGateUp::Pack<Bf16>(Half, std::size_t, Rows<const Bf16>);
template void PackedGateUp::Unpack<float>(Half, std::size_t, Rows<float>) const;
template void PackedGateUp::Unpack<Bf16>(Half, std::size_t, Rows<Bf16>) const;

}  // namespace aha::policy::cpu
