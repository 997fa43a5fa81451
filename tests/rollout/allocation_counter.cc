#include "tests/rollout/allocation_counter.h"

#include <atomic>

namespace {
std::atomic<std::size_t> count{0};
}

std::size_t AllocationCount() {
  return count.load();
}

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
bool AllocationsAreCounted() {
  return false;
}
#else
bool AllocationsAreCounted() {
  return true;
}

// glibc's own, under names that stay when malloc is replaced.
extern "C" {
void* __libc_malloc(std::size_t size);
void* __libc_calloc(std::size_t number, std::size_t size);
void* __libc_realloc(void* p, std::size_t size);
void* __libc_memalign(std::size_t align, std::size_t size);

void* malloc(std::size_t size) {
  count.fetch_add(1);
  return __libc_malloc(size);
}
void* calloc(std::size_t number, std::size_t size) {
  count.fetch_add(1);
  return __libc_calloc(number, size);
}
void* realloc(void* p, std::size_t size) {
  count.fetch_add(1);
  return __libc_realloc(p, size);
}
void* aligned_alloc(std::size_t align, std::size_t size) {
  count.fetch_add(1);
  return __libc_memalign(align, size);
}
}
#endif
