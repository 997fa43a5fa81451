#include "policy/tokenizer/fast_split.h"

#include <array>
#include <cstdint>
#include <cstring>
#include <utility>

#include "policy/tokenizer/unicode_class.h"

namespace aha::policy {
namespace {

constexpr std::uint8_t kAnySpace = kSpace | kLineEnd;
constexpr std::uint8_t kNotWord = static_cast<std::uint8_t>(~(kAnySpace | kLetter | kNumber));

// A text and the classes of its characters. `end()` has class 0, which is in no mask.
class Reader {
 public:
  explicit Reader(std::string_view text)
      : begin_(text.data()), size_(text.size()), classes_(UnicodeClasses::Get()) {}

  [[nodiscard]] std::size_t size() const { return size_; }
  [[nodiscard]] char Byte(std::size_t at) const { return at < size_ ? begin_[at] : '\0'; }
  [[nodiscard]] ClassedChar At(std::size_t at) const {
    return at < size_ ? classes_.At(begin_ + at) : ClassedChar{0, 0};
  }
  // End of the longest run of `mask` that starts at `at`.
  [[nodiscard]] std::size_t Run(std::size_t at, std::uint8_t mask) const {
    while (at < size_) {
      const auto byte = static_cast<std::uint8_t>(begin_[at]);
      if (byte < 0x80) {
        if ((classes_.OfAscii(byte) & mask) == 0) break;
        ++at;
        continue;
      }
      const ClassedChar c = classes_.At(begin_ + at);
      if ((c.char_class & mask) == 0) break;
      at += c.length;
    }
    return at;
  }
  // The same, of `most` characters at most.
  [[nodiscard]] std::size_t Run(std::size_t at, std::uint8_t mask, int most) const {
    for (; most > 0; --most) {
      const ClassedChar c = At(at);
      if ((c.char_class & mask) == 0) break;
      at += c.length;
    }
    return at;
  }

 private:
  const char* begin_;
  std::size_t size_;
  const UnicodeClasses& classes_;
};

// `\s+(?!\S)|\s+`, or with `line_ends` before them `\s*[\r\n]+`, at white space.
template <bool line_ends>
std::size_t Spaces(const Reader& text, std::size_t at) {
  std::size_t last = at;       // start of the run's last character
  std::size_t after_line = 0;  // end of the last line end in the run
  std::size_t end = at;
  while (true) {
    const ClassedChar c = text.At(end);
    if ((c.char_class & kAnySpace) == 0) break;
    last = end;
    end += c.length;
    if (line_ends && c.char_class == kLineEnd) after_line = end;
  }
  if (after_line > 0) return after_line;
  return end == text.size() || last == at ? end : last;
}

// Length of `'s|'t|'re|'ve|'m|'ll|'d` at `at`, or 0. Without regard to case the long s is an s too.
template <bool any_case>
std::size_t Contraction(const Reader& text, std::size_t at) {
  if (text.Byte(at) != '\'') return 0;
  const auto lower = [&](std::size_t i) {
    const char c = text.Byte(at + i);
    return any_case && c >= 'A' && c <= 'Z' ? static_cast<char>(c | 0x20) : c;
  };
  const char first = lower(1);
  const char second = lower(2);
  if (first == 's' || first == 't' || first == 'm' || first == 'd') return 2;
  if ((first == 'r' || first == 'v') && second == 'e') return 3;
  if (first == 'l' && second == 'l') return 3;
  if (any_case && first == '\xC5' && text.Byte(at + 2) == '\xBF') return 3;
  return 0;
}

struct Gpt2 {
  static std::size_t Match(const Reader& text, std::size_t at) {
    if (const std::size_t length = Contraction<false>(text, at)) return at + length;
    const ClassedChar first = text.At(at);
    const bool space = text.Byte(at) == ' ';
    const std::size_t word = space ? at + 1 : at;
    const std::uint8_t kind = space ? text.At(word).char_class : first.char_class;
    for (const std::uint8_t mask : {std::uint8_t{kLetter}, std::uint8_t{kNumber}, kNotWord}) {
      if ((kind & mask) != 0) return text.Run(word, mask);
    }
    return Spaces<false>(text, at);
  }
};

// Llama 3's and, with one digit at a time, Qwen 2's.
template <int digits>
struct Llama3 {
  static std::size_t Match(const Reader& text, std::size_t at) {
    if (const std::size_t length = Contraction<true>(text, at)) return at + length;
    const ClassedChar first = text.At(at);
    if (first.char_class == kLetter) return text.Run(at + first.length, kLetter);
    if (first.char_class == kNumber) return text.Run(at, kNumber, digits);
    const ClassedChar second = text.At(at + first.length);
    if (first.char_class != kLineEnd && second.char_class == kLetter) {
      return text.Run(at + first.length + second.length, kLetter);
    }
    const bool space = text.Byte(at) == ' ';
    if (((space ? second : first).char_class & kNotWord) != 0) {
      return text.Run(text.Run(space ? at + 1 : at, kNotWord), kLineEnd);
    }
    return Spaces<true>(text, at);
  }
};

// DeepSeek V3's main expression. Digits and lone controls it does not match.
struct DeepSeek {
  static bool IsAsciiLetter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }

