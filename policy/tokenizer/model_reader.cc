#include "policy/tokenizer/model_reader.h"

#include <array>
#include <charconv>
#include <optional>

#include "policy/checkpoint/strict_json.h"
#include "policy/tokenizer/utf8.h"

namespace aha::policy {
namespace {

// A place in JSON text. Functions that fail leave `ok` false and never read beyond the end.
class Cursor {
 public:
  Cursor(std::string_view text, std::size_t at) : text_(text), at_(at) {}

  [[nodiscard]] std::size_t at() const { return at_; }
  // The next byte that is no blank; NUL at the end.
  char Peek() {
    while (at_ < text_.size() &&
           (text_[at_] == ' ' || text_[at_] == '\n' || text_[at_] == '\t' || text_[at_] == '\r'))
      ++at_;
    return at_ < text_.size() ? text_[at_] : '\0';
  }
  bool Take(char c) {
    if (Peek() != c) return false;
    ++at_;
    return true;
  }

  // A string; a view into the text, or into `unescaped` when it has escapes.
  std::optional<std::string_view> String(std::string* unescaped) {
    if (!Take('"')) return std::nullopt;
    const std::size_t begin = at_;
    while (at_ < text_.size() && text_[at_] != '"' && text_[at_] != '\\') {
      if (static_cast<unsigned char>(text_[at_]) < 0x20) return std::nullopt;
      ++at_;
    }
    if (at_ >= text_.size()) return std::nullopt;
    if (text_[at_] == '"') return text_.substr(begin, at_++ - begin);
    unescaped->assign(text_, begin, at_ - begin);
    while (at_ < text_.size() && text_[at_] != '"') {
      if (static_cast<unsigned char>(text_[at_]) < 0x20) return std::nullopt;
      if (text_[at_] != '\\') {
        unescaped->push_back(text_[at_++]);
      } else if (!Escape(unescaped)) {
        return std::nullopt;
      }
    }
    if (at_ >= text_.size()) return std::nullopt;
    ++at_;
    return *unescaped;
  }

  // A value's text, for values that are not looked into: brackets are matched, strings skipped.
  std::optional<std::string_view> Value() {
    Peek();
    const std::size_t begin = at_;
    std::array<char, kMaxJsonDepth> open;
    std::size_t depth = 0;
    do {
      const char c = Peek();
      if (c == '"') {
        if (!SkipString()) return std::nullopt;
      } else if (c == '{' || c == '[') {
        if (depth == open.size()) return std::nullopt;
        open[depth++] = c == '{' ? '}' : ']';
        ++at_;
      } else if (c == '}' || c == ']') {
        if (depth == 0 || open[--depth] != c) return std::nullopt;
        ++at_;
      } else if (c == ',' || c == ':') {
        if (depth == 0) return std::nullopt;
        ++at_;
      } else if (!SkipWord()) {
        return std::nullopt;
      }
    } while (depth > 0);
    return text_.substr(begin, at_ - begin);
  }

 private:
  bool SkipString() {
    for (++at_; at_ < text_.size(); ++at_) {
      if (text_[at_] == '"') {
        ++at_;
        return true;
      }
      if (text_[at_] == '\\') ++at_;
    }
    return false;
  }
  // Numbers and names.
  bool SkipWord() {
    const std::size_t begin = at_;
    while (at_ < text_.size() &&
           std::string_view(" \n\t\r,:]}[{\"").find(text_[at_]) == std::string_view::npos)
      ++at_;
    return at_ > begin;
  }
  std::optional<std::uint32_t> Hex4() {
    if (text_.size() - at_ < 4) return std::nullopt;
    std::uint32_t value = 0;
    const char* begin = text_.data() + at_;
    const auto [end, error] = std::from_chars(begin, begin + 4, value, 16);
    if (error != std::errc() || end != begin + 4) return std::nullopt;
    at_ += 4;
    return value;
  }
  bool Escape(std::string* out) {
    constexpr std::string_view kNames = "\"\\/bfnrt";
    constexpr std::string_view kMeant = "\"\\/\b\f\n\r\t";
    if (text_.size() - at_ < 2) return false;
    const char c = text_[at_ + 1];
    at_ += 2;
    if (c != 'u') {
      const std::size_t index = kNames.find(c);
      if (index == std::string_view::npos) return false;
      out->push_back(kMeant[index]);
      return true;
    }
    const auto first = Hex4();
    if (!first || (*first >= 0xDC00 && *first <= 0xDFFF)) return false;
    char32_t code = *first;
    if (code >= 0xD800 && code <= 0xDBFF) {
      if (text_.substr(at_, 2) != "\\u") return false;
      at_ += 2;
      const auto second = Hex4();
      if (!second || *second < 0xDC00 || *second > 0xDFFF) return false;
      code = 0x10000 + ((code - 0xD800) << 10U) + (*second - 0xDC00);
    }
    AppendUtf8(code, *out);
    return true;
  }

