#include "rewards/verifiers/language_id.h"

#include <algorithm>
#include <array>
#include <cstdio>  // CLD2's header needs it
#include <utility>

#include <cld2/public/compact_lang_det.h>
#include <cld2/public/encodings.h>

namespace aha::rewards {
namespace {

std::string_view CodeOf(CLD2::Language language) {
  if (language == CLD2::CHINESE_T) return "zh";
  if (language == CLD2::UNKNOWN_LANGUAGE || language == CLD2::TG_UNKNOWN_LANGUAGE) return {};
  return CLD2::LanguageCode(language);
}

}  // namespace

std::string_view IdentifyLanguage(std::string_view text) {
  const auto size = static_cast<int>(std::min<std::size_t>(text.size(), std::size_t{1} << 20));
  const CLD2::CLDHints hints{nullptr, nullptr, CLD2::UNKNOWN_ENCODING, CLD2::UNKNOWN_LANGUAGE};
  std::array<CLD2::Language, 3> languages{};
  std::array<int, 3> percents{};
  std::array<double, 3> scores{};
  int bytes = 0;
  bool reliable = false;
  const CLD2::Language language = CLD2::ExtDetectLanguageSummary(
      text.data(), size, /*is_plain_text=*/true, &hints, /*flags=*/0, languages.data(),
      percents.data(), scores.data(), /*resultchunkvector=*/nullptr, &bytes, &reliable);
  return reliable ? CodeOf(language) : std::string_view();
}

std::string_view IdentifiableCode(std::string_view language) {
  std::string base(language.substr(0, language.find_first_of("-_")));
  std::transform(base.begin(), base.end(), base.begin(),
                 [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
  constexpr std::array<std::pair<std::string_view, std::string_view>, 6> kOldCodes = {
      {{"he", "iw"}, {"nb", "no"}, {"jv", "jw"}, {"fil", "tl"}, {"cmn", "zh"}, {"yue", "zh"}}};
  for (const auto& [now, old] : kOldCodes) {
    if (base == now) base = old;
  }
  return CodeOf(CLD2::GetLanguageFromName(base.c_str()));
}

bool AreConfusable(std::string_view a, std::string_view b) {
  constexpr std::array<std::pair<std::string_view, std::string_view>, 16> kPairs = {{{"no", "da"},
                                                                                     {"no", "nn"},
                                                                                     {"da", "nn"},
                                                                                     {"no", "sv"},
                                                                                     {"id", "ms"},
                                                                                     {"hr", "bs"},
                                                                                     {"hr", "sr"},
                                                                                     {"bs", "sr"},
                                                                                     {"hr", "sl"},
                                                                                     {"es", "gl"},
                                                                                     {"pt", "gl"},
                                                                                     {"es", "ca"},
                                                                                     {"cs", "sk"},
                                                                                     {"bg", "mk"},
                                                                                     {"hi", "ne"},
                                                                                     {"af", "nl"}}};
  if (a == b) return true;
  return std::any_of(kPairs.begin(), kPairs.end(), [&](const auto& pair) {
    return (pair.first == a && pair.second == b) || (pair.first == b && pair.second == a);
  });
}

}  // namespace aha::rewards
