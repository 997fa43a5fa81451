#pragma once
/// How the instruction checks cut a text up. All take valid UTF-8 and are linear.

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace aha::rewards::instructions {

/// Each code point in lower case (simple mapping).
std::u32string Lower(std::string_view text);

std::string_view Trimmed(std::string_view text);
bool IsBlank(std::string_view text);
std::vector<std::string_view> SplitAt(std::string_view text, std::string_view separator);
std::vector<std::string_view> Lines(std::string_view text);

/// Runs of letters, marks, digits and underscores, as Python's \w+ finds them; a Han character or a
/// kana is a word of its own.
std::vector<std::string> WordsOf(std::string_view text);
std::int64_t CountWordsOf(std::string_view text);

/// Whether `word` occurs in `text` (both in lower case) with no letter, digit or underscore beside
/// it.
bool HasWholeWord(std::u32string_view text, std::u32string_view word);

/// Sentences end at . ! ? … 。 ！ ？ (with what closes quotes behind) before a blank or the end,
/// but not after an initial, a common abbreviation or a list's number; a blank line ends one too.
/// What has no letter or digit is none.
std::int64_t CountSentences(std::string_view text);

}  // namespace aha::rewards::instructions
