#pragma once
/// A compiled regular expression and the walk over its matches in a text.

#include <cstddef>
#include <memory>
#include <optional>
#include <string_view>

#include "base/result.h"

namespace aha::policy {

/// Immutable once compiled; may be used by many threads, each with its own RegexMatches.
class SplitRegex {
 public:
  /// A pattern in the syntax of tokenizer.json (see pattern.h), or a plain text to look for.
  /// kInvalidArgument says what is wrong with it and where.
  static Result<SplitRegex> FromPattern(std::string_view pattern);
  static Result<SplitRegex> FromLiteral(std::string_view text);

 private:
  friend class RegexMatches;
  explicit SplitRegex(std::shared_ptr<const void> code) : code_(std::move(code)) {}
  std::shared_ptr<const void> code_;  // pcre2_code
};

/// Finds the matches of one regex, text after text. Belongs to one thread; outlived by the regex.
class RegexMatches {
 public:
  struct Range {
    std::size_t begin, end;
  };

  explicit RegexMatches(const SplitRegex& regex);
  ~RegexMatches();
  RegexMatches(const RegexMatches&) = delete;
  RegexMatches& operator=(const RegexMatches&) = delete;

  /// Starts over on `subject`, which must be valid UTF-8 and stay alive while it is searched.
  void Start(std::string_view subject);
  /// The next match, in bytes. An empty match right behind the last match is passed over.
  /// kExhausted when the pattern backtracks beyond PCRE2's limit on this text.
  Result<std::optional<Range>> Next();

 private:
  const SplitRegex& regex_;
  void* match_data_;
  std::string_view subject_;
  std::size_t from_ = 0;
  std::optional<std::size_t> last_end_;
};

}  // namespace aha::policy
