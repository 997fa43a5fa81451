#pragma once
/// The `normalizer` of a tokenizer.json: none, NFC, NFD, NFKC, NFKD (by ICU), Replace, Prepend,
/// Lowercase, or a Sequence of these.

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json.hpp>

#include "base/result.h"

namespace aha::policy {

/// Immutable and thread-safe.
class TextNormalizer {
 public:
  /// `json` may be null. kInvalidArgument names a component that is not supported.
  static Result<TextNormalizer> FromJson(const nlohmann::json& json, std::string_view where);

  /// `text` (valid UTF-8), normalised: a view into `text` when nothing changes, else into
  /// `storage`.
  Result<std::string_view> Apply(std::string_view text, std::string* storage) const;
  [[nodiscard]] Result<std::string> Apply(std::string_view text) const;

  /// One component.
  class Step {
   public:
    virtual ~Step() = default;
    /// False when `text` stays as it is; else what becomes of it is in `out`.
    virtual Result<bool> Apply(std::string_view text, std::string* out) const = 0;
  };

 private:
  Status Add(const nlohmann::json& json, std::string_view where);
  std::vector<std::shared_ptr<const Step>> steps_;
};

}  // namespace aha::policy
