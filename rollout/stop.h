#pragma once
/// Whether a sample is over: its stop ids, and stop strings in the bytes that its tokens make.

#include <cstddef>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "rollout/request.h"

namespace aha::rollout {

/// Looks for strings in bytes that come in pieces, across the borders of pieces. Holds as many
/// bytes as the longest string needs.
class StopStrings {
 public:
  /// `strings` are borrowed; the decoder is this sample's own.
  StopStrings(std::span<const std::string> strings, std::unique_ptr<TextDecoder> decoder);

  /// The string that this token completes, the one that ends first, then the first listed.
  std::optional<std::size_t> Push(std::int32_t id);

 private:
  std::span<const std::string> strings_;
  std::unique_ptr<TextDecoder> decoder_;
  std::size_t longest_ = 0;
  std::string bytes_;
};

}  // namespace aha::rollout
