#pragma once
/// Memory that a pass hands out front to back and takes back all at once: grown when a bigger batch
/// comes, else no call of the allocator.

#include <cstddef>
#include <vector>

#include "policy/kernels/cpu/buffer.h"
#include "policy/kernels/cpu/numbers.h"

namespace aha::policy {

class Workspace {
 public:
  /// Uninitialised numbers, 64-byte aligned, until `Reset` or the `Release` of an earlier mark.
  template <class T>
  T* Take(std::size_t count) {
    return static_cast<T*>(TakeBytes(count * sizeof(T)));
  }
  template <class T>
  cpu::Rows<T> TakeRows(std::size_t rows, std::size_t width) {
    return {Take<T>(rows * width), rows, width};
  }

  struct Mark {
    std::size_t block = 0, used = 0;
  };
  [[nodiscard]] Mark mark() const { return at_; }
  /// Takes back everything handed out since.
  void Release(Mark mark) { at_ = mark; }
  /// Takes back everything; blocks that were added as a pass ran become one.
  void Reset();

  /// Bytes that were taken from the system, and those handed out since the last Reset.
  [[nodiscard]] std::size_t size() const;
  [[nodiscard]] std::size_t used() const;

 private:
  void* TakeBytes(std::size_t bytes);
  std::vector<cpu::Buffer> blocks_;
  Mark at_;
};

}  // namespace aha::policy
