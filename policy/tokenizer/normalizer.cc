#include "policy/tokenizer/normalizer.h"

#include <algorithm>
#include <optional>

#include <unicode/bytestream.h>
#include <unicode/normalizer2.h>
#include <unicode/uchar.h>
#include <unicode/uniset.h>

#include "policy/checkpoint/strict_json.h"
#include "policy/tokenizer/split_regex.h"
#include "policy/tokenizer/utf8.h"

namespace aha::policy {
namespace {

constexpr std::size_t kMostBytes = INT32_MAX;  // of a text, before and after

// A set of code points, a bit each.
class CodePoints {
 public:
  explicit CodePoints(const icu::UnicodeSet& set) : bits_(0x110000, false) {
    for (int i = 0; i < set.getRangeCount(); ++i) {
      for (UChar32 c = set.getRangeStart(i); c <= set.getRangeEnd(i); ++c)
        bits_[static_cast<std::size_t>(c)] = true;
    }
  }
  [[nodiscard]] bool Has(char32_t code) const { return bits_[code]; }

 private:
  std::vector<bool> bits_;
};

icu::UnicodeSet SetOf(std::string_view pattern, UErrorCode& error) {
  return {icu::UnicodeString(pattern.data(), static_cast<std::int32_t>(pattern.size()), US_INV),
          error};
}

// One of Unicode's four forms. Most text is in it already: only a character that may change or join
// what is before it is looked at closer, together with the character before it.
class Form final : public TextNormalizer::Step {
 public:
  // `tokenizers` normalises by the tables of Unicode 9.0: younger characters pass through
  // untouched.
  Form(std::string_view name, const icu::Normalizer2& form, UErrorCode& error)
      : known_(SetOf("[:age=9.0:]", error)),
        normalizer_(form, known_),
        kept_(SetOf(fmt::format("[[:{}_QC=Yes:][:^age=9.0:]]", name), error)),
        starts_(SetOf(fmt::format("[[[:{}_QC=Yes:]&[:ccc=0:]][:^age=9.0:]]", name), error)) {
    known_.freeze();
  }

  Result<bool> Apply(std::string_view text, std::string* out) const override {
    std::size_t done = 0;      // what is before is in `out`
    std::size_t previous = 0;  // start of the character before `at`
    out->clear();
    for (std::size_t at = 0; at < text.size();) {
      if (static_cast<std::uint8_t>(text[at]) < 0x80) {
        previous = at++;
        continue;
      }
      const Utf8Step step = StepUtf8(text.substr(at));
      if (starts_.Has(step.code)) {
        previous = at;
        at += step.length;
        continue;
      }
      std::size_t end = at + step.length;
      bool alone = true;
      for (; end < text.size(); alone = false) {
        const Utf8Step next = StepUtf8(text.substr(end));
        if (starts_.Has(next.code)) break;
        end += next.length;
      }
      // A single mark that joins nothing is in its place.
      if (!(alone && kept_.Has(step.code))) {
        out->append(text, done, previous - done);
        AHA_TRY(Normalise(text.substr(previous, end - previous), out));
        done = end;
      }
      previous = at = end;
    }
    if (done == 0) return false;
    out->append(text, done);
    return true;
  }

 private:
  // ICU puts marks in order by insertion, which is quadratic: long runs it gets in order already.
  [[nodiscard]] std::string InOrder(std::string_view part) const {
    struct Mark {
      UChar32 code;
      std::uint8_t combining_class;
    };
    std::string ordered;
    std::vector<Mark> marks;
    const auto flush = [&] {
      std::stable_sort(marks.begin(), marks.end(),
                       [](Mark a, Mark b) { return a.combining_class < b.combining_class; });
      for (const Mark mark : marks)
        AppendUtf8(static_cast<char32_t>(mark.code), ordered);
      marks.clear();
    };
    icu::UnicodeString decomposed;
    for (std::size_t at = 0; at < part.size();) {
      const Utf8Step step = StepUtf8(part.substr(at));
      const auto code = static_cast<UChar32>(step.code);
      if (!normalizer_.getDecomposition(code, decomposed)) decomposed.setTo(code);
      for (std::int32_t i = 0; i < decomposed.length(); i = decomposed.moveIndex32(i, 1)) {
        const UChar32 c = decomposed.char32At(i);
        const std::uint8_t combining_class = normalizer_.getCombiningClass(c);
        if (combining_class == 0) flush();
        marks.push_back({c, combining_class});
        if (combining_class == 0) flush();
      }
      at += step.length;
    }
    flush();
    return ordered;
  }

