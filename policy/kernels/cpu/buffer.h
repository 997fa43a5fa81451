#pragma once
/// Aligned memory of fixed size, zeroed.

#include <cstddef>
#include <memory>
#include <utility>

namespace aha::policy::cpu {

/// 64-byte aligned; large ones lie in huge pages where the system grants them, and take memory as
/// they are touched.
class Buffer {
 public:
  Buffer() = default;
  explicit Buffer(std::size_t bytes);  ///< throws std::bad_alloc
  /// For what is made and given back together, as a policy's weights are: those that are small for
  /// a huge page share some with the buffers made before and after them, and that memory is given
  /// back with the last of these.
  static Buffer Lasting(std::size_t bytes);

  [[nodiscard]] std::byte* data() { return bytes_.get(); }
  [[nodiscard]] const std::byte* data() const { return bytes_.get(); }
  [[nodiscard]] std::size_t size() const { return size_; }

 private:
  struct Free {
    Free() : mapped(0) {}
    explicit Free(std::size_t bytes) : mapped(bytes) {}
    explicit Free(std::shared_ptr<const void> of) : mapped(0), shared(std::move(of)) {}
    std::size_t mapped;                  // bytes; 0: of the allocator
    std::shared_ptr<const void> shared;  // memory that is not this buffer's alone
    void operator()(std::byte* p) const;
  };
  std::unique_ptr<std::byte, Free> bytes_;
  std::size_t size_ = 0;
};

}  // namespace aha::policy::cpu
