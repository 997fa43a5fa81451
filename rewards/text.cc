#include "rewards/text.h"

#include <algorithm>
#include <stdexcept>

#include <unicode/normalizer2.h>
#include <unicode/uchar.h>
#include <unicode/unistr.h>
#include <unicode/uscript.h>
#include <unicode/utf8.h>

namespace aha::rewards {
namespace {

// A point becomes at most 18 UTF-16 units, and ICU counts those in 31 bits.
constexpr std::size_t kMostPoints = std::size_t{64} << 20;
constexpr int kMostMarks = 30;
constexpr CodePoint kGraphemeJoiner = 0x034F;

UScriptCode ScriptOf(CodePoint point) {
  UErrorCode error = U_ZERO_ERROR;
  const UScriptCode script = uscript_getScript(static_cast<UChar32>(point), &error);
  return U_SUCCESS(error) != 0 ? script : USCRIPT_UNKNOWN;
}

std::u16string StreamSafe(std::u32string_view text) {
  std::u16string out;
  out.reserve(text.size());
  int marks = 0;
  const auto append = [&](CodePoint c) {
    if (c <= 0xFFFF) {
      out.push_back(static_cast<char16_t>(c));
    } else {
      out.push_back(static_cast<char16_t>(0xD7C0 + (c >> 10)));
      out.push_back(static_cast<char16_t>(0xDC00 + (c & 0x3FF)));
    }
  };
  for (CodePoint c : text.substr(0, kMostPoints)) {
    if (c > 0x10FFFF || (c >= 0xD800 && c <= 0xDFFF)) c = kReplacement;
    const bool joins =
        c >= 0x300 &&
        u_getIntPropertyValue(static_cast<UChar32>(c), UCHAR_LEAD_CANONICAL_COMBINING_CLASS) != 0;
    marks = joins ? marks + 1 : 0;
    if (marks > kMostMarks) {
      append(kGraphemeJoiner);
      marks = 1;
    }
    append(c);
  }
  return out;
}

}  // namespace

Decoded DecodeNext(std::string_view text, std::size_t* at) {
  const auto* bytes = reinterpret_cast<const std::uint8_t*>(text.data());
  const auto lead = bytes[*at];
  if (lead < 0x80) {
    ++*at;
    return {lead, true};
  }
  // ICU's macro counts in int32, so it is given a window: a sequence has at most four bytes.
  const auto window = static_cast<std::int32_t>(std::min<std::size_t>(text.size() - *at, 4));
  const std::uint8_t* start = bytes + *at;
  std::int32_t i = 0;
  UChar32 point = -1;
  U8_NEXT(start, i, window, point);
  *at += static_cast<std::size_t>(i);
  if (point < 0) return {};
  return {static_cast<CodePoint>(point), true};
}

void AppendUtf8(CodePoint point, std::string* out) {
  if (point > 0x10FFFF || (point >= 0xD800 && point <= 0xDFFF)) point = kReplacement;
  std::uint8_t bytes[4] = {};
  std::int32_t size = 0;
  U8_APPEND_UNSAFE(bytes, size, point);
  out->append(reinterpret_cast<const char*>(bytes), static_cast<std::size_t>(size));
}

bool IsValidUtf8(std::string_view text) {
  for (std::size_t at = 0; at < text.size();) {
    if (!DecodeNext(text, &at).valid) return false;
  }
  return true;
}

std::string ToValidUtf8(std::string_view text) {
  if (IsValidUtf8(text)) return std::string(text);
  std::string out;
  out.reserve(text.size());
  for (std::size_t at = 0; at < text.size();)
    AppendUtf8(DecodeNext(text, &at).point, &out);
  return out;
}

std::u32string DecodeUtf8(std::string_view text) {
  std::u32string out;
  out.reserve(text.size());
  for (std::size_t at = 0; at < text.size();)
    out.push_back(DecodeNext(text, &at).point);
  return out;
}

std::string EncodeUtf8(std::u32string_view text) {
  std::string out;
  out.reserve(text.size());
  for (const CodePoint c : text)
    AppendUtf8(c, &out);
  return out;
}

std::u32string ToNfkc(std::u32string_view text) {
  if (std::all_of(text.begin(), text.end(), [](CodePoint c) { return c < 0x80; })) {
    return std::u32string(text);
  }
  UErrorCode error = U_ZERO_ERROR;
  const icu::Normalizer2* nfkc = icu::Normalizer2::getNFKCInstance(error);
  const std::u16string units = StreamSafe(text);
  icu::UnicodeString normal;
  if (U_SUCCESS(error) != 0) {
    const icu::UnicodeString raw(false, units.data(), static_cast<std::int32_t>(units.size()));
    nfkc->normalize(raw, normal, error);
  }
  if (U_FAILURE(error) != 0) throw std::runtime_error("ICU could not normalise a text");
  std::u32string out(static_cast<std::size_t>(normal.countChar32()), U'\0');
  error = U_ZERO_ERROR;
  normal.toUTF32(reinterpret_cast<UChar32*>(out.data()), static_cast<std::int32_t>(out.size()),
                 error);
  return out;
}

std::u32string ToNfkc(std::string_view text) {
  return ToNfkc(DecodeUtf8(text));
}

bool IsWhiteSpace(CodePoint point) {
  if (point < 0x80) return point == ' ' || (point >= '\t' && point <= '\r');
  return u_isUWhiteSpace(static_cast<UChar32>(point)) != 0;
}

bool IsLetter(CodePoint point) {
  if (point < 0x80) return (point | 32) >= 'a' && (point | 32) <= 'z';
  return (U_GET_GC_MASK(static_cast<UChar32>(point)) & U_GC_L_MASK) != 0;
}

bool IsMark(CodePoint point) {
  if (point < 0x300) return false;  // U+0300 is the first
  return (U_GET_GC_MASK(static_cast<UChar32>(point)) & U_GC_M_MASK) != 0;
}

bool IsHan(CodePoint point) {
  if (point < 0x2E80) return false;
  const bool counts =
      (U_GET_GC_MASK(static_cast<UChar32>(point)) & (U_GC_L_MASK | U_GC_NL_MASK)) != 0;
  return counts && ScriptOf(point) == USCRIPT_HAN;
}

bool IsKana(CodePoint point) {
  if (point < 0x3000 || !IsLetter(point)) return false;
  // By script extensions: the long-vowel mark belongs to both kana and so to neither script.
  return uscript_hasScript(static_cast<UChar32>(point), USCRIPT_HIRAGANA) != 0 ||
         uscript_hasScript(static_cast<UChar32>(point), USCRIPT_KATAKANA) != 0;
}

CodePoint FoldLatin(CodePoint point) {
  if (point < 0x80) return point >= 'A' && point <= 'Z' ? point + 32 : point;
  if (ScriptOf(point) != USCRIPT_LATIN) return point;
  return static_cast<CodePoint>(u_foldCase(static_cast<UChar32>(point), U_FOLD_CASE_DEFAULT));
}

std::u32string_view TrimBlanks(std::u32string_view text) {
  while (!text.empty() && IsWhiteSpace(text.front()))
    text.remove_prefix(1);
  while (!text.empty() && IsWhiteSpace(text.back()))
    text.remove_suffix(1);
  return text;
}

std::string Excerpt(std::string_view text, std::size_t most) {
  std::string out;
  for (const char c : ToValidUtf8(text.substr(0, most))) {
    if (c == '\n') {
      out += "\\n";
    } else if (c != '\r') {
      out.push_back(c);
    }
  }
  if (text.size() > most) out += "...";
  return out;
}

}  // namespace aha::rewards
