#pragma once
/// Counts calls of malloc and its relatives in this program; operator new is one of them.

#include <cstddef>

/// How many there were; nothing under a sanitizer, which has an allocator of its own.
std::size_t AllocationCount();
bool AllocationsAreCounted();
