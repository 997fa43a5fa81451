#include "policy/tokenizer/utf8.h"

#include <array>
#include <cstring>

namespace aha::policy {
namespace {

constexpr int kAlphabetEnd = 0x144;  // one past the last character of the byte-level alphabet

struct Alphabet {
  std::array<char32_t, 256> character{};
  std::array<std::int16_t, kAlphabetEnd> byte{};
};

// Printable Latin-1 stands for itself; the other 68 bytes take U+0100 and on, in order.
constexpr Alphabet MakeAlphabet() {
  Alphabet alphabet;
  for (auto& byte : alphabet.byte)
    byte = -1;
  char32_t next = 0x100;
  for (int b = 0; b < 256; ++b) {
    const bool printable = (b >= 0x21 && b <= 0x7E) || (b >= 0xA1 && b <= 0xFF && b != 0xAD);
    const char32_t c = printable ? static_cast<char32_t>(b) : next++;
    alphabet.character[static_cast<std::size_t>(b)] = c;
    alphabet.byte[c] = static_cast<std::int16_t>(b);
  }
  return alphabet;
}

constexpr Alphabet kAlphabet = MakeAlphabet();

struct Lead {
  std::uint8_t length;     // bytes of the character, 0 when no character starts so
  std::uint8_t low, high;  // bounds of the second byte (Unicode Standard, table 3-7)
};

constexpr Lead LeadOf(std::uint8_t byte) {
  if (byte < 0x80) return {1, 0, 0};
  if (byte >= 0xC2 && byte <= 0xDF) return {2, 0x80, 0xBF};
  if (byte == 0xE0) return {3, 0xA0, 0xBF};
  if (byte == 0xED) return {3, 0x80, 0x9F};
  if (byte >= 0xE1 && byte <= 0xEF) return {3, 0x80, 0xBF};
  if (byte == 0xF0) return {4, 0x90, 0xBF};
  if (byte >= 0xF1 && byte <= 0xF3) return {4, 0x80, 0xBF};
  if (byte == 0xF4) return {4, 0x80, 0x8F};
  return {0, 0, 0};
}

}  // namespace

Utf8Step StepUtf8(std::string_view bytes) {
  const auto first = static_cast<std::uint8_t>(bytes[0]);
  const Lead lead = LeadOf(first);
  if (lead.length == 0) return {Utf8Step::Kind::kBroken, 1, 0};
  if (lead.length == 1) return {Utf8Step::Kind::kCharacter, 1, first};
  char32_t code = first & (0xFFU >> (lead.length + 1U));
  for (std::uint8_t i = 1; i < lead.length; ++i) {
    if (i >= bytes.size()) return {Utf8Step::Kind::kIncomplete, i, 0};
    const auto byte = static_cast<std::uint8_t>(bytes[i]);
    const std::uint8_t low = i == 1 ? lead.low : 0x80;
    const std::uint8_t high = i == 1 ? lead.high : 0xBF;
    if (byte < low || byte > high) return {Utf8Step::Kind::kBroken, i, 0};
    code = (code << 6U) | (byte & 0x3FU);
  }
  return {Utf8Step::Kind::kCharacter, lead.length, code};
}

std::optional<std::size_t> FirstInvalidUtf8(std::string_view bytes) {
  const char* data = bytes.data();
  const std::size_t size = bytes.size();
  std::size_t at = 0;
  while (at < size) {
    if (static_cast<std::uint8_t>(data[at]) < 0x80) {
      ++at;
      for (std::uint64_t word = 0; at + sizeof word <= size; at += sizeof word) {
        std::memcpy(&word, data + at, sizeof word);
        if ((word & 0x8080808080808080ULL) != 0) break;
      }
      continue;
    }
    const Utf8Step step = StepUtf8(bytes.substr(at));
    if (step.kind != Utf8Step::Kind::kCharacter) return at;
    at += step.length;
  }
  return std::nullopt;
}

std::string TakeUtf8(std::string& pending, bool last) {
  std::string out;
  out.reserve(pending.size());
  std::size_t at = 0;
  while (at < pending.size()) {
    const Utf8Step step = StepUtf8(std::string_view(pending).substr(at));
    if (step.kind == Utf8Step::Kind::kIncomplete && !last) break;
    if (step.kind == Utf8Step::Kind::kCharacter) {
      out.append(pending, at, step.length);
    } else {
      out += "\xEF\xBF\xBD";
    }
    at += step.length;
  }
  pending.erase(0, at);
  return out;
}

void AppendUtf8(char32_t code, std::string& out) {
  const auto put = [&](char32_t bits) { out.push_back(static_cast<char>(bits)); };
  if (code < 0x80) {
    put(code);
  } else if (code < 0x800) {
    put(0xC0U | (code >> 6U));
    put(0x80U | (code & 0x3FU));
  } else if (code < 0x10000) {
    put(0xE0U | (code >> 12U));
    put(0x80U | ((code >> 6U) & 0x3FU));
    put(0x80U | (code & 0x3FU));
  } else {
    put(0xF0U | (code >> 18U));
    put(0x80U | ((code >> 12U) & 0x3FU));
    put(0x80U | ((code >> 6U) & 0x3FU));
    put(0x80U | (code & 0x3FU));
  }
}

char32_t ByteLevelCharacter(std::uint8_t byte) {
  return kAlphabet.character[byte];
}

std::string ToByteLevel(std::string_view bytes) {
  std::string token;
  token.reserve(bytes.size() * 2);
  for (const char byte : bytes)
    AppendUtf8(ByteLevelCharacter(static_cast<std::uint8_t>(byte)), token);
  return token;
}

bool AppendFromByteLevel(std::string_view token, std::string& bytes) {
  const std::size_t before = bytes.size();
  for (std::size_t at = 0; at < token.size();) {
    const Utf8Step step = StepUtf8(token.substr(at));
    const bool of_alphabet = step.kind == Utf8Step::Kind::kCharacter && step.code < kAlphabetEnd;
    if (!of_alphabet || kAlphabet.byte[step.code] < 0) {
      bytes.resize(before);
      return false;
    }
    bytes.push_back(static_cast<char>(kAlphabet.byte[step.code]));
    at += step.length;
  }
  return true;
}

std::optional<std::string> FromByteLevel(std::string_view token) {
  std::string bytes;
  return AppendFromByteLevel(token, bytes) ? std::optional(std::move(bytes)) : std::nullopt;
}

}  // namespace aha::policy
