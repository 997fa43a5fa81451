#include "policy/tokenizer/pre_tokenizer.h"

#include <algorithm>
#include <array>
#include <deque>
#include <optional>
#include <utility>

#include "policy/checkpoint/strict_json.h"

namespace aha::policy {
namespace {

struct Part {
  std::size_t begin, end;
  bool is_match;
};

constexpr std::size_t kMatchesAtOnce = 128;
constexpr std::size_t kPiecesAtOnce = 1024;
constexpr std::size_t kMaxSteps = 64;  // a Sequence of more is no tokenizer

constexpr std::array<std::pair<std::string_view, SplitBehavior>, 5> kBehaviors{{
    {"Removed", SplitBehavior::kRemoved},
    {"Isolated", SplitBehavior::kIsolated},
    {"MergedWithPrevious", SplitBehavior::kMergedWithPrevious},
    {"MergedWithNext", SplitBehavior::kMergedWithNext},
    {"Contiguous", SplitBehavior::kContiguous},
}};

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
  AHA_TRY(pre_tokenizer.Add(json, std::string(where), 0));
  if (!pre_tokenizer.byte_level_) {
    return Fail(Code::kInvalidArgument,
                "{}: only byte-level tokenizers are supported, and it has no ByteLevel", where);
  }
  return pre_tokenizer;
}

Status PreTokenizer::Add(const nlohmann::json& json, const std::string& where, int depth) {
  if (json.is_null()) return {};
  const Result<std::string> named = JsonField<std::string>(json, where, "type");
  if (!named) return tl::unexpected<Error>(named.error());
  const std::string& type = *named;
  if (type == "Sequence") {
    const nlohmann::json& parts = JsonMember(json, "pretokenizers");
    if (!parts.is_array()) return Fail(Code::kCorrupt, "{}.pretokenizers: must be an array", where);
    for (std::size_t i = 0; i < parts.size(); ++i) {
      AHA_TRY(Add(parts[i], fmt::format("{}.pretokenizers[{}]", where, i), depth + 1));
    }
    return {};
  }
  if (steps_.size() >= kMaxSteps) {
    return Fail(Code::kInvalidArgument, "{}: more than {} steps are not supported", where,
                kMaxSteps);
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
    AHA_TRY(AddPattern(kGpt2Pattern, SplitBehavior::kIsolated, false));
  }
  byte_level_ = true;
  return {};
}

Status PreTokenizer::AddDigits(const nlohmann::json& json, const std::string& where) {
  AHA_ASSIGN(const bool individual, JsonField<bool>(json, where, "individual_digits"));
  return AddPattern(kNumberPattern,
                    individual ? SplitBehavior::kIsolated : SplitBehavior::kContiguous, false);
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
  if (!literal) {
    const Status added = AddPattern(text, behavior->second, invert);
    return added ? added : Within(added.error(), "{}", pattern_at);
  }
  auto regex = SplitRegex::FromLiteral(text);
  if (!regex) return Within(regex.error(), "{}", pattern_at);
  steps_.push_back({nullptr, {std::move(*regex)}, behavior->second, invert});
  return {};
}

Status PreTokenizer::AddPattern(std::string_view pattern, SplitBehavior behavior, bool invert) {
  if (const FastSplit fast = FindFastSplit(pattern)) {
    steps_.push_back({fast, {}, behavior, invert});
    return {};
  }
  AHA_ASSIGN(auto regex, SplitRegex::FromPattern(pattern));
  steps_.push_back({nullptr, {std::move(regex)}, behavior, invert});
  return {};
}

// One text on its way through the steps: each piece of a step goes on to the next step at once.
class PreTokenizer::Walk {
 public:
  Walk(const std::vector<Step>& steps, const Sink& sink)
      : steps_(steps), sink_(sink), matches_(steps.size()), parts_(steps.size()) {
    pieces_.reserve(kPiecesAtOnce);
  }

