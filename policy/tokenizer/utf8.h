#pragma once
/// UTF-8 and the byte-level alphabet: the 256 printable characters by which GPT-2's tokenizer, and
/// every byte-level BPE since, spells bytes in its vocabulary.

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace aha::policy {

/// One step through bytes that may or may not be UTF-8.
struct Utf8Step {
  enum class Kind : std::uint8_t {
    kCharacter,   ///< `length` bytes are the character `code`
    kBroken,      ///< `length` bytes are the longest prefix of a character that goes wrong
    kIncomplete,  ///< the text ends inside a character that could still become whole
  };
  Kind kind = Kind::kBroken;
  std::uint8_t length = 1;
  char32_t code = 0;
};

/// The step at the start of `bytes`, which must not be empty.
Utf8Step StepUtf8(std::string_view bytes);

/// Offset of the first byte that is not UTF-8 (surrogates and overlong forms are not).
std::optional<std::size_t> FirstInvalidUtf8(std::string_view bytes);

/// Moves whole characters from the front of `pending` to the result; each broken sequence becomes
/// one U+FFFD, as Rust's from_utf8_lossy and the WHATWG decoder do. A character that is still
/// incomplete stays in `pending`, unless `last` says that no more bytes will come.
std::string TakeUtf8(std::string& pending, bool last);

void AppendUtf8(char32_t code, std::string& out);

/// The character that stands for `byte` in vocabularies: U+0021..U+0143.
char32_t ByteLevelCharacter(std::uint8_t byte);

/// Bytes spelt as vocabularies spell them: " a" is "Ġa".
std::string ToByteLevel(std::string_view bytes);

/// Appends the bytes that a vocabulary entry spells. False, and nothing appended, when a character
/// is not of the alphabet.
bool AppendFromByteLevel(std::string_view token, std::string& bytes);

/// The bytes that a vocabulary entry spells; empty when a character is not of the alphabet.
std::optional<std::string> FromByteLevel(std::string_view token);

}  // namespace aha::policy