  Status Normalise(std::string_view part, std::string* out) const {
    constexpr std::size_t kLongRun = 128;
    std::string ordered;
    if (part.size() > kLongRun) {
      ordered = InOrder(part);
      part = ordered;
    }
    icu::StringByteSink<std::string> sink(out, static_cast<std::int32_t>(part.size()));
    UErrorCode error = U_ZERO_ERROR;
    normalizer_.normalizeUTF8(0,
                              icu::StringPiece(part.data(), static_cast<std::int32_t>(part.size())),
                              sink, nullptr, error);
    if (U_FAILURE(error)) return Fail(Code::kInternal, "normalising: {}", u_errorName(error));
    return {};
  }

  icu::UnicodeSet known_;
  icu::FilteredNormalizer2 normalizer_;
  CodePoints kept_;    // stay as they are, if not reordered
  CodePoints starts_;  // and join nothing before them
};

// Every match of a text or expression becomes `content`.
class Replace final : public TextNormalizer::Step {
 public:
  Replace(SplitRegex regex, std::string content)
      : regex_(std::move(regex)), content_(std::move(content)) {}

  Result<bool> Apply(std::string_view text, std::string* out) const override {
    RegexMatches matches(regex_);
    matches.Start(text);
    out->clear();
    std::size_t done = 0;
    bool changed = false;
    while (true) {
      AHA_ASSIGN(const auto match, matches.Next());
      if (!match) break;
      out->append(text, done, match->begin - done);
      out->append(content_);
      done = match->end;
      changed = true;
      if (out->size() > kMostBytes)
        return Fail(Code::kExhausted, "a replacing normalizer makes more than {} bytes of a text",
                    kMostBytes);
    }
    if (changed) out->append(text, done);
    return changed;
  }

 private:
  SplitRegex regex_;
  std::string content_;
};

class Prepend final : public TextNormalizer::Step {
 public:
  explicit Prepend(std::string content) : content_(std::move(content)) {}

  Result<bool> Apply(std::string_view text, std::string* out) const override {
    if (text.empty()) return false;
    *out = content_;
    out->append(text);
    return true;
  }

