#include "base/peak_memory.h"

#include <sys/resource.h>

namespace aha {

std::uint64_t PeakMemoryBytes() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return static_cast<std::uint64_t>(usage.ru_maxrss) * 1024;
}

}  // namespace aha
