#pragma once
/// What in a text is not prose: code, URLs and LaTeX. The language reward counts no words there.

#include <string>
#include <string_view>

namespace aha::rewards {

/// `text` with everything that is not prose replaced by one blank a piece, in linear time:
///  - the tags <think>, </think>, <answer>, </answer>;
///  - fenced code: from a run of three or more backticks (or tildes that begin a line) to the next
///    run of the same character at least as long, or to the end of the text;
///  - inline code: one or two backticks to the next run of equal length on the same line;
///  - URLs: scheme://, mailto: or www., then all ASCII characters that a URL may hold;
///  - LaTeX mathematics: $$ $$, \[ \], \( \) and $ $ without an empty line inside, and environments
///    such as align. A single $ opens before a non-blank and closes after a non-blank that no digit
///    follows, so that "$5 and $6" is money;
///  - LaTeX commands with their arguments: \name, then any [...] and {...} directly behind it.
/// What is opened and never closed (but for a fence) is prose.
std::u32string Prose(std::u32string_view text);

}  // namespace aha::rewards