 private:
  std::string content_;
};

// Character by character, as Rust's char::to_lowercase.
class Lowercase final : public TextNormalizer::Step {
 public:
  Result<bool> Apply(std::string_view text, std::string* out) const override {
    out->clear();
    for (std::size_t at = 0; at < text.size();) {
      const Utf8Step step = StepUtf8(text.substr(at));
      constexpr char32_t kDottedI = 0x130;  // the one character whose lower case is two
      if (step.code == kDottedI) {
        out->append("i\u0307");
      } else {
        AppendUtf8(static_cast<char32_t>(u_tolower(static_cast<UChar32>(step.code))), *out);
      }
      at += step.length;
    }
    return true;
  }
};

const icu::Normalizer2* FormNamed(std::string_view name, UErrorCode& error) {
  if (name == "NFC") return icu::Normalizer2::getNFCInstance(error);
  if (name == "NFD") return icu::Normalizer2::getNFDInstance(error);
  if (name == "NFKC") return icu::Normalizer2::getNFKCInstance(error);
  if (name == "NFKD") return icu::Normalizer2::getNFKDInstance(error);
  return nullptr;
}

Result<std::shared_ptr<const TextNormalizer::Step>> MakeReplace(const nlohmann::json& json,
                                                                std::string_view where) {
  const nlohmann::json& pattern = JsonMember(json, "pattern");
  const std::string pattern_at = fmt::format("{}.pattern", where);
  const bool literal = pattern.is_object() && pattern.contains("String");
  AHA_ASSIGN(const auto text,
             JsonField<std::string>(pattern, pattern_at, literal ? "String" : "Regex"));
  AHA_ASSIGN(auto content, JsonField<std::string>(json, where, "content"));
  auto regex = literal ? SplitRegex::FromLiteral(text) : SplitRegex::FromPattern(text);
  if (!regex) return Within(regex.error(), "{}", pattern_at);
  return std::make_shared<const Replace>(std::move(*regex), std::move(content));
}

}  // namespace

Result<TextNormalizer> TextNormalizer::FromJson(const nlohmann::json& json,
                                                std::string_view where) {
  TextNormalizer normalizer;
  AHA_TRY(normalizer.Add(json, where));
  return normalizer;
}

Status TextNormalizer::Add(const nlohmann::json& json, std::string_view where) {
  constexpr std::size_t kMostSteps = 64;  // each may make a text longer
  if (json.is_null()) return {};
  const Result<std::string> named = JsonField<std::string>(json, where, "type");
  if (!named) return tl::unexpected<Error>(named.error());
  const std::string& type = *named;
  if (type == "Sequence") {
    const nlohmann::json& parts = JsonMember(json, "normalizers");
    if (!parts.is_array()) return Fail(Code::kCorrupt, "{}.normalizers: must be an array", where);
    for (std::size_t i = 0; i < parts.size(); ++i) {
      AHA_TRY(Add(parts[i], fmt::format("{}.normalizers[{}]", where, i)));
    }
    return {};
  }
  if (steps_.size() >= kMostSteps) {
    return Fail(Code::kInvalidArgument, "{}: more than {} normalizers are not supported", where,
                kMostSteps);
  }
  if (type == "Replace") {
    AHA_ASSIGN(steps_.emplace_back(), MakeReplace(json, where));
    return {};
  }
  if (type == "Prepend") {
    AHA_ASSIGN(auto content, JsonField<std::string>(json, where, "prepend"));
    steps_.push_back(std::make_shared<const Prepend>(std::move(content)));
    return {};
  }
  if (type == "Lowercase") {
    steps_.push_back(std::make_shared<const Lowercase>());
    return {};
  }
  UErrorCode error = U_ZERO_ERROR;
  const icu::Normalizer2* form = FormNamed(type, error);
  if (U_FAILURE(error)) return Fail(Code::kInternal, "ICU has no {}: {}", type, u_errorName(error));
  if (form == nullptr) {
    return Fail(Code::kInvalidArgument,
                "{}: normalizer {} is not supported; known: NFC, NFD, NFKC, NFKD, Lowercase, "
                "Prepend, Replace, Sequence",
                where, type);
  }
  steps_.push_back(std::make_shared<const Form>(type, *form, error));
  if (U_FAILURE(error)) return Fail(Code::kInternal, "ICU: {}", u_errorName(error));
  return {};
}

Result<std::string_view> TextNormalizer::Apply(std::string_view text, std::string* storage) const {
  std::string next;
  for (const auto& step : steps_) {
    if (text.size() > kMostBytes) {
      return Fail(Code::kInvalidArgument, "a text of {} bytes is too long to normalise",
                  text.size());
    }
    AHA_ASSIGN(const bool changed, step->Apply(text, &next));
    if (!changed) continue;
    storage->swap(next);
    text = *storage;
  }
  return text;
}

Result<std::string> TextNormalizer::Apply(std::string_view text) const {
  std::string storage;
  AHA_ASSIGN(const std::string_view normal, Apply(text, &storage));
  return std::string(normal);
}

}  // namespace aha::policy
