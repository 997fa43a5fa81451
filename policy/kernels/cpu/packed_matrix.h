#pragma once
/// Weights in the one form that matrix products read: packed once, written in place, unpacked for
/// files.
///
/// Shapes: a matrix is [N, K], N outputs, K inputs (the layout of Hugging Face's files).

#include <cstddef>
#include <cstdint>
#include <span>

#include "policy/kernels/cpu/buffer.h"
#include "policy/kernels/cpu/numbers.h"

namespace aha::policy::cpu {

enum class NumberKind : std::uint8_t { kBf16, kFp32 };

/// Panels of 32 rows of W. Inside a panel k runs slowest; bf16 holds pairs of k side by side
/// ([K/2][32][2], K padded with zeros to a multiple of 32), fp32 is [K][32]. Rows beyond N are
/// zero. The form is the same for every kernel target.
class PackedMatrix {
 public:
  static constexpr std::size_t kPanel = 32;

  PackedMatrix() = default;
  /// All zero.
  PackedMatrix(std::size_t n, std::size_t k, NumberKind kind);

  [[nodiscard]] std::size_t n() const { return n_; }
  [[nodiscard]] std::size_t k() const { return k_; }
  [[nodiscard]] std::size_t padded_k() const { return padded_k_; }
  [[nodiscard]] NumberKind kind() const { return kind_; }
  [[nodiscard]] std::size_t panels() const { return (n_ + kPanel - 1) / kPanel; }
  [[nodiscard]] std::size_t panel_bytes() const {
    return padded_k_ * kPanel * (kind_ == NumberKind::kBf16 ? 2 : 4);
  }
  [[nodiscard]] const std::byte* panel(std::size_t p) const {
    return memory_.data() + p * panel_bytes();
  }
  [[nodiscard]] std::size_t bytes() const { return memory_.size(); }

  /// Overwrites rows [first, first + rows.count) of W; fp32 into bf16 rounds to nearest even.
  /// Several matrices stacked in one (q, k and v) are packed one after the other. Different rows
  /// may be packed by different threads as long as none share a panel.
  void Pack(std::size_t first, Rows<const float> rows);
  void Pack(std::size_t first, Rows<const Bf16> rows);
  void Unpack(std::size_t first, Rows<float> rows) const;
  void Unpack(std::size_t first, Rows<Bf16> rows) const;

  /// Overwrites columns [first, first + rows.count): column i takes the numbers of row i of `rows`
  /// [.., N].
  void PackColumns(std::size_t first, Rows<const float> rows);
  void PackColumns(std::size_t first, Rows<const Bf16> rows);

  /// Overwrites this [K, N] with the transpose of `source` [N, K] of the same kind: what dX = dY W
  /// reads.
  void PackTransposed(const PackedMatrix& source);

 private:
  template <class T>
  void PackRows(std::size_t first, const Rows<const T>& rows);
  template <class T>
  void PackEachColumn(std::size_t first, const Rows<const T>& rows);
  template <class T>
  void UnpackRows(std::size_t first, const Rows<T>& rows) const;

  std::size_t n_ = 0, k_ = 0, padded_k_ = 0;
  NumberKind kind_ = NumberKind::kBf16;
  Buffer memory_;
};

/// Gate and up projections [I, K] each, panels of the two alternating, so that one pass makes
/// silu(gate) * up.
class PackedGateUp {
 public:
  PackedGateUp() = default;
  PackedGateUp(std::size_t intermediate, std::size_t k, NumberKind kind);

  [[nodiscard]] std::size_t intermediate() const { return intermediate_; }
  [[nodiscard]] std::size_t k() const { return both_.k(); }
  [[nodiscard]] const PackedMatrix& both() const { return both_; }

  enum class Half : std::uint8_t { kGate, kUp };
  /// Overwrites rows from `first` on of one half, as PackedMatrix::Pack.
  template <class T>
  void Pack(Half half, std::size_t first, Rows<const T> rows);
  template <class T>
  void Unpack(Half half, std::size_t first, Rows<T> rows) const;
  /// f(i, count) for runs of rows [first + i, first + i + count) of a half that lie side by side.
  template <class F>
  static void EachRun(std::size_t first, std::size_t rows, const F& f) {
    constexpr std::size_t kPanel = PackedMatrix::kPanel;
    for (std::size_t i = 0; i < rows;) {
      const std::size_t left = kPanel - (first + i) % kPanel;
      const std::size_t count = rows - i < left ? rows - i : left;
      f(i, count);
      i += count;
    }
  }
  /// Row of `both()` that row i of a half is.
  static std::size_t RowOf(Half half, std::size_t i) {
    return (i / PackedMatrix::kPanel * 2 + (half == Half::kUp ? 1 : 0)) * PackedMatrix::kPanel +
           i % PackedMatrix::kPanel;
  }

 private:
  std::size_t intermediate_ = 0;
  PackedMatrix both_;
};

}  // namespace aha::policy::cpu
