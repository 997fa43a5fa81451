#pragma once
/// Aligned memory of fixed size, zeroed.

#include <cstddef>
#include <memory>

namespace aha::policy::cpu {

/// 64-byte aligned; large ones lie in huge pages where the system grants them, and take memory as
/// they are touched.
class Buffer {
 public:
  Buffer() = default;
  explicit Buffer(std::size_t bytes);  ///< throws std::bad_alloc

  [[nodiscard]] std::byte* data() { return bytes_.get(); }
  [[nodiscard]] const std::byte* data() const { return bytes_.get(); }
  [[nodiscard]] std::size_t size() const { return size_; }

 private:
  struct Free {
    Free() : mapped(0) {}
    explicit Free(std::size_t bytes) : mapped(bytes) {}
    std::size_t mapped;  // bytes; 0: of the allocator
    void operator()(std::byte* p) const;
  };
  std::unique_ptr<std::byte, Free> bytes_;
  std::size_t size_ = 0;
};

}  // namespace aha::policy::cpu
