#pragma once
/// The `normalizer` of a tokenizer.json: none, NFC, NFD, NFKC, NFKD, or a Sequence of these (ICU).

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json.hpp>

#include "base/result.h"

namespace aha::policy {

class TextNormalizer {
 public:
  /// `json` may be null. kInvalidArgument names a component that is not supported.
  static Result<TextNormalizer> FromJson(const nlohmann::json& json, std::string_view where);

  [[nodiscard]] bool changes_nothing() const { return forms_.empty(); }
  /// `text` (valid UTF-8), normalised.
  [[nodiscard]] Result<std::string> Apply(std::string_view text) const;

 private:
  Status Add(const nlohmann::json& json, std::string_view where);
  std::vector<std::shared_ptr<const void>> forms_;  // icu::Normalizer2
};

}  // namespace aha::policy
