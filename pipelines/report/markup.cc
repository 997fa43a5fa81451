#include "pipelines/report/markup.h"

#include <algorithm>
#include <cctype>
#include <cmath>
#include <cstdint>

#include <fmt/format.h>

namespace aha::pipelines {
namespace {

constexpr std::uint32_t kReplacement = 0xFFFD;

struct Decoded {
  std::uint32_t point;
  std::size_t length;
};

/// Well-formed second bytes by first byte: Unicode 15, table 3-7. Ranges keep out overlong forms,
/// surrogates and what lies beyond U+10FFFF.
struct Lead {
  std::size_t length;
  unsigned char second_low, second_high;
};
Lead LeadOf(unsigned char b) {
  if (b >= 0xC2 && b <= 0xDF) return {2, 0x80, 0xBF};
  if (b == 0xE0) return {3, 0xA0, 0xBF};
  if (b == 0xED) return {3, 0x80, 0x9F};
  if (b >= 0xE1 && b <= 0xEF) return {3, 0x80, 0xBF};
  if (b == 0xF0) return {4, 0x90, 0xBF};
  if (b >= 0xF1 && b <= 0xF3) return {4, 0x80, 0xBF};
  if (b == 0xF4) return {4, 0x80, 0x8F};
  return {0, 0, 0};
}

/// The character at `at`, or U+FFFD and the length of the maximal ill-formed part.
Decoded DecodeAt(std::string_view bytes, std::size_t at) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(bytes[i]); };
  const unsigned char first = byte(at);
  if (first < 0x80) return {first, 1};
  const Lead lead = LeadOf(first);
  if (lead.length == 0) return {kReplacement, 1};
  std::uint32_t point = first & (0x7FU >> lead.length);
  for (std::size_t i = 1; i < lead.length; ++i) {
    const unsigned char low = i == 1 ? lead.second_low : 0x80;
    const unsigned char high = i == 1 ? lead.second_high : 0xBF;
    if (at + i >= bytes.size() || byte(at + i) < low || byte(at + i) > high) {
      return {kReplacement, i};
    }
    point = point << 6 | (byte(at + i) & 0x3FU);
  }
  return {point, lead.length};
}

void AppendUtf8(std::string& out, std::uint32_t point) {
  if (point < 0x80) {
    out += static_cast<char>(point);
  } else if (point < 0x800) {
    out += static_cast<char>(0xC0 | point >> 6);
    out += static_cast<char>(0x80 | (point & 0x3F));
  } else if (point < 0x10000) {
    out += static_cast<char>(0xE0 | point >> 12);
    out += static_cast<char>(0x80 | (point >> 6 & 0x3F));
    out += static_cast<char>(0x80 | (point & 0x3F));
  } else {
    out += static_cast<char>(0xF0 | point >> 18);
    out += static_cast<char>(0x80 | (point >> 12 & 0x3F));
    out += static_cast<char>(0x80 | (point >> 6 & 0x3F));
    out += static_cast<char>(0x80 | (point & 0x3F));
  }
}

bool IsBidiControl(std::uint32_t p) {
  return (p >= 0x202A && p <= 0x202E) || (p >= 0x2066 && p <= 0x2069);
}
bool IsNoncharacter(std::uint32_t p) {
  return (p & 0xFFFE) == 0xFFFE || (p >= 0xFDD0 && p <= 0xFDEF);
}

void AppendClean(std::string& out, std::uint32_t p) {
  if (p == '\n' || p == '\t') {
    out += static_cast<char>(p);
  } else if (p < 0x20) {
    AppendUtf8(out, 0x2400 + p);
  } else if (p == 0x7F) {
    AppendUtf8(out, 0x2421);
  } else if ((p >= 0x80 && p < 0xA0) || IsNoncharacter(p)) {
    AppendUtf8(out, kReplacement);
  } else if (IsBidiControl(p)) {
    out += fmt::format("[U+{:04X}]", p);
  } else {
    AppendUtf8(out, p);
  }
}

void AppendEscaped(std::string& out, std::string_view clean) {
  for (const char c : clean) {
    switch (c) {
      case '&':
        out += "&amp;";
        break;
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '"':
        out += "&quot;";
        break;
      case '\'':
        out += "&#39;";
        break;
      default:
        out += c;
    }
  }
}

/// Length of the tag that starts at `at`, 0 if none does: `<name>`, `</name>`, `<|name|>`.
std::size_t TagLength(std::string_view text, std::size_t at) {
  constexpr std::size_t kLongest = 40;
  if (text[at] != '<') return 0;
  std::size_t i = at + 1;
  const bool special = i < text.size() && text[i] == '|';
  if (special || (i < text.size() && text[i] == '/')) ++i;
  const std::size_t name = i;
  while (i < text.size() && i - at < kLongest &&
         (std::isalnum(static_cast<unsigned char>(text[i])) != 0 || text[i] == '_')) {
    ++i;
  }
  if (i == name || std::isdigit(static_cast<unsigned char>(text[name])) != 0) return 0;
  if (special && (i >= text.size() || text[i++] != '|')) return 0;
  return i < text.size() && text[i] == '>' ? i + 1 - at : 0;
}

