#pragma once
/// Letters of multiple choice.

#include <optional>
#include <string>
#include <string_view>

namespace aha::rewards::math {

/// The letter of a choice in normalised text: "B", "(b)", "B.", "B) Paris", "option B", 选B. Upper
/// case, A to J.
std::optional<char> ChoiceLetter(std::string_view normalized);

/// What stands behind the letter: the "12" of "(B) 12" and "B. 12". Empty: nothing does.
std::string_view BehindChoice(std::string_view normalized);

/// "ACD", "A, C, D", "A and C": two or more different letters A to J, ascending. Empty: not such.
std::string ChoiceLetters(std::string_view normalized);

}  // namespace aha::rewards::math
