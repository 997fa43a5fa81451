#include "policy/kernels/cpu/buffer.h"

#include <sys/mman.h>

#include <array>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <mutex>
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

// Memory for lasting buffers, given out from its start to its end and never again.
class Slab {
 public:
  static constexpr std::size_t kBytes = 4 * kHuge;

  Slab() : memory_(Map(kBytes)) {}
  ~Slab() { munmap(memory_, kBytes); }
  Slab(const Slab&) = delete;
  Slab& operator=(const Slab&) = delete;

  // Null when there is too little left.
  std::byte* Take(std::size_t bytes) {
    if (kBytes - used_ < bytes) return nullptr;
    std::byte* taken = memory_ + used_;
    used_ += (bytes + 63) / 64 * 64;
    return taken;
  }

 private:
  std::byte* memory_;
  std::size_t used_ = 0;
};

// The slab that is being filled, for as long as a buffer lies in it.
std::mutex filling_mutex;
std::weak_ptr<Slab> filling;

}  // namespace

Buffer::Buffer(std::size_t bytes) : size_(bytes) {
  if (bytes == 0) return;
  if (bytes > std::numeric_limits<std::size_t>::max() / 2) throw std::bad_alloc();
  if (bytes >= kHuge) {
    bytes_ = {Map(Whole(bytes)), Free(Whole(bytes))};
    return;
  }
  const std::size_t whole = (bytes + 63) / 64 * 64;
  auto* memory = static_cast<std::byte*>(std::aligned_alloc(64, whole));
  if (memory == nullptr) throw std::bad_alloc();
  bytes_ = {memory, Free()};
  std::memset(memory, 0, whole);
}

Buffer Buffer::Lasting(std::size_t bytes) {
  constexpr std::size_t kLeast = std::size_t{1} << 16;  // below, the allocator does as well
  if (bytes < kLeast || bytes >= kHuge) return Buffer(bytes);
  const std::lock_guard lock(filling_mutex);
  std::shared_ptr<Slab> slab = filling.lock();
  std::byte* memory = slab ? slab->Take(bytes) : nullptr;
  if (memory == nullptr) {
    slab = std::make_shared<Slab>();
    filling = slab;
    memory = slab->Take(bytes);
  }
  Buffer buffer;
  buffer.bytes_ = {memory, Free(std::move(slab))};
  buffer.size_ = bytes;
  return buffer;
}

void Buffer::Free::operator()(std::byte* p) const {
  if (shared) return;
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