  std::string_view text_;
  std::size_t at_;
};

tl::unexpected<Error> NoJson(std::string_view where, std::size_t at) {
  return Fail(Code::kCorrupt, "{}: is not valid JSON {} bytes into it", where, at);
}

// Calls `member(key, cursor)` for each member of the object at `cursor`; it must take the value.
template <class Member>
bool EachMember(Cursor& cursor, const Member& member) {
  if (!cursor.Take('{')) return false;
  if (cursor.Take('}')) return true;
  std::string buffer;
  do {
    const auto key = cursor.String(&buffer);
    if (!key || !cursor.Take(':') || !member(*key)) return false;
  } while (cursor.Take(','));
  return cursor.Take('}');
}

}  // namespace

Result<ModelParts> CutModelParts(std::string_view text) {
  ModelParts parts;
  Cursor cursor(text, 0);
  std::size_t copied = 0;
  bool twice = false;
  const auto cut = [&](std::string_view* part, char opener) {
    const bool fits = cursor.Peek() == opener;
    const auto value = cursor.Value();
    if (!value) return false;
    if (!fits) return true;
    twice = twice || !part->empty();
    *part = *value;
    parts.rest.append(text, copied, static_cast<std::size_t>(value->data() - text.data()) - copied);
    parts.rest += "null";
    copied = cursor.at();
    return true;
  };
  const auto in_model = [&](std::string_view key) {
    if (key == "vocab") return cut(&parts.vocab, '{');
    if (key == "merges") return cut(&parts.merges, '[');
    return cursor.Value().has_value();
  };
  const auto at_top = [&](std::string_view key) {
    if (key == "model" && cursor.Peek() == '{') return EachMember(cursor, in_model);
    return cursor.Value().has_value();
  };
  const bool whole = cursor.Peek() == '{' ? EachMember(cursor, at_top) : cursor.Value().has_value();
  if (!whole || twice) {
    if (twice) return Fail(Code::kCorrupt, "model: has vocab or merges twice");
    return Fail(Code::kCorrupt, "is not valid JSON {} bytes into it", cursor.at());
  }
  parts.rest.append(text, copied);
  return parts;
}

Result<TokenTable> ReadVocab(std::string_view json, std::string_view where) {
  TokenTable table;
  table.Reserve(json.size() / 24, json.size() / 3);
  Cursor cursor(json, 0);
  Status status;
  const auto refuse = [&](std::string_view token, std::string_view why) {
    status = Fail(Code::kCorrupt, "{}[\"{}\"]: {}", where, token, why);
    return false;
  };
  const auto member = [&](std::string_view token) {
    const auto value = cursor.Value();
    if (!value) return false;
    std::int64_t id = 0;
    const auto [end, error] = std::from_chars(value->data(), value->data() + value->size(), id);
    const bool padded = value->size() > 1 && value->front() == '0';
    if (padded || end != value->data() + value->size() ||
        (error != std::errc() && error != std::errc::result_out_of_range)) {
      return refuse(token, fmt::format("{} is not an integer", value->substr(0, 40)));
    }
    if (error != std::errc() || id < 0 || id > TokenTable::kMaxId) {
      return refuse(token, fmt::format("id {} is not between 0 and {}", value->substr(0, 40),
                                       TokenTable::kMaxId));
    }
    const TokenTable::Added added = table.Add(token, static_cast<std::int32_t>(id));
    if (added == TokenTable::Added::kSameToken) return refuse(token, "is there twice");
    if (added == TokenTable::Added::kSameId)
      return refuse(token, fmt::format("another token has id {} too", id));
    return true;
  };
  if (!EachMember(cursor, member)) {
    if (!status) return tl::unexpected<Error>(status.error());
    return NoJson(where, cursor.at());
  }
  return table;
}

Result<bool> MergeReader::Next(Merge* merge) {
  while (true) {
    Cursor cursor(text_, at_);
    if (!begun_) {
      if (!cursor.Take('[')) return NoJson(where_, cursor.at());
      begun_ = true;
      if (cursor.Take(']')) {
        at_ = cursor.at();
        return cursor.at() == text_.size() ? Result<bool>(false) : NoJson(where_, cursor.at());
      }
    } else if (!cursor.Take(',')) {
      if (!cursor.Take(']') || cursor.at() != text_.size()) return NoJson(where_, cursor.at());
      at_ = cursor.at() - 1;  // stays before the bracket: asked again, says the same
      return false;
    }
    const char kind = cursor.Peek();
    at_ = cursor.at();
    merge->index = index_++;
    if (kind == '[') return Pair(merge);
    const auto line = kind == '"' ? cursor.String(&left_) : std::nullopt;
    if (!line)
      return Fail(Code::kCorrupt, "{}[{}]: must be \"a b\" or [\"a\", \"b\"]", where_,
                  merge->index);
    at_ = cursor.at();
    if (!line->starts_with("#version")) return Line(*line, merge);
  }
}

Result<bool> MergeReader::Pair(Merge* merge) {
  Cursor cursor(text_, at_);
  cursor.Take('[');
  const auto left = cursor.String(&left_);
  const bool comma = left && cursor.Take(',');
  const auto right = comma ? cursor.String(&right_) : std::nullopt;
  if (!right || !cursor.Take(']')) {
    return Fail(Code::kCorrupt, "{}[{}]: must be \"a b\" or [\"a\", \"b\"]", where_, merge->index);
  }
  at_ = cursor.at();
  merge->left = *left;
  merge->right = *right;
  return true;
}

Result<bool> MergeReader::Line(std::string_view line, Merge* merge) {
  const std::size_t space = line.find(' ');
  if (space == std::string_view::npos || line.find(' ', space + 1) != std::string_view::npos) {
    return Fail(Code::kCorrupt, "{}[{}]: \"{}\" is not two tokens with a space between", where_,
                merge->index, line);
  }
  merge->left = line.substr(0, space);
  merge->right = line.substr(space + 1);
  return true;
}

}  // namespace aha::policy
