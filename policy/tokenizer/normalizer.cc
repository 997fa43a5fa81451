#include "policy/tokenizer/normalizer.h"

#include <unicode/bytestream.h>
#include <unicode/normalizer2.h>
#include <unicode/uniset.h>

#include "policy/checkpoint/strict_json.h"

namespace aha::policy {
namespace {

const icu::Normalizer2* FormNamed(std::string_view name, UErrorCode& error) {
  if (name == "NFC") return icu::Normalizer2::getNFCInstance(error);
  if (name == "NFD") return icu::Normalizer2::getNFDInstance(error);
  if (name == "NFKC") return icu::Normalizer2::getNFKCInstance(error);
  if (name == "NFKD") return icu::Normalizer2::getNFKDInstance(error);
  return nullptr;
}

// `tokenizers` normalises by the tables of Unicode 9.0: younger characters pass through untouched.
struct FilteredForm {
  FilteredForm(const icu::Normalizer2& form, UErrorCode& error)
      : known(icu::UnicodeString(u"[:age=9.0:]"), error), normalizer(form, known) {}
  icu::UnicodeSet known;
  icu::FilteredNormalizer2 normalizer;
};

}  // namespace

Result<TextNormalizer> TextNormalizer::FromJson(const nlohmann::json& json,
                                                std::string_view where) {
  TextNormalizer normalizer;
  AHA_TRY(normalizer.Add(json, where));
  return normalizer;
}

Status TextNormalizer::Add(const nlohmann::json& json, std::string_view where) {
  if (json.is_null()) return {};
  AHA_ASSIGN(const auto type, JsonField<std::string>(json, where, "type"));
  if (type == "Sequence") {
    const nlohmann::json& parts = JsonMember(json, "normalizers");
    if (!parts.is_array()) return Fail(Code::kCorrupt, "{}.normalizers: must be an array", where);
    for (std::size_t i = 0; i < parts.size(); ++i) {
      AHA_TRY(Add(parts[i], fmt::format("{}.normalizers[{}]", where, i)));
    }
    return {};
  }
  UErrorCode error = U_ZERO_ERROR;
  const icu::Normalizer2* form = FormNamed(type, error);
  if (U_FAILURE(error)) return Fail(Code::kInternal, "ICU has no {}: {}", type, u_errorName(error));
  if (form == nullptr) {
    return Fail(Code::kInvalidArgument,
                "{}: normalizer {} is not supported; known: NFC, NFD, NFKC, NFKD, Sequence", where,
                type);
  }
  const auto filtered = std::make_shared<FilteredForm>(*form, error);
  if (U_FAILURE(error)) return Fail(Code::kInternal, "ICU: {}", u_errorName(error));
  filtered->known.freeze();
  forms_.emplace_back(filtered, &filtered->normalizer);
  return {};
}

Result<std::string> TextNormalizer::Apply(std::string_view text) const {
  if (text.size() > INT32_MAX) {
    return Fail(Code::kInvalidArgument, "a text of {} bytes is too long to normalise", text.size());
  }
  std::string now(text);
  for (const auto& form : forms_) {
    std::string next;
    icu::StringByteSink<std::string> sink(&next, static_cast<std::int32_t>(now.size()));
    UErrorCode error = U_ZERO_ERROR;
    static_cast<const icu::Normalizer2*>(form.get())->normalizeUTF8(0, now, sink, nullptr, error);
    if (U_FAILURE(error)) return Fail(Code::kInternal, "normalising: {}", u_errorName(error));
    now = std::move(next);
  }
  return now;
}

}  // namespace aha::policy
