#include "pipelines/recipes/explain.h"

#include <algorithm>
#include <memory>
#include <vector>

#include <fmt/ranges.h>
#include <google/protobuf/descriptor.pb.h>

#include "pipelines/recipes/nearest.h"
#include "pipelines/recipes/places.h"
#include "pipelines/recipes/presets.h"
#include "pipelines/recipes/schema.h"

namespace aha::proto {
extern const unsigned char kRecipeDescriptors[];
extern const std::size_t kRecipeDescriptorsSize;
}  // namespace aha::proto

namespace aha::pipelines {
namespace {

namespace pb = google::protobuf;

// The schema with its comments, which generated code drops.
class CommentedSchema {
 public:
  static Result<std::unique_ptr<CommentedSchema>> Load() {
    pb::FileDescriptorSet files;
    if (!files.ParseFromArray(proto::kRecipeDescriptors,
                              static_cast<int>(proto::kRecipeDescriptorsSize))) {
      return Fail(Code::kInternal, "the embedded recipe schema cannot be read");
    }
    auto schema = std::make_unique<CommentedSchema>();
    for (const pb::FileDescriptorProto& file : files.file()) {
      if (schema->pool_.BuildFile(file) == nullptr) {
        return Fail(Code::kInternal, "the embedded recipe schema is broken in {}", file.name());
      }
    }
    return schema;
  }

  // The key's comment; without one, that of the closest key above that has one, which often speaks
  // of both, under that key's name. Empty when there is none.
  [[nodiscard]] std::string KeyComment(const Field& key) const {
    const auto* type = pool_.FindMessageTypeByName(key.containing_type()->full_name());
    const Field* found = type == nullptr ? nullptr : type->FindFieldByName(key.name());
    if (found == nullptr) return {};
    std::string comment = CommentOf(*found);
    if (!comment.empty()) return comment;
    for (int i = found->index() - 1; i >= 0 && comment.empty(); --i) {
      comment = CommentOf(*type->field(i));
      if (!comment.empty()) return fmt::format("See {}: {}", type->field(i)->name(), comment);
    }
    return {};
  }

  [[nodiscard]] std::string TypeComment(const MessageType& type) const {
    const auto* found = pool_.FindMessageTypeByName(type.full_name());
    return found == nullptr ? std::string() : CommentOf(*found);
  }

 private:
  template <class Described>
  static std::string CommentOf(const Described& item) {
    pb::SourceLocation location;
    if (!item.GetSourceLocation(&location)) return {};
    std::string text;
    for (const char c : location.leading_comments) {
      if (c == ' ' && (text.empty() || text.back() == '\n')) continue;
      text += c;
    }
    while (!text.empty() && text.back() == '\n')
      text.pop_back();
    return text;
  }

