#pragma once
/// The format reward of DeepSeek-R1 (arXiv:2501.12948 2.2.2), byte-exact.

#include <string_view>

#include "rewards/reward.h"

namespace aha::rewards {

/// Why a completion is not well formed; empty when it is. It is, when all of this holds:
///  1. its bytes are UTF-8 without NUL ("not utf-8", "nul byte");
///  2. `<think>`, `</think>`, `<answer>`, `</answer>` each occur exactly once ("tag count");
///  3. in that order, `<think>` at byte 0 ("tag order", "text before <think>");
///  4. only space, tab, CR and LF stand between `</think>` and `<answer>` and after `</answer>`
///     ("text outside the tags");
///  5. thought and answer each hold a visible character: not Unicode white space, nor U+200B,
///     U+200C, U+200D, U+2060 or U+FEFF ("empty thought", "empty answer").
/// One pass for each rule; no limit of size.
std::string_view FormatFault(std::string_view completion);

/// 1 when well formed, else 0 with the fault as reason. Pure.
class FormatReward : public Reward {
 public:
  [[nodiscard]] Outcome Score(const ScoreInput& input) const override;
  /// Each tag (how often, where), thought, answer, what else there is, fault.
  [[nodiscard]] std::vector<Finding> Explain(const ScoreInput& input) const override;
};

}  // namespace aha::rewards
