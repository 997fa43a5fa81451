// aha tokenize, detokenize.

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdio>
#include <memory>
#include <optional>

#include "pipelines/commands/command.h"
#include "policy/tokenizer/tokenizer.h"
#include "policy/tokenizer/utf8.h"

namespace aha::pipelines {
namespace {

namespace fs = std::filesystem;

struct TokenOptions {
  std::string folder;
  bool lines = false, json = false, replace_invalid = false;
};

constexpr std::size_t kBlock = std::size_t{1} << 20U;

// Standard input, a line or all of it at a time.
class Input {
 public:
  Status ReadAll(std::string* text) {
    while (Fill()) {
    }
    *text = std::move(buffer_);
    return Check();
  }

  // The next line without its newline; false at the end.
  Result<bool> Line(std::string* line) {
    std::size_t looked = at_;
    while (true) {
      const std::size_t end = buffer_.find('\n', looked);
      if (end != std::string::npos) {
        line->assign(buffer_, at_, end - at_);
        at_ = end + 1;
        return true;
      }
      looked = buffer_.size() - at_;
      buffer_.erase(0, at_);
      at_ = 0;
      if (Fill()) continue;
      AHA_TRY(Check());
      if (buffer_.empty()) return false;
      *line = std::move(buffer_);
      buffer_.clear();
      return true;
    }
  }

 private:
  bool Fill() {
    const std::size_t before = buffer_.size();
    buffer_.resize(before + kBlock);
    buffer_.resize(before + std::fread(buffer_.data() + before, 1, kBlock, stdin));
    return buffer_.size() > before;
  }
  static Status Check() {
    if (std::ferror(stdin) == 0) return {};
    return Fail(Code::kInternal, "standard input cannot be read");
  }

  std::string buffer_;
  std::size_t at_ = 0;
};

// Standard output, gathered into blocks.
class Output {
 public:
  Output() { text_.reserve(2 * kBlock); }
  void Add(std::string_view text) {
    text_ += text;
    if (text_.size() >= kBlock) Write();
  }
  void Add(std::int32_t number) {
    std::array<char, 16> digits;
    const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), number).ptr;
    Add(std::string_view(digits.data(), static_cast<std::size_t>(end - digits.data())));
  }
  Status Finish() {
    Write();
    if (std::fflush(stdout) == 0 && !failed_) return {};
    return Fail(Code::kInternal, "standard output cannot be written");
  }

 private:
  void Write() {
    failed_ = failed_ || std::fwrite(text_.data(), 1, text_.size(), stdout) != text_.size();
    text_.clear();
  }
  std::string text_;
  bool failed_ = false;
};

Result<policy::Tokenizer> LoadTokenizer(const fs::path& path) {
  return policy::Tokenizer::Load(fs::is_directory(path) ? path / "tokenizer.json" : path);
}

// What goes before an error about line `number`; nothing when there are no lines.
std::string Where(std::size_t number) {
  return number == 0 ? std::string() : fmt::format("line {}: ", number);
}

void PrintIds(std::span<const std::int32_t> ids, bool json, Output& output) {
  if (json) output.Add("{\"ids\":[");
  bool first = true;
  for (const std::int32_t id : ids) {
    if (!first) output.Add(json ? "," : " ");
    first = false;
    output.Add(id);
  }
  output.Add(json ? "]}\n" : "\n");
}

Status Tokenize(const policy::Tokenizer& tokenizer,
                std::string text,
                std::size_t line,
                const TokenOptions& o,
                Output& output) {
  if (const auto bad = policy::FirstInvalidUtf8(text)) {
    if (!o.replace_invalid) {
      return Fail(
          Code::kInvalidArgument,
          "{}the text to tokenize is not UTF-8 at byte {}; --replace-invalid puts U+FFFD there",
          Where(line), *bad);
    }
    text = policy::TakeUtf8(text, /*last=*/true);
  }
  const auto ids = tokenizer.Encode(text);
  if (!ids) return Fail(ids.error().code, "{}{}", Where(line), ids.error().message);
  PrintIds(*ids, o.lines || o.json, output);
  return {};
}

