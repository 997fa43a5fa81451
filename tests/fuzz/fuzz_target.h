#pragma once
/// What a target defines: under libFuzzer it is called with its inputs, in the ordinary tests with
/// the corpus and some mutations of it (driver.cc).

#include <cstddef>
#include <cstdint>
#include <cstdlib>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

namespace aha::fuzz {

/// A promise that no input may break.
inline void Demand(bool kept) {
  if (!kept) std::abort();
}

}  // namespace aha::fuzz
