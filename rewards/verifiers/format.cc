#include "rewards/verifiers/format.h"

#include <array>

#include "rewards/text.h"

namespace aha::rewards {
namespace {

constexpr std::array<std::string_view, 4> kTags = {"<think>", "</think>", "<answer>", "</answer>"};
constexpr auto kNone = std::string_view::npos;

bool HasVisible(std::string_view text) {
  for (std::size_t at = 0; at < text.size();) {
    const CodePoint c = DecodeNext(text, &at).point;
    const bool zero_width = c == 0x200B || c == 0x200C || c == 0x200D || c == 0x2060 || c == 0xFEFF;
    if (!zero_width && !IsWhiteSpace(c)) return true;
  }
  return false;
}

bool IsBlank(std::string_view text) {
  return text.find_first_not_of(" \t\r\n") == kNone;
}

}  // namespace

std::string_view FormatFault(std::string_view completion) {
  if (!IsValidUtf8(completion)) return "not utf-8";
  if (completion.find('\0') != kNone) return "nul byte";
  std::array<std::size_t, 4> at{};
  for (std::size_t i = 0; i < kTags.size(); ++i) {
    at[i] = completion.find(kTags[i]);
    if (at[i] == kNone || completion.find(kTags[i], at[i] + kTags[i].size()) != kNone) {
      return "tag count";
    }
  }
  if (at[0] > at[1] || at[1] > at[2] || at[2] > at[3]) return "tag order";
  if (at[0] != 0) return "text before <think>";
  const auto inside = [&](std::size_t i) {  // between tag i and the next
    const std::size_t from = at[i] + kTags[i].size();
    return completion.substr(from, (i + 1 < at.size() ? at[i + 1] : completion.size()) - from);
  };
  if (!IsBlank(inside(1)) || !IsBlank(inside(3))) return "text outside the tags";
  if (!HasVisible(inside(0))) return "empty thought";
  if (!HasVisible(inside(2))) return "empty answer";
  return {};
}

Outcome FormatReward::Score(const ScoreInput& input) const {
  const std::string_view fault = FormatFault(input.completion);
  return Scored(fault.empty() ? 1 : 0, fault);
}

}  // namespace aha::rewards
