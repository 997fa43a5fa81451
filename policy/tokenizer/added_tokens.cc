#include "policy/tokenizer/added_tokens.h"

#include <algorithm>
#include <cstring>

#include <unicode/uchar.h>

#include "policy/tokenizer/utf8.h"

namespace aha::policy {
namespace {

// Unicode's word character (UTS #18, annex C), as Rust's regex has it.
bool IsWord(char32_t code) {
  const auto c = static_cast<UChar32>(code);
  if (u_hasBinaryProperty(c, UCHAR_ALPHABETIC) || u_hasBinaryProperty(c, UCHAR_JOIN_CONTROL))
    return true;
  constexpr std::uint32_t kOthers = U_GC_M_MASK | U_GC_ND_MASK | U_GC_PC_MASK;
  return (U_GET_GC_MASK(c) & kOthers) != 0;
}

bool IsSpace(char32_t code) {
  return u_isUWhiteSpace(static_cast<UChar32>(code)) != 0;
}

// Start of the last character of `text`, which is valid and not empty.
std::size_t LastCharacter(std::string_view text) {
  std::size_t at = text.size() - 1;
  while (at > 0 && (static_cast<unsigned char>(text[at]) & 0xC0U) == 0x80U)
    --at;
  return at;
}

bool EndsWithWord(std::string_view text) {
  return !text.empty() && IsWord(StepUtf8(text.substr(LastCharacter(text))).code);
}

bool StartsWithWord(std::string_view text) {
  return !text.empty() && IsWord(StepUtf8(text).code);
}

std::size_t SpacesAtStart(std::string_view text) {
  std::size_t at = 0;
  while (at < text.size()) {
    const Utf8Step step = StepUtf8(text.substr(at));
    if (!IsSpace(step.code)) break;
    at += step.length;
  }
  return at;
}

std::size_t WithoutSpacesAtEnd(std::string_view text) {
  while (!text.empty()) {
    const std::size_t last = LastCharacter(text);
    if (!IsSpace(StepUtf8(text.substr(last)).code)) break;
    text = text.substr(0, last);
  }
  return text.size();
}

}  // namespace

AddedTokenFinder::AddedTokenFinder(std::vector<AddedToken> tokens)
    : tokens_(std::move(tokens)), trie_(1) {
  for (std::size_t i = 0; i < tokens_.size(); ++i) {
    std::int32_t node = 0;
    for (const char byte : tokens_[i].content) {
      std::int32_t child = Child(node, byte);
      if (child < 0) {
        child = static_cast<std::int32_t>(trie_.size());
        auto& children = trie_[static_cast<std::size_t>(node)].children;
        const std::pair<char, std::int32_t> entry(byte, child);
        children.insert(std::lower_bound(children.begin(), children.end(), entry), entry);
        trie_.emplace_back();
      }
      node = child;
    }
    trie_[static_cast<std::size_t>(node)].token = static_cast<std::int32_t>(i);
  }
  for (const auto& [byte, child] : trie_[0].children)
    starts_[static_cast<std::uint8_t>(byte)] = true;
  if (trie_[0].children.size() == 1) only_start_ = trie_[0].children.front().first;
}

std::size_t AddedTokenFinder::NextStart(std::string_view text, std::size_t at) const {
  if (only_start_) {  // nearly always "<"
    const auto* found =
        static_cast<const char*>(std::memchr(text.data() + at, *only_start_, text.size() - at));
    return found == nullptr ? text.size() : static_cast<std::size_t>(found - text.data());
  }
  while (at < text.size() && !starts_[static_cast<std::uint8_t>(text[at])])
    ++at;
  return at;
}

std::int32_t AddedTokenFinder::Child(std::int32_t node, char byte) const {
  const auto& children = trie_[static_cast<std::size_t>(node)].children;
  const auto found = std::lower_bound(children.begin(), children.end(), byte,
                                      [](const auto& entry, char b) { return entry.first < b; });
  return found != children.end() && found->first == byte ? found->second : -1;
}

std::int32_t AddedTokenFinder::LongestAt(std::string_view text) const {
  std::int32_t longest = -1;
  std::int32_t node = 0;
  for (const char byte : text) {
    node = Child(node, byte);
    if (node < 0) break;
    if (trie_[static_cast<std::size_t>(node)].token >= 0)
      longest = trie_[static_cast<std::size_t>(node)].token;
  }
  return longest;
}

void AddedTokenFinder::Split(std::string_view text, std::vector<Segment>* segments) const {
  std::size_t done = 0;  // everything before is in a segment
  for (std::size_t at = 0; at < text.size();) {
    at = NextStart(text, at);
    if (at == text.size()) break;
    const std::int32_t index = LongestAt(text.substr(at));
    if (index < 0) {
      ++at;
      continue;
    }
    const AddedToken& token = tokens_[static_cast<std::size_t>(index)];
    std::size_t begin = at;
    std::size_t end = at + token.content.size();
    at = end;
    if (token.single_word &&
        (EndsWithWord(text.substr(0, begin)) || StartsWithWord(text.substr(end)))) {
      continue;
    }
    if (token.lstrip) begin = std::max(WithoutSpacesAtEnd(text.substr(0, begin)), done);
    if (token.rstrip) end += SpacesAtStart(text.substr(end));
    if (begin >= end) continue;  // only white space, and the token before has swallowed it
    if (done < begin) segments->push_back({text.substr(done, begin - done), kPlain});
    segments->push_back({text.substr(begin, end - begin), token.id});
    done = end;
  }
  if (done < text.size()) segments->push_back({text.substr(done), kPlain});
}

}  // namespace aha::policy
