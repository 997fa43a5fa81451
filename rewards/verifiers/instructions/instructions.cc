#include "rewards/verifiers/instructions/instructions.h"

#include <utility>

#include <fmt/ranges.h>
#include <nlohmann/json.hpp>

#include "rewards/config.h"
#include "rewards/text.h"

namespace aha::rewards {
namespace instructions {

using Json = nlohmann::json;

Result<std::string> TextArgument(const Json& arguments, const char* key) {
  const auto found = arguments.find(key);
  if (found != arguments.end() && found->is_string()) return found->get<std::string>();
  return Fail(Code::kInvalidArgument, "'{}' must be a text", key);
}

Result<std::int64_t> NumberArgument(const Json& arguments, const char* key) {
  const auto found = arguments.find(key);
  if (found != arguments.end()) {
    if (found->is_number_integer()) return found->get<std::int64_t>();
    // Tables that passed through data frames hold whole numbers as 3.0.
    if (found->is_number_float()) {
      const double number = found->get<double>();
      const auto whole = number >= 0 && number < 1e15 ? static_cast<std::int64_t>(number) : -1;
      if (static_cast<double>(whole) == number) return whole;
    }
  }
  return Fail(Code::kInvalidArgument, "'{}' must be a whole number", key);
}

Result<std::vector<std::string>> TextsArgument(const Json& arguments, const char* key) {
  const auto found = arguments.find(key);
  std::vector<std::string> texts;
  bool sound = found != arguments.end() && found->is_array() && !found->empty();
  for (std::size_t i = 0; sound && i < found->size(); ++i) {
    sound = (*found)[i].is_string();
    if (sound) texts.push_back((*found)[i].get<std::string>());
  }
  if (sound) return texts;
  return Fail(Code::kInvalidArgument, "'{}' must be a list of texts", key);
}

Result<bool> Compare(std::int64_t count,
                     const Json& arguments,
                     const char* relation_key,
                     const char* limit_key) {
  AHA_ASSIGN(const std::int64_t limit, NumberArgument(arguments, limit_key));
  AHA_ASSIGN(const std::string relation, TextArgument(arguments, relation_key));
  if (relation == "less than") return count < limit;
  if (relation == "at least") return count >= limit;
  if (relation == "at most") return count <= limit;
  if (relation == "exactly") return count == limit;
  return Fail(Code::kInvalidArgument,
              "'{}' is '{}'; it must be less than, at least, at most or exactly", relation_key,
              relation);
}

const std::map<std::string, Check, std::less<>>& Kinds() {
  static const auto kinds = [] {
    std::map<std::string, Check, std::less<>> all;
    AddWordKinds(&all);
    AddLayoutKinds(&all);
    return all;
  }();
  return kinds;
}

}  // namespace instructions

namespace {

using Json = nlohmann::json;

struct Instruction {
  std::string kind;
  Json arguments;
};

// IFEval's data has a null for each argument that another kind takes.
Json WithoutNulls(const Json& arguments) {
  Json kept = Json::object();
  for (const auto& [key, value] : arguments.items()) {
    if (!value.is_null() && key != "kind") kept[key] = value;
  }
  return kept;
}

Result<std::vector<Instruction>> FromLists(const Json& reference) {
  const auto ids = reference.find("instruction_id_list");
  const auto kwargs = reference.find("kwargs");
  if (ids == reference.end() || !ids->is_array()) {
    return Fail(Code::kInvalidArgument, "it has no list 'instruction_id_list'");
  }
  const bool given = kwargs != reference.end() && !kwargs->is_null();
  if (given && (!kwargs->is_array() || kwargs->size() != ids->size())) {
    return Fail(Code::kInvalidArgument, "'kwargs' must be a list as long as 'instruction_id_list'");
  }
  std::vector<Instruction> list;
  for (std::size_t i = 0; i < ids->size(); ++i) {
    const Json arguments = given && !(*kwargs)[i].is_null() ? (*kwargs)[i] : Json::object();
    if (!(*ids)[i].is_string() || !arguments.is_object()) {
      return Fail(Code::kInvalidArgument, "instruction {}: must be a text and an object", i);
    }
    list.push_back({(*ids)[i].get<std::string>(), WithoutNulls(arguments)});
  }
  return list;
}

Result<std::vector<Instruction>> ParseReference(std::string_view text) {
  const Json reference = Json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (reference.is_object()) return FromLists(reference);
  if (!reference.is_array()) {
    return Fail(Code::kInvalidArgument, "it is no JSON object or list of instructions");
  }
  std::vector<Instruction> list;
  for (const Json& entry : reference) {
    if (!entry.is_object() || !entry.contains("kind") || !entry["kind"].is_string()) {
      return Fail(Code::kInvalidArgument, "instruction {}: must be an object with a 'kind'",
                  list.size());
    }
    list.push_back({entry["kind"].get<std::string>(), WithoutNulls(entry)});
  }
  return list;
}

std::string_view Judged(std::string_view text) {
  constexpr std::string_view kOpen = "<answer>";
  constexpr std::string_view kClose = "</answer>";
  constexpr std::string_view kThought = "</think>";
  if (const auto thought = text.rfind(kThought); thought != std::string_view::npos) {
    text.remove_prefix(thought + kThought.size());
  }
  const auto open = text.rfind(kOpen);
  if (open == std::string_view::npos) return text;
  text.remove_prefix(open + kOpen.size());
  return text.substr(0, text.find(kClose));
}

Result<bool> Keeps(std::string_view text, const Instruction& instruction) {
  const auto& kinds = instructions::Kinds();
  const auto found = kinds.find(instruction.kind);
  if (found != kinds.end()) return found->second(text, instruction.arguments);
  std::vector<std::string> names;
  for (const auto& [name, check] : kinds)
    names.push_back(name);
  const auto nearest = NearestNames(instruction.kind, names);
  return Fail(Code::kInvalidArgument, "no such kind is known{}{}",
              nearest.empty() ? "" : "; did you mean ", fmt::join(nearest, ", "));
}

}  // namespace

Outcome InstructionsReward::Score(const ScoreInput& input) const {
  const auto list = ParseReference(input.reference);
  const auto bad = [](std::string_view what) {
    return Failed(proto::Failure::BAD_REFERENCE, fmt::format("the reference: {}", what));
  };
  if (!list) return bad(list.error().message);
  if (list->empty()) return bad("it holds no instruction");
  const std::string text = ToValidUtf8(Judged(input.completion));
  std::size_t kept = 0;
  std::vector<std::string> broken;
  for (const Instruction& instruction : *list) {
    const auto keeps = Keeps(text, instruction);
    if (!keeps) return bad(fmt::format("{}: {}", instruction.kind, keeps.error().message));
    kept += *keeps ? 1 : 0;
    if (!*keeps) broken.push_back(instruction.kind);
  }
  const std::string reason =
      broken.empty() ? std::string() : fmt::format("not kept: {}", fmt::join(broken, ", "));
  if (all_or_nothing_) return Scored(broken.empty() ? 1 : 0, reason);
  return Scored(static_cast<double>(kept) / static_cast<double>(list->size()), reason);
}

}  // namespace aha::rewards
