#include "pipelines/recipes/parse.h"

#include <algorithm>
#include <optional>
#include <utility>
#include <vector>

#include <fmt/ranges.h>
#include <google/protobuf/io/tokenizer.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>
#include <google/protobuf/text_format.h>

#include "pipelines/recipes/nearest.h"
#include "pipelines/recipes/schema.h"

namespace aha::pipelines {
namespace {

namespace pb = google::protobuf;

constexpr int kDeepestNesting = 32;
constexpr std::size_t kLongestRecipe = std::size_t{16} << 20U;

// Lines and columns count from 0, as protobuf gives them.
struct Position {
  int line = 0;
  int column = 0;
  auto operator<=>(const Position&) const = default;
};

class FirstError : public pb::io::ErrorCollector {
 public:
  void AddError(int line, pb::io::ColumnNumber column, const std::string& message) override {
    if (!found_) found_ = {{line, column}, message};
  }
  [[nodiscard]] const auto& found() const { return found_; }

 private:
  std::optional<std::pair<Position, std::string>> found_;
};

// What encloses a position of the text, and the last key begun before it.
struct Context {
  std::vector<std::string> path;
  std::string key;
  Position key_at;
};

// Protobuf says where it stumbled, not under which keys: a second walk over the tokens does.
Context ContextAt(std::string_view text, Position end) {
  pb::io::ArrayInputStream stream(text.data(), static_cast<int>(text.size()));
  FirstError ignored;
  pb::io::Tokenizer tokens(&stream, &ignored);
  tokens.set_comment_style(pb::io::Tokenizer::SH_COMMENT_STYLE);
  tokens.set_allow_f_after_float(true);
  tokens.set_require_space_after_number(false);
  Context context;
  bool after_colon = false;
  while (tokens.Next()) {
    const auto& token = tokens.current();
    if (Position{token.line, token.column} >= end) break;
    if (token.type == pb::io::Tokenizer::TYPE_IDENTIFIER && !after_colon) {
      context.key = token.text;
      context.key_at = {token.line, token.column};
    } else if (token.text == "{" || token.text == "<") {
      context.path.push_back(std::exchange(context.key, ""));
    } else if ((token.text == "}" || token.text == ">") && !context.path.empty()) {
      context.key = context.path.back();  // a list's next element has no name of its own
      context.path.pop_back();
    }
    after_colon = token.text == ":";
  }
  return context;
}

std::string PlaceText(const std::string& source, Position at) {
  return fmt::format("{}:{}:{}", source, at.line + 1, at.column + 1);
}

// "did you mean", or the messages that do have such a key, or all valid keys.
std::string SuggestKey(const std::string& key, const MessageType& type) {
  const auto names = KeyNames(type);
  if (Nearest(key, names)) return Suggestion(key, names);
  std::vector<std::string> homes;
  for (const auto& [path, field] : AllKeyPaths()) {
    const std::size_t dot = path.rfind('.');
    if (field->name() != key) continue;
    homes.push_back(dot == std::string::npos ? "the recipe itself" : path.substr(0, dot));
  }
  const std::string belongs = fmt::format("it belongs in {}; ", fmt::join(homes, " or "));
  return (homes.empty() ? "" : belongs) + Suggestion(key, names);
}

// The name of an unknown key and the message it was looked for in, out of protobuf's sentence
// `Message type "T" has no field named "K".`
std::optional<std::pair<const MessageType*, std::string>> UnknownKey(const std::string& sentence) {
  static constexpr std::string_view kBefore = "Message type \"";
  static constexpr std::string_view kBetween = "\" has no field named \"";
  const std::size_t between = sentence.find(kBetween);
  if (!sentence.starts_with(kBefore) || between == std::string::npos) return std::nullopt;
  const auto* type = pb::DescriptorPool::generated_pool()->FindMessageTypeByName(
      sentence.substr(kBefore.size(), between - kBefore.size()));
  const std::size_t start = between + kBetween.size();
  if (type == nullptr) return std::nullopt;
  return std::pair(type, sentence.substr(start, sentence.find('"', start) - start));
}

Error Explained(std::string_view text,
                const std::string& source,
                Position at,
                std::string sentence) {
  const Context context = ContextAt(text, at);
  const std::string inside =
      context.path.empty() ? "the recipe" : fmt::format("{}", fmt::join(context.path, "."));
  if (const auto unknown = UnknownKey(sentence)) {
    return {Code::kInvalidArgument,
            fmt::format("{}: unknown key `{}` in {}; {}", PlaceText(source, context.key_at),
                        unknown->second, inside, SuggestKey(unknown->second, *unknown->first))};
  }
  if (sentence.ends_with('.')) sentence.pop_back();
  if (context.key.empty()) {
    return {Code::kInvalidArgument,
            fmt::format("{}: in {}: {}", PlaceText(source, at), inside, sentence)};
  }
  return {Code::kInvalidArgument,
          fmt::format("{}: `{}` in {}: {}", PlaceText(source, at), context.key, inside, sentence)};
}

void RecordPlaces(const pb::Message& message,
                  const pb::TextFormat::ParseInfoTree& tree,
                  const std::string& source,
                  const std::string& prefix,
                  Places& places) {
  std::vector<const Field*> keys;
  message.GetReflection()->ListFields(message, &keys);
  for (const Field* key : keys) {
    const bool many = key->is_repeated();
    const int count = many ? message.GetReflection()->FieldSize(message, key) : 1;
    for (int i = 0; i < count; ++i) {
      const std::string path = JoinPath(prefix, key->name(), many ? i : -1);
      // A list in brackets has one location for all of its elements.
      auto at = tree.GetLocation(key, many ? i : -1);
      if (at.line < 0) at = tree.GetLocation(key, many ? 0 : -1);
      if (at.line >= 0) places.Set(path, PlaceText(source, {at.line, at.column}));
      if (!IsMessage(*key)) continue;
      const auto* nested = tree.GetTreeForNested(key, many ? i : -1);
      if (nested == nullptr) continue;
      const auto& child = many ? message.GetReflection()->GetRepeatedMessage(message, key, i)
                               : message.GetReflection()->GetMessage(message, key);
      RecordPlaces(child, *nested, source, path, places);
    }
  }
}

}  // namespace

Result<ParsedRecipe> ParseRecipeText(std::string_view text, const std::string& source) {
  if (text.size() > kLongestRecipe) {
    return Fail(Code::kInvalidArgument, "{}: {} bytes is too long for a recipe; at most {}", source,
                text.size(), kLongestRecipe);
  }
  ParsedRecipe parsed{{}, Places(source)};
  FirstError errors;
  pb::TextFormat::ParseInfoTree tree;
  pb::TextFormat::Parser parser;
  parser.RecordErrorsTo(&errors);
  parser.WriteLocationsTo(&tree);
  parser.SetRecursionLimit(kDeepestNesting);
  pb::io::ArrayInputStream stream(text.data(), static_cast<int>(text.size()));
  if (!parser.Parse(&stream, &parsed.recipe)) {
    const auto [at, sentence] =
        errors.found().value_or(std::pair(Position{}, std::string("not protobuf text")));
    return tl::unexpected<Error>(Explained(text, source, at, sentence));
  }
  RecordPlaces(parsed.recipe, tree, source, "", parsed.places);
  return parsed;
}

}  // namespace aha::pipelines
