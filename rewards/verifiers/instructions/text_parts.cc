#include "rewards/verifiers/instructions/text_parts.h"

#include <algorithm>
#include <array>

#include <unicode/uchar.h>

#include "rewards/text.h"

namespace aha::rewards::instructions {
namespace {

using Text = std::u32string_view;

bool IsWordCharacter(CodePoint c) {
  return c == '_' || IsLetter(c) || IsMark(c) || u_isalnum(static_cast<UChar32>(c)) != 0;
}

bool IsCloser(CodePoint c) {
  return Text(U"\"'”’)]》」』*").find(c) != Text::npos;
}

bool IsStop(CodePoint c) {
  return Text(U".!?…").find(c) != Text::npos;
}

bool IsWideStop(CodePoint c) {
  return Text(U"。！？").find(c) != Text::npos;
}

// The word before the full stop at `i`: an initial, an abbreviation or the number of a list's item.
bool IsAbbreviated(Text text, std::size_t i) {
  constexpr std::array<Text, 16> kAbbreviations = {U"mr",  U"mrs", U"ms",  U"dr",    U"prof", U"st",
                                                   U"vs",  U"e.g", U"i.e", U"etc",   U"jr",   U"sr",
                                                   U"fig", U"no",  U"ca",  U"approx"};
  std::size_t begin = i;
  while (begin > 0 && i - begin < 16 &&
         (IsWordCharacter(text[begin - 1]) || text[begin - 1] == '.'))
    --begin;
  std::u32string word(text.substr(begin, i - begin));
  for (CodePoint& c : word)
    c = static_cast<CodePoint>(u_tolower(static_cast<UChar32>(c)));
  if (word.size() == 1 && IsLetter(word[0]) && text[begin] != 'I' && !IsHan(word[0])) return true;
  const bool digits = !word.empty() && std::all_of(word.begin(), word.end(), [](CodePoint c) {
    return c >= '0' && c <= '9';
  });
  if (digits && (begin == 0 || text[begin - 1] == '\n')) return true;
  if (std::find(kAbbreviations.begin(), kAbbreviations.end(), Text(word)) == kAbbreviations.end())
    return false;
  // "etc. The": the abbreviation ends the sentence when a capital follows.
  if (word != U"etc" && word != U"no") return true;
  std::size_t next = i + 1;
  while (next < text.size() && IsWhiteSpace(text[next]))
    ++next;
  return next < text.size() && u_isupper(static_cast<UChar32>(text[next])) == 0;
}

}  // namespace

std::u32string Lower(std::string_view text) {
  std::u32string out = DecodeUtf8(text);
  for (CodePoint& c : out)
    c = static_cast<CodePoint>(u_tolower(static_cast<UChar32>(c)));
  return out;
}

std::string_view Trimmed(std::string_view text) {
  constexpr std::string_view kBlanks = " \t\r\n\f\v";
  const auto first = text.find_first_not_of(kBlanks);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(kBlanks) - first + 1);
}

bool IsBlank(std::string_view text) {
  return Trimmed(text).empty();
}

std::vector<std::string_view> SplitAt(std::string_view text, std::string_view separator) {
  std::vector<std::string_view> parts;
  std::size_t begin = 0;
  for (auto at = text.find(separator); at != std::string_view::npos;
       at = text.find(separator, begin)) {
    parts.push_back(text.substr(begin, at - begin));
    begin = at + separator.size();
  }
  parts.push_back(text.substr(begin));
  return parts;
}

std::vector<std::string_view> Lines(std::string_view text) {
  auto lines = SplitAt(text, "\n");
  for (auto& line : lines) {
    if (line.ends_with('\r')) line.remove_suffix(1);
  }
  return lines;
}

std::vector<std::string> WordsOf(std::string_view text) {
  std::vector<std::string> words;
  bool inside = false;
  for (std::size_t at = 0; at < text.size();) {
    const CodePoint c = DecodeNext(text, &at).point;
    const bool alone = IsHan(c) || IsKana(c);
    if (!IsWordCharacter(c)) {
      inside = false;
      continue;
    }
    if (!inside || alone) words.emplace_back();
    AppendUtf8(c, &words.back());
    inside = !alone;
  }
  return words;
}

std::int64_t CountWordsOf(std::string_view text) {
  return static_cast<std::int64_t>(WordsOf(text).size());
}

bool HasWholeWord(Text text, Text word) {
  if (word.empty()) return false;
  for (std::size_t at = text.find(word); at != Text::npos; at = text.find(word, at + 1)) {
    const std::size_t end = at + word.size();
    const bool before = at > 0 && IsWordCharacter(text[at - 1]) && IsWordCharacter(word.front());
    const bool after =
        end < text.size() && IsWordCharacter(text[end]) && IsWordCharacter(word.back());
    // Where words are written without blanks there are no borders to ask for.
    if ((!before && !after) || IsHan(word.front()) || IsKana(word.front())) return true;
  }
  return false;
}

std::int64_t CountSentences(std::string_view bytes) {
  const std::u32string text = DecodeUtf8(bytes);
  std::int64_t count = 0;
  bool content = false;
  const auto end = [&] {
    count += content ? 1 : 0;
    content = false;
  };
  for (std::size_t i = 0; i < text.size(); ++i) {
    const CodePoint c = text[i];
    if (c == '\n' && i + 1 < text.size() && text[i + 1] == '\n') end();
    content = content || IsWordCharacter(c);
    if (IsWideStop(c)) end();
    if (!IsStop(c)) continue;
    std::size_t next = i + 1;
    while (next < text.size() && (IsStop(text[next]) || IsCloser(text[next])))
      ++next;
    const bool borders = next == text.size() || IsWhiteSpace(text[next]);
    if (borders && !(c == '.' && next == i + 1 && IsAbbreviated(text, i))) end();
    i = next - 1;
  }
  end();
  return count;
}

}  // namespace aha::rewards::instructions