bool IsWide(std::uint32_t p) {
  return (p >= 0x1100 && p <= 0x115F) || (p >= 0x2E80 && p <= 0xA4CF) ||
         (p >= 0xAC00 && p <= 0xD7A3) || (p >= 0xF900 && p <= 0xFAFF) ||
         (p >= 0xFE30 && p <= 0xFE6F) || (p >= 0xFF00 && p <= 0xFF60) ||
         (p >= 0xFFE0 && p <= 0xFFE6) || (p >= 0x1F300 && p <= 0x1FAFF) ||
         (p >= 0x20000 && p <= 0x3FFFD);
}

}  // namespace

std::string CleanText(std::string_view bytes) {
  std::string out;
  out.reserve(bytes.size());
  for (std::size_t at = 0; at < bytes.size();) {
    const Decoded c = DecodeAt(bytes, at);
    const bool carriage_return = bytes.substr(at, 2) == "\r\n";
    if (!carriage_return) AppendClean(out, c.point);
    at += c.length;
  }
  return out;
}

std::string Escape(std::string_view bytes) {
  std::string out;
  AppendEscaped(out, CleanText(bytes));
  return out;
}

std::string EscapeAndMarkTags(std::string_view bytes) {
  const std::string clean = CleanText(bytes);
  const std::string_view text = clean;
  std::string out;
  for (std::size_t at = 0; at < text.size();) {
    if (const std::size_t tag = TagLength(text, at); tag > 0) {
      out += "<span class=\"tag\">";
      AppendEscaped(out, text.substr(at, tag));
      out += "</span>";
      at += tag;
    } else {
      const std::size_t next = std::min(text.find('<', at + 1), text.size());
      AppendEscaped(out, text.substr(at, next - at));
      at = next;
    }
  }
  return out;
}

std::string CaptionedTable(std::string_view css_class,
                           std::string_view rows,
                           std::string_view caption) {
  return fmt::format(
      "<div class=\"wide\"><table class=\"{}\">{}</table></div>\n<p class=\"caption\">{}</p>\n",
      css_class, rows, caption);
}

std::size_t DisplayWidth(std::string_view clean) {
  std::size_t width = 0;
  for (std::size_t at = 0; at < clean.size();) {
    const Decoded c = DecodeAt(clean, at);
    width += IsWide(c.point) ? 2 : 1;
    at += c.length;
  }
  return width;
}

std::size_t CountCharacters(std::string_view clean) {
  return static_cast<std::size_t>(std::count_if(clean.begin(), clean.end(), [](char c) {
    return (static_cast<unsigned char>(c) & 0xC0) != 0x80;
  }));
}

std::size_t CutBefore(std::string_view clean, std::size_t at) {
  constexpr std::size_t kReach = 80;
  if (at >= clean.size()) return clean.size();
  for (std::size_t i = at; i > 0 && at - i < kReach; --i) {
    if (clean[i - 1] == '\n' || clean[i - 1] == ' ') return i;
  }
  while (at > 0 && (static_cast<unsigned char>(clean[at]) & 0xC0) == 0x80)
    --at;
  return at;
}

std::string Number(double value, int decimals) {
  if (!std::isfinite(value)) return "–";
  const std::string text = fmt::format("{:.{}f}", std::abs(value), decimals);
  const bool zero = text.find_first_not_of("0.") == std::string::npos;
  return value < 0 && !zero ? fmt::format("−{}", text) : text;
}

std::string Percent(double share) {
  return Number(share * 100, 1);
}

std::string Duration(double seconds) {
  if (!std::isfinite(seconds) || seconds < 0 || seconds > 1e12) return "–";
  if (seconds < 59.95) return fmt::format("{:.1f} s", seconds);
  const auto whole = static_cast<std::uint64_t>(std::llround(seconds));
  if (whole < 3600) return fmt::format("{} min {:02} s", whole / 60, whole % 60);
  const std::uint64_t minutes = (whole + 30) / 60;
  return fmt::format("{} h {:02} min", minutes / 60, minutes % 60);
}

std::string Bytes(double bytes) {
  if (bytes >= 999.5e6) return fmt::format("{:.1f} GB", bytes / 1e9);
  return fmt::format("{:.0f} MB", bytes / 1e6);
}

std::string Grouped(std::size_t count) {
  const std::string digits = std::to_string(count);
  std::string out;
  for (std::size_t i = 0; i < digits.size(); ++i) {
    if (i > 0 && (digits.size() - i) % 3 == 0) out += ',';
    out += digits[i];
  }
  return out;
}

}  // namespace aha::pipelines
