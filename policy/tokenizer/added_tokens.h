#pragma once
/// Added tokens: pieces of text that are one token whatever the model says (special tokens, tags).

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace aha::policy {

/// One entry of `added_tokens` in a tokenizer.json.
struct AddedToken {
  std::int32_t id = 0;
  std::string content;
  bool single_word = false;  ///< only where no word character touches it
  bool lstrip = false;       ///< swallows white space before it
  bool rstrip = false;       ///< swallows white space after it
  bool normalized = false;   ///< looked for after normalisation instead of before
  bool special = false;      ///< left out by decoders that skip special tokens
};

/// Finds added tokens in a text: from the left, the longest that starts at a place wins.
class AddedTokenFinder {
 public:
  struct Segment {
    std::string_view text;
    std::int32_t id;  ///< the added token's, or kPlain
  };
  static constexpr std::int32_t kPlain = -1;

  /// `content` of each token is what is looked for; no two may be equal, none empty.
  explicit AddedTokenFinder(std::vector<AddedToken> tokens);

  /// Cuts `text` (valid UTF-8) into added tokens and the plain text between them, in order.
  void Split(std::string_view text, std::vector<Segment>* segments) const;

 private:
  struct Node {
    std::int32_t token = -1;  // index into tokens_ that ends here
    std::vector<std::pair<char, std::int32_t>> children;
  };
  // Where the next byte stands that a token can start with, or the end.
  [[nodiscard]] std::size_t NextStart(std::string_view text, std::size_t at) const;
  [[nodiscard]] std::int32_t Child(std::int32_t node, char byte) const;
  [[nodiscard]] std::int32_t LongestAt(std::string_view text) const;

  std::vector<AddedToken> tokens_;
  std::vector<Node> trie_;
  std::array<bool, 256> starts_{};  // first bytes of tokens
  std::optional<char> only_start_;  // the first byte, when all have the same
};

}  // namespace aha::policy
