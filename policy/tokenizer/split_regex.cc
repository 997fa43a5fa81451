#include "policy/tokenizer/split_regex.h"

#include <array>
#include <new>

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include "policy/tokenizer/pattern.h"
#include "policy/tokenizer/utf8.h"

namespace aha::policy {
namespace {

std::string MessageOf(int error) {
  std::array<PCRE2_UCHAR, 256> text{};
  pcre2_get_error_message(error, text.data(), text.size());
  return reinterpret_cast<const char*>(text.data());
}

Result<std::shared_ptr<const void>> Compile(std::string_view pattern, std::uint32_t options) {
  if (const auto bad = FirstInvalidUtf8(pattern)) {
    return Fail(Code::kInvalidArgument, "regular expression: byte {} is not UTF-8", *bad);
  }
  const std::unique_ptr<pcre2_compile_context, void (*)(pcre2_compile_context*)> context(
      pcre2_compile_context_create(nullptr), &pcre2_compile_context_free);
  if (!context) throw std::bad_alloc();
  pcre2_set_newline(context.get(), PCRE2_NEWLINE_LF);
  int error = 0;
  PCRE2_SIZE offset = 0;
  pcre2_code* code = pcre2_compile(reinterpret_cast<PCRE2_SPTR>(pattern.data()), pattern.size(),
                                   options | PCRE2_UTF, &error, &offset, context.get());
  if (code == nullptr) {
    return Fail(Code::kInvalidArgument, "regular expression \"{}\", offset {}: {}", pattern, offset,
                MessageOf(error));
  }
  pcre2_jit_compile(code, PCRE2_JIT_COMPLETE);  // without a JIT the interpreter serves
  return std::shared_ptr<const void>(
      code, [](const void* p) { pcre2_code_free(static_cast<pcre2_code*>(const_cast<void*>(p))); });
}

}  // namespace

Result<SplitRegex> SplitRegex::FromPattern(std::string_view pattern) {
  AHA_ASSIGN(const std::string translated, ToPcre2Pattern(pattern));
  AHA_ASSIGN(auto code, Compile(translated, PCRE2_UCP | PCRE2_MULTILINE | PCRE2_NEVER_BACKSLASH_C));
  return SplitRegex(std::move(code));
}

Result<SplitRegex> SplitRegex::FromLiteral(std::string_view text) {
  AHA_ASSIGN(auto code, Compile(text, PCRE2_LITERAL));
  return SplitRegex(std::move(code));
}

RegexMatches::RegexMatches(const SplitRegex& regex)
    : regex_(regex), match_data_(pcre2_match_data_create(1, nullptr)) {
  if (match_data_ == nullptr) throw std::bad_alloc();
}

RegexMatches::~RegexMatches() {
  pcre2_match_data_free(static_cast<pcre2_match_data*>(match_data_));
}

void RegexMatches::Start(std::string_view subject) {
  subject_ = subject;
  from_ = 0;
  last_end_.reset();
}

Result<std::optional<RegexMatches::Range>> RegexMatches::Next() {
  const auto* code = static_cast<const pcre2_code*>(regex_.code_.get());
  auto* data = static_cast<pcre2_match_data*>(match_data_);
  const auto* text = reinterpret_cast<PCRE2_SPTR>(subject_.data());
  while (from_ <= subject_.size()) {
    // The subject was checked once by the caller; checking at every match would be quadratic.
    int count = pcre2_match(code, text, subject_.size(), from_, PCRE2_NO_UTF_CHECK, data, nullptr);
    if (count == PCRE2_ERROR_JIT_STACKLIMIT) {  // the interpreter keeps its stack on the heap
      count = pcre2_match(code, text, subject_.size(), from_, PCRE2_NO_UTF_CHECK | PCRE2_NO_JIT,
                          data, nullptr);
    }
    if (count == PCRE2_ERROR_NOMATCH) return std::nullopt;
    if (count < 0) {
      return Fail(Code::kExhausted, "regular expression at byte {} of {}: {}", from_,
                  subject_.size(), MessageOf(count));
    }
    const PCRE2_SIZE* ends = pcre2_get_ovector_pointer(data);
    const Range found{ends[0], ends[1]};
    if (found.begin == found.end && last_end_ == found.end) {
      from_ += from_ < subject_.size() ? StepUtf8(subject_.substr(from_)).length : 1;
      continue;
    }
    from_ = found.end;
    last_end_ = found.end;
    return found;
  }
  return std::nullopt;
}

}  // namespace aha::policy
