#pragma once
/// What the processes of a run use, from /proc.

#include <sys/types.h>

#include <cstdint>

namespace aha::keeper {

struct Usage {
  std::uint64_t memory = 0;  ///< bytes: anonymous, shared and swapped pages
  std::uint64_t cpu_ms = 0;  ///< with children that have been waited for
};

/// Sums over all processes that descend from this one. In a process namespace of our own /proc
/// shows no others.
Usage Measure();

}  // namespace aha::keeper
