#pragma once
/// From a completion and a reference to a verdict: all of the accuracy reward but its place among
/// the rewards.

#include <string>
#include <string_view>

namespace aha::rewards::math {

/// Decimals with which an answer may stand for an exact reference, unless told otherwise.
inline constexpr int kDecimals = 6;

/// Bytes of an answer or a reference that are read.
inline constexpr std::size_t kLongestAnswer = 1 << 16;

struct MathQuestion {
  std::string_view prompt;  ///< may be empty: not known
  std::string_view completion;
  std::string_view reference;
  int decimals = kDecimals;  ///< of a decimal answer to an exact reference, see math/compare.h
};

/// A verdict, and how it was come by.
struct MathVerdict {
  bool same = false;
  std::string reason;     ///< the rule for right answers, what is wrong with others
  std::string found;      ///< "tag", "box", "phrase", "whole", "expression", "number", "nothing"
  std::string extracted;  ///< the answer as it was written
  std::string reference;  ///< the reference as it was parsed
  std::string answer;     ///< the answer as it was parsed
  std::string rule;       ///< what decided
  std::string fault;      ///< of the reference: there is no verdict then
};

/// The answer is the last <answer>, else (behind the thinking) the last \boxed{} (boxes
/// side by side are one), else what follows the last "answer is", else the whole text if that is
/// the reference, else its last number or expression. It is read as math/parser.h says and compared
/// as math/compare.h says.
///
/// Inside a sentence ("There are 42 apples.") the one number or formula counts, if there is just
/// one: naming several does not help. Where the prompt is given and the reference is a number, a
/// sum or product that nobody has worked out is not its answer ("unevaluated"): it may repeat the
/// question.
///
/// `reason` is the rule that made it right ("exact", "rounded", "set", ...) for 1; "no answer",
/// "empty answer", "too_large", "unevaluated" or "different: ..." for 0. A reference that is empty,
/// not UTF-8, over 64 KiB, has unpaired braces, is mathematics that cannot be parsed, has no value
/// (1/0) or is too large to evaluate is at fault, whatever the completion.
///
/// Pure and thread-safe without locks. Linear in the completion; the work on one answer is counted
/// and bounded (math/work.h).
MathVerdict JudgeMath(const MathQuestion& question);

}  // namespace aha::rewards::math