  Status Run(std::size_t step, std::string_view piece) {
    if (piece.empty()) return {};
    if (step == steps_.size()) {
      Emit(piece);
      return {};
    }
    const Step& now = steps_[step];
    if (now.fast == nullptr && now.regex.empty()) {
      if (piece.starts_with(' ')) return Run(step + 1, piece);
      return Run(step + 1, storage_.emplace_back(fmt::format(" {}", piece)));
    }
    if (now.fast != nullptr && now.behavior == SplitBehavior::kIsolated)
      return RunIsolated(step, piece);
    std::vector<Part>& parts = parts_[step];
    AHA_TRY(FindParts(step, piece, &parts));
    const bool removes = now.behavior == SplitBehavior::kRemoved;
    if (!removes && now.behavior != SplitBehavior::kIsolated) Join(now.behavior, &parts);
    for (const Part& part : parts) {
      if (removes && part.is_match) continue;
      AHA_TRY(Run(step + 1, piece.substr(part.begin, part.end - part.begin)));
    }
    return {};
  }

  void Flush() {
    if (!pieces_.empty()) sink_(pieces_);
    pieces_.clear();
    storage_.clear();
  }

 private:
  void Emit(std::string_view piece) {
    pieces_.push_back(piece);
    // Pieces put into storage may still be on their way through later steps: wait for the end.
    if (pieces_.size() >= kPiecesAtOnce && storage_.empty()) Flush();
  }

  Status RunIsolated(std::size_t step, std::string_view text) {
    const FastSplit fast = steps_[step].fast;
    const bool last = step + 1 == steps_.size();
    std::array<MatchRange, kMatchesAtOnce> found;
    std::size_t done = 0;
    while (true) {
      const std::size_t count = fast(text, done, found);
      for (std::size_t i = 0; i < count; ++i) {
        if (done < found[i].begin) AHA_TRY(Run(step + 1, text.substr(done, found[i].begin - done)));
        done = found[i].end;
        const std::string_view piece = text.substr(found[i].begin, done - found[i].begin);
        if (last) {
          Emit(piece);
        } else {
          AHA_TRY(Run(step + 1, piece));
        }
      }
      if (count < found.size()) return Run(step + 1, text.substr(done));
    }
  }

  // Matches and what lies between them, covering `text`.
  Status FindParts(std::size_t step, std::string_view text, std::vector<Part>* parts) {
    const bool invert = steps_[step].invert;
    parts->clear();
    std::size_t done = 0;
    const auto add = [&](std::size_t begin, std::size_t end) {
      if (done != begin) parts->push_back({done, begin, invert});
      parts->push_back({begin, end, !invert});
      done = end;
    };
    if (steps_[step].fast != nullptr) {
      std::array<MatchRange, kMatchesAtOnce> found;
      for (std::size_t count = found.size(); count == found.size();) {
        count = steps_[step].fast(text, done, found);
        for (std::size_t i = 0; i < count; ++i)
          add(found[i].begin, found[i].end);
      }
    } else {
      auto& matches = matches_[step];
      if (!matches) matches.emplace(steps_[step].regex.front());
      matches->Start(text);
      while (true) {
        AHA_ASSIGN(const auto match, matches->Next());
        if (!match) break;
        add(match->begin, match->end);
      }
    }
    if (done != text.size()) parts->push_back({done, text.size(), invert});
    return {};
  }

  const std::vector<Step>& steps_;
  const Sink& sink_;
  std::vector<std::optional<RegexMatches>> matches_;  // by step, made when needed
  std::vector<std::vector<Part>> parts_;              // by step
  std::vector<std::string_view> pieces_;
  std::deque<std::string> storage_;
};

Status PreTokenizer::Split(std::string_view text, const Sink& sink) const {
  Walk walk(steps_, sink);
  AHA_TRY(walk.Run(0, text));
  walk.Flush();
  return {};
}

}  // namespace aha::policy