  // 0: no match starts here.
  static std::size_t Match(const Reader& text, std::size_t at) {
    constexpr std::uint8_t kLetters = kLetter | kMark;
    constexpr std::uint8_t kSigns = kPunctuation | kSymbol;
    const ClassedChar first = text.At(at);
    if ((first.char_class & kLetters) != 0) return text.Run(at + first.length, kLetters);
    if ((first.char_class & kSigns) != 0) {
      if (first.length == 1 && IsAsciiLetter(text.Byte(at + 1))) {
        std::size_t end = at + 2;
        while (IsAsciiLetter(text.Byte(end)))
          ++end;
        return end;
      }
      return text.Run(text.Run(at, kSigns), kLineEnd);
    }
    const ClassedChar second = text.At(at + first.length);
    if (first.char_class != kLineEnd && (second.char_class & kLetters) != 0) {
      return text.Run(at + first.length + second.length, kLetters);
    }
    if (text.Byte(at) == ' ' && (second.char_class & kSigns) != 0) {
      return text.Run(text.Run(at + 1, kSigns), kLineEnd);
    }
    return (first.char_class & kAnySpace) != 0 ? Spaces<true>(text, at) : 0;
  }
};

template <class Expression>
std::size_t MatchEverywhere(std::string_view whole, std::size_t from, std::span<MatchRange> out) {
  const Reader text(whole);
  std::size_t count = 0;
  while (count < out.size() && from < text.size()) {
    const std::size_t end = Expression::Match(text, from);
    if (end > from) {
      out[count++] = {from, end};
      from = end;
    } else {
      from += text.At(from).length;
    }
  }
  return count;
}

// `\p{N}{1,most}`.
template <int most>
std::size_t MatchNumbers(std::string_view whole, std::size_t from, std::span<MatchRange> out) {
  const Reader text(whole);
  std::size_t count = 0;
  while (count < out.size() &&
         (from = text.Run(from, static_cast<std::uint8_t>(~kNumber))) < text.size()) {
    const std::size_t end = text.Run(from, kNumber, most);
    out[count++] = {from, end};
    from = end;
  }
  return count;
}

// DeepSeek's `[一-龥぀-ゟ゠-ヿ]+`: every such character has three bytes, the first E3..E9.
std::size_t MatchCjk(std::string_view text, std::size_t from, std::span<MatchRange> out) {
  const auto is_cjk = [&](std::size_t at) {
    const auto byte = [&](std::size_t i) {
      return static_cast<std::uint32_t>(static_cast<std::uint8_t>(text[at + i]));
    };
    if (byte(0) < 0xE3 || byte(0) > 0xE9) return false;
    const std::uint32_t code =
        ((byte(0) & 0x0FU) << 12U) | ((byte(1) & 0x3FU) << 6U) | (byte(2) & 0x3FU);
    return (code >= 0x4E00 && code <= 0x9FA5) || (code >= 0x3040 && code <= 0x30FF);
  };
  std::size_t count = 0;
  while (count < out.size() && from < text.size()) {
    if (!is_cjk(from)) {  // a byte inside a character is below E3
      ++from;
      continue;
    }
    std::size_t end = from + 3;
    while (end < text.size() && is_cjk(end))
      end += 3;
    out[count++] = {from, end};
    from = end;
  }
  return count;
}

constexpr std::string_view kCjkPattern = "[一-龥\u3040-ゟ゠-ヿ]+";
constexpr std::string_view kDeepSeekPattern =
    "[!\"#$%&'()*+,\\-./"
    ":;<=>?@\\[\\\\\\]^_`{|}~][A-Za-z]+|[^\r\n\\p{L}\\p{P}\\p{S}]?[\\p{L}\\p{M}]+| "
    "?[\\p{P}\\p{S}]+[\r\n]*|\\s*[\r\n]+|\\s+(?!\\S)|\\s+";
constexpr std::string_view kLlama3Pattern =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
constexpr std::string_view kQwen2Pattern =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";

constexpr std::array<std::string_view, 7> kPatterns = {
    kGpt2Pattern, kLlama3Pattern,  kQwen2Pattern, kDeepSeekPattern,
    kCjkPattern,  R"(\p{N}{1,3})", kNumberPattern};
constexpr std::array<FastSplit, 7> kMatchers = {&MatchEverywhere<Gpt2>,
                                                &MatchEverywhere<Llama3<3>>,
                                                &MatchEverywhere<Llama3<1>>,
                                                &MatchEverywhere<DeepSeek>,
                                                &MatchCjk,
                                                &MatchNumbers<3>,
                                                &MatchNumbers<1>};

}  // namespace

FastSplit FindFastSplit(std::string_view pattern) {
  for (std::size_t i = 0; i < kPatterns.size(); ++i) {
    if (kPatterns[i] == pattern) return kMatchers[i];
  }
  return nullptr;
}

std::span<const std::string_view> FastPatterns() {
  return kPatterns;
}

}  // namespace aha::policy
