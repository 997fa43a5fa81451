#include "pipelines/data/jsonl.h"

#include <fstream>
#include <string_view>
#include <utility>

#include <nlohmann/json.hpp>

namespace aha::pipelines {
namespace {

using Json = nlohmann::json;

constexpr std::size_t kMostLineBytes = std::size_t{16} << 20U;
constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";
constexpr std::string_view kBlanks = " \t\r\n\v\f";

std::string_view Trim(std::string_view text) {
  const std::size_t first = text.find_first_not_of(kBlanks);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(kBlanks) - first + 1);
}

enum class LineEnd : std::uint8_t { kLine, kEndOfFile, kTooLong };

// The next line without its end. A last line without a newline counts; nothing after one does not.
LineEnd NextLine(std::istream& in, std::string& line) {
  line.clear();
  std::streambuf& bytes = *in.rdbuf();
  for (int c = bytes.sbumpc(); c != std::char_traits<char>::eof(); c = bytes.sbumpc()) {
    if (c == '\n') return LineEnd::kLine;
    if (line.size() == kMostLineBytes) return LineEnd::kTooLong;
    line.push_back(static_cast<char>(c));
  }
  return line.empty() ? LineEnd::kEndOfFile : LineEnd::kLine;
}

Result<std::string> TextOf(const Json& row, const std::string& key) {
  const auto found = row.find(key);
  if (found == row.end()) {
    return Fail(Code::kCorrupt, "no key \"{}\"", key);
  }
  if (!found->is_string() && !found->is_number()) {
    return Fail(Code::kCorrupt, "\"{}\" is of type {}, give text or a number", key,
                found->type_name());
  }
  std::string text = found->is_string() ? found->get<std::string>() : found->dump();
  if (Trim(text).empty()) return Fail(Code::kCorrupt, "\"{}\" is empty", key);
  return text;
}

Result<std::string> ReferenceIn(std::string_view answer, const proto::Jsonl& spec) {
  if (!spec.answer_mark().empty()) {
    const std::size_t mark = answer.rfind(spec.answer_mark());
    if (mark == std::string_view::npos) {
      return Fail(Code::kCorrupt,
                  "no \"{}\" in \"{}\"; set answer_mark to \"\" where the whole answer is meant",
                  spec.answer_mark(), spec.answer());
    }
    answer.remove_prefix(mark + spec.answer_mark().size());
  }
  const std::string_view reference = Trim(answer);
  if (reference.empty()) {
    return Fail(Code::kCorrupt, "nothing after \"{}\" in \"{}\"", spec.answer_mark(),
                spec.answer());
  }
  return std::string(reference);
}

Result<JsonlRow> ReadRow(std::string_view line, const proto::Jsonl& spec) {
  const Result<Json> parsed = Guard("not JSON", [&] { return Json::parse(line); });
  if (!parsed) {
    const Code code = parsed.error().code;
    return Fail(code == Code::kExhausted ? code : Code::kCorrupt, "{}", parsed.error().message);
  }
  if (!parsed->is_object()) {
    return Fail(Code::kCorrupt, "of type {}, give a JSON object", parsed->type_name());
  }
  JsonlRow row;
  AHA_ASSIGN(row.question, TextOf(*parsed, spec.question()));
  AHA_ASSIGN(row.answer, TextOf(*parsed, spec.answer()));
  AHA_ASSIGN(row.reference, ReferenceIn(row.answer, spec));
  return row;
}

}  // namespace

Result<std::vector<JsonlRow>> ReadJsonl(const proto::Jsonl& spec,
                                        const std::filesystem::path& folder) {
  const std::filesystem::path path = folder / spec.path();
  std::error_code ignored;
  std::ifstream in(path, std::ios::binary);
  if (!in || std::filesystem::is_directory(path, ignored)) {
    return Fail(Code::kNotFound, "{}: cannot be read; check the path", path.string());
  }
  std::vector<JsonlRow> rows;
  std::uint64_t blank = 0;  // line of the first blank one since the last row
  std::string line;
  for (std::uint64_t number = 1; spec.limit() == 0 || rows.size() < spec.limit(); ++number) {
    const LineEnd end = NextLine(in, line);
    if (end == LineEnd::kEndOfFile) break;
    if (end == LineEnd::kTooLong) {
      return Fail(Code::kCorrupt, "{}:{}: longer than {} bytes", path.string(), number,
                  kMostLineBytes);
    }
    std::string_view text = line;
    if (number == 1 && text.starts_with(kByteOrderMark)) text.remove_prefix(kByteOrderMark.size());
    if (Trim(text).empty()) {
      if (blank == 0) blank = number;
      continue;
    }
    if (blank != 0) return Fail(Code::kCorrupt, "{}:{}: a blank line", path.string(), blank);
    Result<JsonlRow> row = ReadRow(text, spec);
    if (!row) return Within(std::move(row).error(), "{}:{}", path.string(), number);
    row->line = number;
    rows.push_back(std::move(*row));
  }
  if (rows.empty()) return Fail(Code::kCorrupt, "{}: no rows", path.string());
  return rows;
}

}  // namespace aha::pipelines
