#include "policy/tokenizer/pre_tokenizer.h"

#include <algorithm>
#include <array>
#include <utility>

#include "policy/checkpoint/strict_json.h"

namespace aha::policy {
namespace {

constexpr std::string_view kGpt2Pattern =
    R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";

struct Part {
  std::size_t begin, end;
  bool is_match;
};

constexpr std::array<std::pair<std::string_view, SplitBehavior>, 5> kBehaviors{{
    {"Removed", SplitBehavior::kRemoved},
    {"Isolated", SplitBehavior::kIsolated},
    {"MergedWithPrevious", SplitBehavior::kMergedWithPrevious},
    {"MergedWithNext", SplitBehavior::kMergedWithNext},
    {"Contiguous", SplitBehavior::kContiguous},
}};

// Matches and what lies between them, covering `text`.
Status FindParts(std::string_view text,
                 bool invert,
                 RegexMatches& matches,
                 std::vector<Part>* parts) {
  parts->clear();
  std::size_t done = 0;
  matches.Start(text);
  while (true) {
    AHA_ASSIGN(const auto match, matches.Next());
    if (!match) break;
    if (done != match->begin) parts->push_back({done, match->begin, invert});
    parts->push_back({match->begin, match->end, !invert});
    done = match->end;
  }
  if (done != text.size()) parts->push_back({done, text.size(), invert});
  return {};
}

// Joins neighbours as `behavior` asks, in place. kIsolated and kRemoved need no joining.
void Join(SplitBehavior behavior, std::vector<Part>* parts) {
  const bool backward = behavior == SplitBehavior::kMergedWithNext;
  if (backward) std::reverse(parts->begin(), parts->end());
  std::vector<Part> joined;
  bool previous_match = false;
  for (const Part& part : *parts) {
    const bool joins = behavior == SplitBehavior::kContiguous ? part.is_match == previous_match
                                                              : part.is_match && !previous_match;
    previous_match = part.is_match;
    if (!joins || joined.empty()) {
      joined.push_back(part);
    } else if (backward) {
      joined.back().begin = part.begin;
    } else {
      joined.back().end = part.end;
    }
  }
  if (backward) std::reverse(joined.begin(), joined.end());
  *parts = std::move(joined);
}

}  // namespace

Result<PreTokenizer> PreTokenizer::FromJson(const nlohmann::json& json, std::string_view where) {
  PreTokenizer pre_tokenizer;
  AHA_TRY(pre_tokenizer.Add(json, std::string(where)));
  if (!pre_tokenizer.byte_level_) {
    return Fail(Code::kInvalidArgument,
                "{}: only byte-level tokenizers are supported, and it has no ByteLevel", where);
  }
  return pre_tokenizer;
}

Status PreTokenizer::Add(const nlohmann::json& json, const std::string& where) {
  if (json.is_null()) return {};
  const Result<std::string> named = JsonField<std::string>(json, where, "type");
  if (!named) return tl::unexpected<Error>(named.error());
  const std::string& type = *named;
  if (type == "Sequence") {
    const nlohmann::json& parts = JsonMember(json, "pretokenizers");
    if (!parts.is_array()) return Fail(Code::kCorrupt, "{}.pretokenizers: must be an array", where);
    for (std::size_t i = 0; i < parts.size(); ++i) {
      AHA_TRY(Add(parts[i], fmt::format("{}.pretokenizers[{}]", where, i)));
    }
    return {};
  }
  if (byte_level_) {
    return Fail(Code::kInvalidArgument, "{}: {} after ByteLevel is not supported", where, type);
  }
  if (type == "ByteLevel") return AddByteLevel(json, where);
  if (type == "Digits") return AddDigits(json, where);
  if (type == "Split") return AddSplit(json, where);
  return Fail(Code::kInvalidArgument,
              "{}: pre-tokenizer {} is not supported; known: ByteLevel, Digits, Split, Sequence",
              where, type);
}

Status PreTokenizer::AddByteLevel(const nlohmann::json& json, const std::string& where) {
  AHA_ASSIGN(const bool add_prefix_space, JsonField<bool>(json, where, "add_prefix_space"));
  AHA_ASSIGN(const bool use_regex, JsonFieldOr<bool>(json, where, "use_regex", true));
  if (add_prefix_space) steps_.emplace_back();
  if (use_regex) {
    AHA_ASSIGN(auto regex, SplitRegex::FromPattern(kGpt2Pattern));
    steps_.push_back({{std::move(regex)}, SplitBehavior::kIsolated, false});
  }
  byte_level_ = true;
  return {};
}

Status PreTokenizer::AddDigits(const nlohmann::json& json, const std::string& where) {
  AHA_ASSIGN(const bool individual, JsonField<bool>(json, where, "individual_digits"));
  AHA_ASSIGN(auto regex, SplitRegex::FromPattern("\\p{N}"));
  steps_.push_back({{std::move(regex)},
                    individual ? SplitBehavior::kIsolated : SplitBehavior::kContiguous,
                    false});
  return {};
}

Status PreTokenizer::AddSplit(const nlohmann::json& json, const std::string& where) {
  AHA_ASSIGN(const auto name, JsonField<std::string>(json, where, "behavior"));
  const auto* behavior = std::find_if(kBehaviors.begin(), kBehaviors.end(),
                                      [&](const auto& entry) { return entry.first == name; });
  if (behavior == kBehaviors.end()) {
    return Fail(Code::kInvalidArgument, "{}.behavior: {} is not supported", where, name);
  }
  AHA_ASSIGN(const bool invert, JsonField<bool>(json, where, "invert"));
  const nlohmann::json& pattern = JsonMember(json, "pattern");
  const std::string pattern_at = where + ".pattern";
  const bool literal = pattern.is_object() && pattern.contains("String");
  AHA_ASSIGN(const auto text,
             JsonField<std::string>(pattern, pattern_at, literal ? "String" : "Regex"));
  auto regex = literal ? SplitRegex::FromLiteral(text) : SplitRegex::FromPattern(text);
  if (!regex) return Within(regex.error(), "{}", pattern_at);
  steps_.push_back({{std::move(*regex)}, behavior->second, invert});
  return {};
}

Status PreTokenizer::Split(std::string_view text,
                           std::vector<std::string_view>* pieces,
                           std::deque<std::string>* storage) const {
  std::vector<std::string_view> now;
  if (!text.empty()) now.push_back(text);
  std::vector<std::string_view> next;
  std::vector<Part> parts;
  for (const Step& step : steps_) {
    if (step.regex.empty()) {
      for (auto& piece : now) {
        if (!piece.starts_with(' ')) piece = storage->emplace_back(fmt::format(" {}", piece));
      }
      continue;
    }
    next.clear();
    RegexMatches matches(step.regex.front());
    for (const std::string_view piece : now) {
      AHA_TRY(FindParts(piece, step.invert, matches, &parts));
      if (step.behavior != SplitBehavior::kIsolated && step.behavior != SplitBehavior::kRemoved) {
        Join(step.behavior, &parts);
      }
      for (const Part& part : parts) {
        if (part.begin == part.end) continue;
        if (step.behavior == SplitBehavior::kRemoved && part.is_match) continue;
        next.push_back(piece.substr(part.begin, part.end - part.begin));
      }
    }
    now.swap(next);
  }
  pieces->insert(pieces->end(), now.begin(), now.end());
  return {};
}

}  // namespace aha::policy
