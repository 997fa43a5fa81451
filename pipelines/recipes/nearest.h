#pragma once
/// "Did you mean": the valid name closest to a mistyped one.

#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace aha::pipelines {

/// Edits (insert, delete, replace, swap of neighbours) between two words.
std::size_t EditDistance(std::string_view a, std::string_view b);

/// The closest of `names`, the first of equals; nothing when all are more than a third of the
/// word's length away (one edit is always near enough).
std::optional<std::string> Nearest(std::string_view word, std::span<const std::string> names);

/// "did you mean `steps`?", or, when none is near, "valid here: steps, kl".
std::string Suggestion(std::string_view word, std::span<const std::string> names);

}  // namespace aha::pipelines
