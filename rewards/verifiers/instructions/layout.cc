// Instructions about layout: lists, headings, sections, JSON, beginnings and ends.

#include <algorithm>
#include <cctype>

#include <nlohmann/json.hpp>

#include "rewards/text.h"
#include "rewards/verifiers/instructions/instructions.h"
#include "rewards/verifiers/instructions/text_parts.h"

namespace aha::rewards::instructions {
namespace {

using Json = nlohmann::json;

std::string LowerBytes(std::string_view text) {
  return EncodeUtf8(Lower(text));
}

// [ ... ] on one line, the shortest.
Result<bool> Placeholders(std::string_view text, const Json& arguments) {
  AHA_ASSIGN(const std::int64_t wanted, NumberArgument(arguments, "num_placeholders"));
  std::int64_t count = 0;
  for (const auto line : Lines(text)) {
    for (std::size_t at = line.find('['); at != std::string_view::npos;) {
      const auto close = line.find(']', at);
      if (close == std::string_view::npos) break;
      ++count;
      at = line.find('[', close);
    }
  }
  return count >= wanted;
}

// "P.S." and "P.P.S" also with a blank behind each stop and in any case; any other marker as it is.
Result<bool> Postscript(std::string_view text, const Json& arguments) {
  AHA_ASSIGN(const std::string marker, TextArgument(arguments, "postscript_marker"));
  const std::string lower = LowerBytes(text);
  const std::string sought = LowerBytes(Trimmed(marker));
  if (sought.empty()) return Fail(Code::kInvalidArgument, "'postscript_marker' is empty");
  if (sought != "p.s." && sought != "p.p.s" && sought != "p.p.s.") {
    return lower.find(sought) != std::string::npos;
  }
  std::string close;
  for (std::size_t i = 0; i < lower.size(); ++i) {
    const bool skip =
        i > 0 && std::isspace(static_cast<unsigned char>(lower[i])) != 0 && lower[i - 1] == '.';
    if (!skip) close.push_back(lower[i]);
  }
  return close.find(sought == "p.s." ? "p.s." : "p.p.s") != std::string::npos;
}

Result<bool> BulletLists(std::string_view text, const Json& arguments) {
  AHA_ASSIGN(const std::int64_t wanted, NumberArgument(arguments, "num_bullets"));
  std::int64_t count = 0;
  for (const auto line : Lines(text)) {
    const auto item = Trimmed(line);
    const bool star = item.size() > 1 && item[0] == '*' && item[1] != '*';
    count += star || item.starts_with('-') ? 1 : 0;
  }
  return count == wanted;
}

Result<bool> ConstrainedResponse(std::string_view text, const Json& arguments) {
  static_cast<void>(arguments);
  for (const std::string_view option :
       {"My answer is yes.", "My answer is no.", "My answer is maybe."}) {
    if (text.find(option) != std::string_view::npos) return true;
  }
  return false;
}

// Pieces between two marks (* or **) with no * or line break inside, one behind the other, as the
// pattern MARK[^\n*]*MARK finds them; those that are not blank.
std::int64_t CountMarked(std::string_view text, std::string_view mark) {
  std::int64_t count = 0;
  for (std::size_t at = text.find(mark); at != std::string_view::npos;) {
    const std::size_t begin = at + mark.size();
    const std::size_t end = std::min(text.find_first_of("*\n", begin), text.size());
    if (!text.substr(end).starts_with(mark)) {
      at = text.find(mark, at + 1);
      continue;
    }
    count += IsBlank(text.substr(begin, end - begin)) ? 0 : 1;
    at = text.find(mark, end + mark.size());
  }
  return count;
}

// *so* and **so**, both counted as IFEval counts them.
Result<bool> Highlights(std::string_view text, const Json& arguments) {
  AHA_ASSIGN(const std::int64_t wanted, NumberArgument(arguments, "num_highlights"));
  return CountMarked(text, "*") + CountMarked(text, "**") >= wanted;
}

// "Section 1", "SECTION 2" ...: the spelling that the instruction gives, then a number.
Result<bool> Sections(std::string_view text, const Json& arguments) {
  AHA_ASSIGN(const std::string name,
             TextArgument(arguments, arguments.contains("section_splitter") ? "section_splitter"
                                                                            : "section_spliter"));
  AHA_ASSIGN(const std::int64_t wanted, NumberArgument(arguments, "num_sections"));
  const std::string_view sought = Trimmed(name);
  if (sought.empty()) return Fail(Code::kInvalidArgument, "'section_spliter' is empty");
  std::int64_t count = 0;
  for (auto at = text.find(sought); at != std::string_view::npos;
       at = text.find(sought, at + sought.size())) {
    std::size_t next = at + sought.size();
    if (next < text.size() && std::isspace(static_cast<unsigned char>(text[next])) != 0) ++next;
    count += next < text.size() && text[next] >= '0' && text[next] <= '9' ? 1 : 0;
  }
  return count >= wanted;
}

Result<bool> Headings(std::string_view text, const Json& arguments) {
  std::int64_t count = 0;
  bool fenced = false;
  for (const auto line : Lines(text)) {
    if (line.starts_with("```")) fenced = !fenced;
    const auto level = line.find_first_not_of('#');
    if (fenced || level == std::string_view::npos || level < 1 || level > 6) continue;
    count += line[level] == ' ' && !IsBlank(line.substr(level)) ? 1 : 0;
  }
  return Compare(count, arguments, "relation", "num_headings");
}

Result<bool> JsonFormat(std::string_view text, const Json& arguments) {
  std::string_view body = Trimmed(text);
  for (const std::string_view fence : {"```json", "```Json", "```JSON", "```"}) {
    if (!body.starts_with(fence)) continue;
    body.remove_prefix(fence.size());
    break;
  }
  body = Trimmed(body);
  if (body.ends_with("```")) body = Trimmed(body.substr(0, body.size() - 3));
  // The parser itself goes as deep as the text; a text of a million brackets is no answer.
  std::size_t depth = 0;
  bool quoted = false;
  for (std::size_t i = 0; i < body.size(); ++i) {
    const char c = body[i];
    if (quoted && c == '\\') {
      ++i;
    } else if (c == '"') {
      quoted = !quoted;
    } else if (!quoted && (c == '[' || c == '{')) {
      if (++depth > 1000) return false;
    } else if (!quoted && (c == ']' || c == '}') && depth > 0) {
      --depth;
    }
  }
  const Json value = Json::parse(body, nullptr, /*allow_exceptions=*/false);
  if (value.is_discarded()) return false;
  if (!arguments.contains("schema")) return true;
  return FitsSchema(value, arguments["schema"]);
}

Result<bool> Title(std::string_view text, const Json& arguments) {
  static_cast<void>(arguments);
  for (const auto line : Lines(text)) {
    const auto open = line.find("<<");
    const auto close = line.rfind(">>");
    if (open == std::string_view::npos || close == std::string_view::npos || close <= open + 2) {
      continue;
    }
    std::string_view title = line.substr(open, close + 2 - open);
    title.remove_prefix(std::min(title.find_first_not_of('<'), title.size()));
    title.remove_suffix(title.size() - std::min(title.find_last_not_of('>') + 1, title.size()));
    if (!IsBlank(title)) return true;
  }
  return false;
}

Result<bool> TwoResponses(std::string_view text, const Json& arguments) {
  static_cast<void>(arguments);
  std::vector<std::string_view> valid;
  const auto parts = SplitAt(text, "******");
  for (std::size_t i = 0; i < parts.size(); ++i) {
    if (!IsBlank(parts[i])) {
      valid.push_back(Trimmed(parts[i]));
    } else if (i > 0 && i + 1 < parts.size()) {
      return false;
    }
  }
  return valid.size() == 2 && valid[0] != valid[1];
}

Result<bool> RepeatPrompt(std::string_view text, const Json& arguments) {
  AHA_ASSIGN(const std::string prompt, TextArgument(arguments, "prompt_to_repeat"));
  return LowerBytes(Trimmed(text)).starts_with(LowerBytes(Trimmed(prompt)));
}

Result<bool> EndsWith(std::string_view text, const Json& arguments) {
  AHA_ASSIGN(const std::string phrase, TextArgument(arguments, "end_phrase"));
  std::string_view end = Trimmed(text);
  while (end.ends_with('"'))
    end.remove_suffix(1);
  return LowerBytes(end).ends_with(LowerBytes(Trimmed(phrase)));
}

Result<bool> StartsWith(std::string_view text, const Json& arguments) {
  AHA_ASSIGN(const std::string phrase, TextArgument(arguments, "start_phrase"));
  std::string_view start = Trimmed(text);
  while (start.starts_with('"'))
    start.remove_prefix(1);
  return LowerBytes(start).starts_with(LowerBytes(Trimmed(phrase)));
}

Result<bool> Quotation(std::string_view text, const Json& arguments) {
  static_cast<void>(arguments);
  const std::string_view body = Trimmed(text);
  return body.size() > 1 && body.front() == '"' && body.back() == '"';
}

}  // namespace

void AddLayoutKinds(std::map<std::string, Check, std::less<>>* kinds) {
  kinds->insert({{"detectable_content:number_placeholders", Placeholders},
                 {"detectable_content:postscript", Postscript},
                 {"detectable_format:number_bullet_lists", BulletLists},
                 {"detectable_format:constrained_response", ConstrainedResponse},
                 {"detectable_format:number_highlighted_sections", Highlights},
                 {"detectable_format:multiple_sections", Sections},
                 {"detectable_format:number_headings", Headings},
                 {"detectable_format:json_format", JsonFormat},
                 {"detectable_format:title", Title},
                 {"combination:two_responses", TwoResponses},
                 {"combination:repeat_prompt", RepeatPrompt},
                 {"startend:end_checker", EndsWith},
                 {"startend:start_checker", StartsWith},
                 {"startend:quotation", Quotation}});
}

}  // namespace aha::rewards::instructions
