#pragma once
/// Where the answer stands in a completion. Raw bytes in, views of them out; linear time.

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace aha::rewards::math {

/// How an answer was found; decides how much freedom its reading has.
enum class Found {
  kTag,     ///< the last <answer>, up to </answer> or the end
  kBoxed,   ///< the last \boxed{}; boxes side by side joined by ", "
  kPhrase,  ///< behind the last "answer is" (or 答案是, ...), up to the end of the sentence
  kNumber,  ///< the last number of the text, normalised
};

struct Extracted {
  std::string text;
  Found how = Found::kTag;
};

/// The first of: the last tag; then, in what follows the last </think>, the last boxes, the last
/// phrase; nullopt when there is none of them there.
std::optional<Extracted> ExtractMarked(std::string_view completion);

/// What follows the last </think>; all where there is none.
std::string_view BehindThinking(std::string_view completion);

/// Contents of the last box, or of the last boxes when only commas, blanks, $ and "and" (和, 或,
/// or) stand between them; nested braces are matched, unclosed boxes do not count.
/// `percent_behind`: a percent sign (or the word) behind the only box belongs to it, as in
/// references like "$\boxed{20}$ percent".
std::optional<std::string> LastBoxes(std::string_view text, bool percent_behind = false);

/// What follows the last "answer is", "answer:", "answer =", 答案是, 答案为 or 答案:, up to the end
/// of its sentence. nullopt when there is no such phrase or nothing follows it.
std::optional<std::string_view> AfterPhrase(std::string_view text);

/// What stands between mathematics delimiters: $ $, $$ $$, \( \) and \[ \], in order, at most 64.
std::vector<std::string_view> MathSegments(std::string_view text);

/// Numbers in normalised text that stand as words of their own ("x2" has none), as substrings, in
/// order; with `last_only` just the last. A number has its sign, thousands commas, power of ten,
/// fraction and percent sign.
std::vector<std::string_view> NumbersIn(std::string_view normalized, bool last_only);

}  // namespace aha::rewards::math