Status RunTokenize(const TokenOptions& o) {
  AHA_ASSIGN(const policy::Tokenizer tokenizer, LoadTokenizer(o.folder));
  Input input;
  Output output;
  std::string text;
  if (!o.lines) {
    AHA_TRY(input.ReadAll(&text));
    AHA_TRY(Tokenize(tokenizer, std::move(text), 0, o, output));
    return output.Finish();
  }
  for (std::size_t number = 1;; ++number) {
    AHA_ASSIGN(const bool more, input.Line(&text));
    if (!more) return output.Finish();
    if (Status done = Tokenize(tokenizer, text, number, o, output); !done) {
      AHA_TRY(output.Finish());
      return done;
    }
  }
}

Result<std::vector<std::int32_t>> IdsInJson(const std::string& text, std::size_t line) {
  const Json object = Json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (!object.is_object() || !object.contains("ids") || !object["ids"].is_array()) {
    return Fail(Code::kInvalidArgument, "{}not a JSON object with \"ids\": {}", Where(line),
                text.substr(0, 80));
  }
  std::vector<std::int32_t> ids;
  for (const Json& id : object["ids"]) {
    if (!id.is_number_integer() || id < 0 || id > INT32_MAX) {
      return Fail(Code::kInvalidArgument, "{}\"ids\" holds {}, not a token id", Where(line),
                  id.dump().substr(0, 40));
    }
    ids.push_back(id.get<std::int32_t>());
  }
  return ids;
}

// Numbers between blanks or commas, or a JSON object with "ids".
Result<std::vector<std::int32_t>> ParseIds(const std::string& text, std::size_t line) {
  constexpr std::string_view kBlanks = " ,\t\r\n";
  const std::size_t first = text.find_first_not_of(kBlanks);
  if (first != std::string::npos && text[first] == '{') return IdsInJson(text, line);
  std::vector<std::int32_t> ids;
  for (std::size_t at = first; at < text.size();) {
    std::int32_t id = 0;
    const auto [end, error] = std::from_chars(text.data() + at, text.data() + text.size(), id);
    const auto after = static_cast<std::size_t>(end - text.data());
    const bool whole = after == text.size() || kBlanks.find(text[after]) != std::string_view::npos;
    if (error != std::errc() || !whole || id < 0) {
      const std::size_t stop = std::min(text.find_first_of(kBlanks, at), at + 40);
      return Fail(Code::kInvalidArgument, "{}\"{}\" is not a token id", Where(line),
                  text.substr(at, stop - at));
    }
    ids.push_back(id);
    at = text.find_first_not_of(kBlanks, after);
  }
  return ids;
}

Status RunDetokenize(const TokenOptions& o) {
  AHA_ASSIGN(const policy::Tokenizer tokenizer, LoadTokenizer(o.folder));
  Input input;
  Output output;
  std::string text;
  if (!o.lines) {
    AHA_TRY(input.ReadAll(&text));
    AHA_ASSIGN(const std::vector<std::int32_t> ids, ParseIds(text, 0));
    output.Add(tokenizer.Decode(ids));
    return output.Finish();
  }
  for (std::size_t number = 1;; ++number) {
    AHA_ASSIGN(const bool more, input.Line(&text));
    if (!more) return output.Finish();
    const auto ids = ParseIds(text, number);
    if (!ids) {
      AHA_TRY(output.Finish());
      return tl::unexpected<Error>(ids.error());
    }
    output.Add(Json({{"text", tokenizer.Decode(*ids)}}).dump() + "\n");
  }
}

}  // namespace

void AddTokenCommands(CLI::App& app, Action& action) {
  for (const bool encode : {true, false}) {
    auto o = std::make_shared<TokenOptions>();
    CLI::App* command = app.add_subcommand(
        encode ? "tokenize" : "detokenize",
        encode ? "Text on standard input to token ids" : "Token ids on standard input to text");
    command->add_option("folder", o->folder, "Model folder, or a tokenizer.json")->required();
    command->add_flag("--lines", o->lines, "Each input line by itself, one line of JSON each");
    if (encode) command->add_flag("--json", o->json, "Print one line of JSON");
    if (encode)
      command->add_flag("--replace-invalid", o->replace_invalid,
                        "Bytes that are no UTF-8 become U+FFFD instead of an error");
    command->callback([&action, o, encode] {
      action = [o, encode] { return encode ? RunTokenize(*o) : RunDetokenize(*o); };
    });
  }
}

}  // namespace aha::pipelines
