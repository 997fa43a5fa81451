#pragma once
/// Instructions whose keeping a program can check: the 25 kinds of IFEval (Zhou et al.,
/// arXiv:2311.07911, 2) and a few of their relatives.
///
/// The reference is JSON, as in IFEval's data set,
///   {"instruction_id_list": ["length_constraints:number_words", ...], "kwargs": [{...}, ...]}
/// or a list, [{"kind": "punctuation:no_comma"}, {"kind": "startend:end_checker", "end_phrase":
/// "x"}]. Kinds and their arguments are IFEval's; docs/reward_service.md lists them. A kind that is
/// not known, or an argument that is missing or of another type, is a BAD_REFERENCE failure.

#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json_fwd.hpp>

#include "base/result.h"
#include "rewards/reward.h"

namespace aha::rewards {

/// The share of the instructions that were kept, or with `all_or_nothing` 1 only when all were; the
/// reason names those that were not. Judged is the last <answer>, else what follows the last
/// </think>, else the whole completion. A reference without any instruction is a BAD_REFERENCE
/// failure. Pure.
class InstructionsReward : public Reward {
 public:
  explicit InstructionsReward(bool all_or_nothing) : all_or_nothing_(all_or_nothing) {}
  [[nodiscard]] Outcome Score(const ScoreInput& input) const override;

 private:
  bool all_or_nothing_;
};

namespace instructions {

/// Whether `text` keeps the instruction. Errors: kInvalidArgument for arguments that do not fit.
using Check = Result<bool> (*)(std::string_view text, const nlohmann::json& arguments);

/// All kinds by name.
const std::map<std::string, Check, std::less<>>& Kinds();

/// Arguments of a check, with errors that name the key.
Result<std::string> TextArgument(const nlohmann::json& arguments, const char* key);
Result<std::int64_t> NumberArgument(const nlohmann::json& arguments, const char* key);
Result<std::vector<std::string>> TextsArgument(const nlohmann::json& arguments, const char* key);
/// "less than" or "at least" (also "exactly" and "at most"): whether `count` stands so to the
/// limit.
Result<bool> Compare(std::int64_t count,
                     const nlohmann::json& arguments,
                     const char* relation_key,
                     const char* limit_key);

/// Kinds about words, sentences, paragraphs, case and languages; and about layout. Joined by Kinds.
void AddWordKinds(std::map<std::string, Check, std::less<>>* kinds);
void AddLayoutKinds(std::map<std::string, Check, std::less<>>* kinds);

/// Whether `value` fits a JSON schema of these keywords: type, enum, const, required, properties,
/// additionalProperties (true or false), items, minItems, maxItems, minLength, maxLength, minimum,
/// maximum. kInvalidArgument for another keyword: what is not checked is not passed over.
Result<bool> FitsSchema(const nlohmann::json& value, const nlohmann::json& schema, int depth = 0);

}  // namespace instructions
}  // namespace aha::rewards
