#pragma once
/// Unicode helpers shared by the verifiers. All take any bytes, never throw on them, and are
/// linear.

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace aha::rewards {

/// A code point, with U+FFFD in place of what is not UTF-8.
using CodePoint = char32_t;
inline constexpr CodePoint kReplacement = 0xFFFD;

/// What one step of decoding found.
struct Decoded {
  CodePoint point = kReplacement;
  bool valid = false;  ///< false: ill-formed bytes (overlong, surrogate, cut off, ...)
};

/// Decodes the code point at `*at` (which must be inside `text`) and moves `*at` behind it.
Decoded DecodeNext(std::string_view text, std::size_t* at);

/// Appends `point` as UTF-8; surrogates and values beyond U+10FFFF as U+FFFD.
void AppendUtf8(CodePoint point, std::string* out);

bool IsValidUtf8(std::string_view text);

/// `text`, with U+FFFD for each ill-formed sequence.
std::string ToValidUtf8(std::string_view text);

/// Normalisation form KC of `text`, ill-formed bytes as U+FFFD. After 30 combining marks in a row a
/// U+034F is put in (UAX #15, stream-safe text), since sorting endless runs of marks is quadratic.
/// Beyond 64 Mi code points the text is cut.
std::u32string ToNfkc(std::u32string_view text);
std::u32string ToNfkc(std::string_view text);

std::u32string DecodeUtf8(std::string_view text);
std::string EncodeUtf8(std::u32string_view text);

/// Unicode's White_Space property.
bool IsWhiteSpace(CodePoint point);
/// General category L* or M*.
bool IsLetter(CodePoint point);
bool IsMark(CodePoint point);
/// Han or kana: writing without blanks, where a character counts as a word.
bool IsHan(CodePoint point);
bool IsKana(CodePoint point);

/// Case folded where the script is Latin, untouched elsewhere.
CodePoint FoldLatin(CodePoint point);

std::u32string_view TrimBlanks(std::u32string_view text);

/// For people: valid UTF-8, line breaks shown as \n, and no more than `most` bytes with "..." for
/// the rest.
std::string Excerpt(std::string_view text, std::size_t most = 400);

}  // namespace aha::rewards