  pb::DescriptorPool pool_;
};

void AppendIndented(std::string& out, std::string_view text) {
  out += "  ";
  for (const char c : text) {
    out += c;
    if (c == '\n') out += "  ";
  }
  out += '\n';
}

std::string DefaultText(const Field& key) {
  const auto* prototype =
      pb::MessageFactory::generated_factory()->GetPrototype(key.containing_type());
  return ValueText(*prototype, key);
}

void AppendFacts(std::string& out, const Field& key) {
  const proto::KeyOptions& options = OptionsOf(key);
  const auto line = [&](std::string_view name, const std::string& text) {
    out += fmt::format("  {:<9} {}\n", name, text);
  };
  line("type", key.is_repeated() ? fmt::format("list of {}", TypeName(key)) : TypeName(key));
  if (options.required()) line("default", "none: it must be set");
  if (key.has_default_value()) line("default", DefaultText(key));
  if (options.has_min() && options.has_max()) {
    line("range", fmt::format("{} to {}", options.min(), options.max()));
  } else if (options.has_min()) {
    line("range", fmt::format("at least {}", options.min()));
  } else if (options.has_max()) {
    line("range", fmt::format("at most {}", options.max()));
  }
  if (options.one_of_size() > 0)
    line("allowed", fmt::format("\"{}\"", fmt::join(options.one_of(), "\", \"")));
  if (options.has_source()) line("source", options.source());
  if (options.has_read_when()) line("read", "only when " + options.read_when());
}

void AppendKeys(std::string& out, const MessageType& type) {
  out += "  keys:\n";
  for (int i = 0; i < type.field_count(); ++i) {
    const Field& key = *type.field(i);
    std::string note;
    if (key.has_default_value()) note = fmt::format(", default {}", DefaultText(key));
    if (OptionsOf(key).required()) note = ", must be set";
    out += fmt::format("    {:<26} {}{}{}\n", key.name(), key.is_repeated() ? "list of " : "",
                       TypeName(key), note);
  }
}

// One key and all places where it can stand.
struct Entry {
  const Field* key = nullptr;
  std::vector<std::string> paths;
};

std::vector<Entry> Matching(const std::vector<KeyPath>& all, std::string_view wanted) {
  std::vector<Entry> entries;
  const std::string tail = fmt::format(".{}", wanted);
  for (const auto& [path, key] : all) {
    if (path != wanted && !path.ends_with(tail)) continue;
    Entry* entry = nullptr;
    for (Entry& known : entries) {
      if (known.key == key) entry = &known;
    }
    if (entry == nullptr) entry = &entries.emplace_back(Entry{key, {}});
    entry->paths.push_back(path);
  }
  return entries;
}

std::string EntryText(const CommentedSchema& schema, const Entry& entry) {
  std::string out = fmt::format("{}\n", fmt::join(entry.paths, "\n"));
  if (const std::string comment = schema.KeyComment(*entry.key); !comment.empty())
    AppendIndented(out, comment);
  if (IsMessage(*entry.key)) {
    const MessageType& type = *entry.key->message_type();
    if (const std::string comment = schema.TypeComment(type); !comment.empty())
      AppendIndented(out, comment);
    AppendFacts(out, *entry.key);
    AppendKeys(out, type);
  } else {
    AppendFacts(out, *entry.key);
  }
  return out;
}

const MessageType* FindType(const std::vector<KeyPath>& all, std::string_view name) {
  if (name == proto::Recipe::descriptor()->name()) return proto::Recipe::descriptor();
  for (const auto& [path, key] : all) {
    if (IsMessage(*key) && key->message_type()->name() == name) return key->message_type();
  }
  return nullptr;
}

std::string TypeText(const CommentedSchema& schema, const MessageType& type) {
  std::string out = type.name() + "\n";
  if (const std::string comment = schema.TypeComment(type); !comment.empty())
    AppendIndented(out, comment);
  AppendKeys(out, type);
  return out;
}

// Names a mistyped key may have meant: as many last parts of each path as the key has.
std::vector<std::string> Tails(const std::vector<KeyPath>& all, std::string_view like) {
  const auto dots = std::count(like.begin(), like.end(), '.');
  std::vector<std::string> tails;
  for (const auto& [path, key] : all) {
    std::size_t cut = path.size();
    for (auto i = dots; i >= 0 && cut != std::string::npos && cut > 0; --i)
      cut = path.rfind('.', cut - 1);
    tails.push_back(cut == std::string::npos ? path : path.substr(cut + 1));
    if (dots == 0 && IsMessage(*key)) tails.push_back(key->message_type()->name());
  }
  return tails;
}

}  // namespace

Result<std::string> Explain(std::string_view key) {
  AHA_ASSIGN(const auto schema, CommentedSchema::Load());
  const std::vector<KeyPath> all = AllKeyPaths();
  std::string_view wanted = key;
  if (wanted.starts_with("recipe.")) wanted.remove_prefix(7);
  std::string out;
  for (const Entry& entry : Matching(all, wanted)) {
    if (!out.empty()) out += '\n';
    out += EntryText(*schema, entry);
  }
  if (const auto preset = ExplainPreset(key)) out += out.empty() ? *preset : "\n" + *preset;
  if (!out.empty()) return out;
  if (const MessageType* type = FindType(all, wanted)) return TypeText(*schema, *type);
  const auto near = Nearest(wanted, Tails(all, wanted));
  return Fail(Code::kNotFound, "{}: no such key; {}", key,
              near ? fmt::format("did you mean `{}`?", *near)
                   : "`aha explain Recipe` lists the keys of a recipe, Stage those of a stage");
}

}  // namespace aha::pipelines
