#pragma once

#include <cstdint>

namespace aha {

/// The most memory that this process has held at once since it started, in bytes (getrusage(2),
/// ru_maxrss). Mapped files count as far as they were in memory.
std::uint64_t PeakMemoryBytes();

}  // namespace aha
