#include "policy/kernels/cpu/buffer.h"

#include <sys/mman.h>

#include <array>
#include <cstdlib>
#include <cstring>
#include <new>

#include "policy/kernels/cpu/cpu.h"

namespace aha::policy::cpu {

Buffer::Buffer(std::size_t bytes) : size_(bytes) {
  if (bytes == 0) return;
  constexpr std::size_t kHuge = std::size_t{1} << 21;
  const std::size_t align = bytes >= kHuge ? kHuge : 64;
  const std::size_t whole = (bytes + align - 1) / align * align;
  auto* memory = static_cast<std::byte*>(std::aligned_alloc(align, whole));
  if (memory == nullptr) throw std::bad_alloc();
  bytes_.reset(memory);
  if (align == kHuge) madvise(memory, whole, MADV_HUGEPAGE);  // a wish: small pages do as well
  std::memset(memory, 0, whole);
}

void Buffer::Free::operator()(std::byte* p) const {
  std::free(p);
}

void* ThreadScratch(ScratchSlot slot, std::size_t bytes) {
  thread_local std::array<Buffer, static_cast<std::size_t>(ScratchSlot::kCount)> buffers;
  Buffer& buffer = buffers[static_cast<std::size_t>(slot)];
  if (buffer.size() < bytes) {
    buffer = Buffer();  // give back before taking more
    buffer = Buffer(bytes + bytes / 4);
  }
  return buffer.data();
}

}  // namespace aha::policy::cpu
