#pragma once
/// People's own questions: a file with one JSON object a line.

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "base/result.h"
#include "proto/recipe.pb.h"

namespace aha::pipelines {

struct JsonlRow {
  std::string question;
  std::string answer;  ///< the whole answer: what SFT trains on
  std::string
      reference;  ///< what follows the last answer_mark, trimmed ("1,234"): what RL is scored by
  std::uint64_t line = 0;  ///< in the file, from 1
};

/// Rows of `spec.path` (relative to `folder`), `spec.limit` of them at most, in order. A number is
/// taken as its JSON text. A byte-order mark, CRLF and blank lines at the end are allowed for.
/// The file is read line by line; a line may have 16 MiB.
/// kNotFound when the file cannot be read. kCorrupt, as "path:line: ...", when a line is blank, too
/// long, not JSON or not an object; when a key is missing, neither text nor a number, or blank;
/// when the mark is not found or nothing follows it; and when the file has no rows.
Result<std::vector<JsonlRow>> ReadJsonl(const proto::Jsonl& spec,
                                        const std::filesystem::path& folder);

}  // namespace aha::pipelines
