#include "rewards/verifiers/code/program.h"

#include <algorithm>
#include <optional>

namespace aha::rewards::code {
namespace {

constexpr auto kNone = std::string_view::npos;
constexpr std::string_view kOpen = "<answer>", kClose = "</answer>";

// A run of fence characters that begins a line, with what follows it on that line.
struct Fence {
  char mark = 0;
  std::size_t length = 0;
  std::string_view rest;
};

std::optional<Fence> FenceOf(std::string_view line) {
  const std::size_t indent = std::min(line.find_first_not_of(' '), line.size());
  if (indent > 3 || indent == line.size()) return std::nullopt;
  Fence fence;
  fence.mark = line[indent];
  if (fence.mark != '`' && fence.mark != '~') return std::nullopt;
  const std::size_t end = std::min(line.find_first_not_of(fence.mark, indent), line.size());
  fence.length = end - indent;
  fence.rest = line.substr(end);
  if (fence.length < 3) return std::nullopt;
  // A line such as ```code``` is inline code, not a fence.
  if (fence.mark == '`' && fence.rest.find('`') != kNone) return std::nullopt;
  return fence;
}

// Nothing may follow but blanks, or the end of the answer.
bool Closes(const Fence& fence, const Fence& open) {
  if (fence.mark != open.mark || fence.length < open.length) return false;
  const auto rest = fence.rest.find_first_not_of(" \t\r");
  return rest == kNone || fence.rest.substr(rest).starts_with(kClose);
}

struct Scan {
  std::optional<std::string_view> block;  // the last fenced one
  std::optional<std::size_t> answer;      // behind the last <answer> outside fences
};

// `text` begins a line, or what may stand before a fence on its line (a tag).
Scan ScanText(std::string_view text) {
  Scan scan;
  std::optional<Fence> open;
  std::size_t block_begin = 0;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = std::min(text.find('\n', at), text.size());
    std::string_view line = text.substr(at, end - at);
    if (!open) {
      if (const auto tag = line.rfind(kOpen); tag != kNone) {
        scan.answer = at + tag + kOpen.size();
        line.remove_prefix(tag + kOpen.size());  // <answer>```python
      }
    }
    if (const auto fence = FenceOf(line)) {
      if (!open) {
        open = fence;
        block_begin = std::min(end + 1, text.size());
      } else if (Closes(*fence, *open)) {
        scan.block = text.substr(block_begin, at - block_begin);
        open.reset();
      }
    }
    at = end + 1;
  }
  if (open) scan.block = text.substr(block_begin);
  return scan;
}

std::string_view LastBlockOrAll(std::string_view text) {
  return ScanText(text).block.value_or(text);
}

}  // namespace

std::string_view ExtractProgram(std::string_view completion) {
  // A thought may leave a fence open; the answer behind it is not inside that.
  std::string_view text = completion;
  if (const auto thought = completion.rfind("</think>"); thought != kNone) {
    const std::string_view behind = completion.substr(thought + 8);
    if (behind.find(kOpen) != kNone || ScanText(behind).block) text = behind;
  }
  const Scan scan = ScanText(text);
  if (!scan.answer) return scan.block.value_or(completion);
  std::string_view answer = text.substr(*scan.answer);
  answer = answer.substr(0, std::min(answer.rfind(kClose), answer.size()));
  return LastBlockOrAll(answer);
}

}  // namespace aha::rewards::code
