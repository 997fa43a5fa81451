#pragma once
/// A sample grows by a token and is over or not: by its stop ids, by stop strings in the bytes that
/// its tokens make, by its length.

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

/// A token drawn with weights `version` joins sample number `sample`: written down, its finish
/// found, the request's `on_token` told. `stops`: of a sample with stop strings, else none.
void AddToken(const Request& request,
              std::uint32_t sample,
              std::int32_t id,
              float logprob,
              std::uint64_t version,
              std::optional<StopStrings>& stops,
              SampleOutcome& out);

}  // namespace aha::rollout
