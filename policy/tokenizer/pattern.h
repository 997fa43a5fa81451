#pragma once
/// The regular expressions of tokenizer.json files are written for Oniguruma (Ruby syntax), which
/// Hugging Face `tokenizers` runs; this project runs PCRE2. Where the two read a pattern
/// differently it is rewritten, and what cannot be rewritten is refused.

#include <string>
#include <string_view>

#include "base/result.h"

namespace aha::policy {

/// `pattern` (UTF-8) in PCRE2's syntax, for PCRE2_UTF | PCRE2_UCP | PCRE2_MULTILINE:
/// `\s` is White_Space (PCRE2's has U+180E too), `\w` is Unicode's word character, script names
/// mean Script rather than Script_Extensions, `{1,3}+` repeats instead of being possessive, and
/// general categories have the characters of Unicode 15 and 16 too (PCRE2 10.42 stops at 14).
/// kInvalidArgument names the construct that is not supported (`\b`, nested classes, `(?m:`, ...).
Result<std::string> ToPcre2Pattern(std::string_view pattern);

}  // namespace aha::policy
