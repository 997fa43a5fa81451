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

std::vector<Finding> FormatReward::Explain(const ScoreInput& input) const {
  const std::string_view text = input.completion;
  std::vector<Finding> findings;
  std::array<std::size_t, 4> at{};
  bool once = true;
  for (std::size_t i = 0; i < kTags.size(); ++i) {
    at[i] = text.find(kTags[i]);
    std::size_t count = 0;
    for (std::size_t p = at[i]; p != kNone; p = text.find(kTags[i], p + kTags[i].size()))
      ++count;
    once = once && count == 1;
    std::string found = "not there";
    if (count > 0) {
      found = count == 1 ? "once, at byte " : std::to_string(count) + " times, first at byte ";
      found += std::to_string(at[i]);
    }
    findings.push_back({std::string(kTags[i]), found});
  }
  if (once && at[0] < at[1] && at[1] < at[2] && at[2] < at[3]) {
    const auto between = [&](std::size_t from, std::size_t to) {
      return Excerpt(text.substr(from, to - from));
    };
    findings.push_back({"thought", between(at[0] + kTags[0].size(), at[1])});
    findings.push_back({"answer", between(at[2] + kTags[2].size(), at[3])});
    const std::size_t behind = at[3] + kTags[3].size();
    if (at[0] > 0) findings.push_back({"before", '"' + between(0, at[0]) + '"'});
    if (!IsBlank(text.substr(at[1] + kTags[1].size(), at[2] - at[1] - kTags[1].size())))
      findings.push_back({"between", '"' + between(at[1] + kTags[1].size(), at[2]) + '"'});
    if (!IsBlank(text.substr(behind)))
      findings.push_back({"behind", '"' + between(behind, text.size()) + '"'});
  }
  const std::string_view fault = FormatFault(text);
  findings.push_back({"well_formed", fault.empty() ? "yes" : "no: " + std::string(fault)});
  return findings;
}

Outcome FormatReward::Score(const ScoreInput& input) const {
  const std::string_view fault = FormatFault(input.completion);
  return Scored(fault.empty() ? 1 : 0, fault);
}

}  // namespace aha::rewards
