#include "rewards/verifiers/math/moment.h"

namespace aha::rewards::math {
namespace {

bool IsDigit(char c) {
  return c >= '0' && c <= '9';
}

// Takes the digits in front, without leading zeros; at most four.
bool TakeNumber(std::string_view* text, std::size_t least, std::size_t most, std::string* out) {
  std::size_t length = 0;
  while (length < text->size() && IsDigit((*text)[length]))
    ++length;
  if (length < least || length > most) return false;
  std::string_view digits = text->substr(0, length);
  while (digits.size() > 1 && digits.front() == '0')
    digits.remove_prefix(1);
  *out = digits;
  text->remove_prefix(length);
  return true;
}

// "PM", "p.m.": 'a' or 'p'; a letter pair that hugs its number (5am) may be a product.
std::optional<char> HalfOfDay(std::string_view text, bool minutes) {
  const bool apart = text.starts_with(' ');
  if (apart) text.remove_prefix(1);
  std::string letters;
  for (const char c : text) {
    if (c != '.') letters.push_back(c);
  }
  if (letters.size() != 2 || text.size() > 4 || (letters[1] | 32) != 'm') return std::nullopt;
  const char half = static_cast<char>(letters[0] | 32);
  const bool sure = minutes || apart || letters[0] < 'a' || text.size() > 2;
  return sure && (half == 'a' || half == 'p') ? std::optional<char>(half) : std::nullopt;
}

std::optional<std::string> TimeOfDay(std::string_view text) {
  std::string hour, minute = "0";
  if (!TakeNumber(&text, 1, 2, &hour)) return std::nullopt;
  const bool minutes = text.starts_with(':');
  if (minutes) text.remove_prefix(1);
  if (minutes && !TakeNumber(&text, 2, 2, &minute)) return std::nullopt;
  const auto half = HalfOfDay(text, minutes);
  if (!half) return std::nullopt;
  return hour + ":" + minute + " " + *half;
}

std::optional<std::string> Date(std::string_view text) {
  const bool year_first = text.size() > 4 && !IsDigit(text[4]) && IsDigit(text[3]);
  const char joint = year_first ? text[4] : '/';
  if (joint != '-' && joint != '/') return std::nullopt;
  std::string parts[3];
  for (int i = 0; i < 3; ++i) {
    const bool year = i == (year_first ? 0 : 2);
    if (!TakeNumber(&text, year ? 4 : 1, year ? 4 : 2, &parts[i])) return std::nullopt;
    if (i == 2) break;
    if (!text.starts_with(joint)) return std::nullopt;
    text.remove_prefix(1);
  }
  if (!text.empty()) return std::nullopt;
  return parts[0] + "/" + parts[1] + "/" + parts[2];
}

}  // namespace

std::optional<std::string> MomentOf(std::string_view normalized) {
  if (normalized.size() > 16) return std::nullopt;
  if (auto time = TimeOfDay(normalized)) return time;
  return Date(normalized);
}

}  // namespace aha::rewards::math
