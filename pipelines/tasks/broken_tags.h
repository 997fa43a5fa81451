#pragma once
/// Completions whose tags are not as the format asks: what a base model has seen of the web's.

#include <optional>
#include <string>

#include "base/keyed_random.h"

namespace aha::pipelines {

/// What stands between the tags of a completion.
struct TaggedParts {
  std::optional<std::string> thought;  ///< unset: no think block at all
  std::string answer;
};

/// The parts in tags: the think block, if any, then the answer.
std::string WriteTags(const TaggedParts& parts);

/// The parts with tags missing, doubled, out of order or nested, or with text after them. Never
/// what WriteTags writes, never well-formed.
std::string WriteBrokenTags(const TaggedParts& parts, DrawSequence& draw);

}  // namespace aha::pipelines
