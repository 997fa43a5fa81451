#include "policy/kernels/cpu/buffer.h"

#include <sys/mman.h>

#include <array>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <new>

#include "policy/kernels/cpu/cpu.h"

namespace aha::policy::cpu {

namespace {

constexpr std::size_t kHuge = std::size_t{1} << 21;

std::size_t Whole(std::size_t bytes) {
  return (bytes + kHuge - 1) / kHuge * kHuge;
}

// Zero pages of the system, given when they are touched, from a multiple of kHuge on.
std::byte* Map(std::size_t whole) {
  void* memory =
      mmap(nullptr, whole + kHuge, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) throw std::bad_alloc();
  auto* start = static_cast<std::byte*>(memory);
  const std::size_t before = (kHuge - reinterpret_cast<std::uintptr_t>(start) % kHuge) % kHuge;
  if (before > 0) munmap(start, before);
  munmap(start + before + whole, kHuge - before);
  madvise(start + before, whole, MADV_HUGEPAGE);  // a wish: small pages do as well
  return start + before;
}

}  // namespace

Buffer::Buffer(std::size_t bytes) : size_(bytes) {
  if (bytes == 0) return;
  if (bytes > std::numeric_limits<std::size_t>::max() / 2) throw std::bad_alloc();
  if (bytes >= kHuge) {
    bytes_ = {Map(Whole(bytes)), Free{Whole(bytes)}};
    return;
  }
  const std::size_t whole = (bytes + 63) / 64 * 64;
  auto* memory = static_cast<std::byte*>(std::aligned_alloc(64, whole));
  if (memory == nullptr) throw std::bad_alloc();
  bytes_ = {memory, Free{0}};
  std::memset(memory, 0, whole);
}

void Buffer::Free::operator()(std::byte* p) const {
  if (mapped > 0) {
    munmap(p, mapped);
  } else {
    std::free(p);
  }
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
