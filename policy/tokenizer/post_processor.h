#pragma once
/// The `post_processor` of a tokenizer.json: the tokens put around a text when special tokens are
/// asked for. ByteLevel (none), TemplateProcessing for single texts, and a Sequence of these.

#include <cstdint>
#include <string_view>
#include <vector>

#include <nlohmann/json.hpp>

#include "base/result.h"

namespace aha::policy {

/// Ids before and after the text's own.
struct PostProcessor {
  std::vector<std::int32_t> before, after;

  /// `json` may be null. kInvalidArgument names a component that is not supported.
  static Result<PostProcessor> FromJson(const nlohmann::json& json, std::string_view where);
};

}  // namespace aha::policy
