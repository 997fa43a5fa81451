#pragma once
/// Byte-level BPE tokenizers in Hugging Face's `tokenizer.json` format. Ids are those of the
/// `tokenizers` package, version 0.23: added tokens are cut out, the rest is normalised,
/// pre-tokenised, spelt in bytes and merged by rank.

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "policy/tokenizer/added_tokens.h"

namespace aha::policy {

/// Immutable and thread-safe; copying shares it.
class Tokenizer {
 public:
  /// Reads a tokenizer.json. kNotFound when there is none, kCorrupt when it breaks the format,
  /// kInvalidArgument when it uses a component that this project does not run; the message names
  /// file and field.
  static Result<Tokenizer> Load(const std::filesystem::path& tokenizer_json);
  /// The same from the file's text; `name` stands for the file in messages.
  static Result<Tokenizer> FromText(std::string text, std::string_view name);

  /// The ids of a text. Added tokens in it are recognised wherever they stand, special ones too.
  /// `with_specials` puts the post-processor's tokens around. kInvalidArgument when `utf8` is not
  /// UTF-8 (naming the byte) or has 2^31 bytes or more; kExhausted when a pattern of the file
  /// backtracks without end on it.
  [[nodiscard]] Result<std::vector<std::int32_t>> Encode(std::string_view utf8,
                                                         bool with_specials = false) const;

  /// The text of `ids`. Bytes that make no UTF-8 become U+FFFD; ids that no token has are passed
  /// over; tokens marked special are left out with `skip_special`.
  [[nodiscard]] std::string Decode(std::span<const std::int32_t> ids,
                                   bool skip_special = false) const;

  /// The id of a token as spelt in the file ("Ġthe", "<think>").
  [[nodiscard]] std::optional<std::int32_t> IdOf(std::string_view token) const;
  /// A token as spelt in the file; empty for an id that no token has.
  [[nodiscard]] std::string_view TokenOf(std::int32_t id) const;
  /// The bytes that a token contributes to a text; empty for an id that no token has. They need not
  /// be whole characters.
  [[nodiscard]] std::string_view BytesOf(std::int32_t id) const;
  /// Whether decoders asked to skip special tokens leave this one out.
  [[nodiscard]] bool IsSpecial(std::int32_t id) const;

  /// Highest id plus one, added tokens included: what an embedding table must have at least.
  [[nodiscard]] std::size_t vocab_size() const;
  /// By id.
  [[nodiscard]] std::span<const AddedToken> added_tokens() const;
  /// The text it was read from, byte for byte: what a checkpoint's folder gets.
  [[nodiscard]] const std::string& text() const;

 private:
  struct Rep;
  explicit Tokenizer(std::shared_ptr<const Rep> rep) : rep_(std::move(rep)) {}
  std::shared_ptr<const Rep> rep_;
};

/// Decodes token by token and never hands out a part of a character: what it returns, put together,
/// is what Decode gives for all ids at once. Belongs to one thread.
class StreamDecoder {
 public:
  explicit StreamDecoder(Tokenizer tokenizer, bool skip_special = false)
      : tokenizer_(std::move(tokenizer)), skip_special_(skip_special) {}

  /// The text that this token completes; may be empty.
  std::string Push(std::int32_t id);
  /// What is left when no more tokens come: U+FFFD for a character cut short, else nothing.
  std::string Finish();

 private:
  Tokenizer tokenizer_;
  bool skip_special_;
  std::string pending_;  // at most three bytes between calls
};

}  // namespace aha::policy
