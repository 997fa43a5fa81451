#pragma once
/// Which language a piece of text is in (CLD2), where the script does not say.

#include <string>
#include <string_view>

namespace aha::rewards {

/// The language that CLD2 is sure of, by its code (en, fr, zh, ja, ...); empty when it is not sure.
/// `text` is plain UTF-8, a sentence or so. Deterministic, safe from many threads; about 40 MB/s.
std::string_view IdentifyLanguage(std::string_view text);

/// The code that IdentifyLanguage would give for a language code as people write it (nb, he, pt-BR,
/// zh-TW); empty when CLD2 does not know the language.
std::string_view IdentifiableCode(std::string_view language);

/// Whether IdentifyLanguage may take one for the other in a sentence: Bokmål and Danish, Indonesian
/// and Malay, Serbian and Croatian, ...
bool AreConfusable(std::string_view a, std::string_view b);

}  // namespace aha::rewards
