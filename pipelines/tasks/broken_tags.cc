#include "pipelines/tasks/broken_tags.h"

#include <array>
#include <cstdint>
#include <string_view>
#include <vector>

#include <fmt/format.h>

namespace aha::pipelines {
namespace {

// Tags and texts in order; tags have even indices in a full completion.
using Pieces = std::vector<std::string_view>;

Pieces Split(const TaggedParts& parts) {
  Pieces pieces;
  if (parts.thought) pieces = {"<think>", *parts.thought, "</think>"};
  pieces.insert(pieces.end(), {"<answer>", parts.answer, "</answer>"});
  return pieces;
}

std::string Join(const Pieces& pieces) {
  return fmt::format("{}", fmt::join(pieces, ""));
}

// The index of one tag: pieces come in blocks of opening tag, text, closing tag.
std::size_t DrawTag(const Pieces& pieces, DrawSequence& draw) {
  const auto tag = static_cast<std::size_t>(draw.Integer(0, std::ssize(pieces) / 3 * 2 - 1));
  return tag / 2 * 3 + tag % 2 * 2;
}

std::string DropTag(Pieces pieces, DrawSequence& draw) {
  pieces.erase(pieces.begin() + static_cast<std::ptrdiff_t>(DrawTag(pieces, draw)));
  return Join(pieces);
}

std::string DoubleTag(Pieces pieces, DrawSequence& draw) {
  const std::size_t tag = DrawTag(pieces, draw);
  const std::string_view text = pieces[tag];
  pieces.insert(pieces.begin() + static_cast<std::ptrdiff_t>(tag), text);
  return Join(pieces);
}

std::string AddText(const Pieces& pieces, std::string_view answer, DrawSequence& draw) {
  static constexpr std::array<std::string_view, 3> kTexts = {"that is it .", "就是 这样 。", ""};
  const std::string_view text = draw.Pick(kTexts);
  return Join(pieces) + ' ' + std::string(text.empty() ? answer : text);
}

}  // namespace

std::string WriteTags(const TaggedParts& parts) {
  return Join(Split(parts));
}

std::string WriteBrokenTags(const TaggedParts& parts, DrawSequence& draw) {
  const Pieces pieces = Split(parts);
  const std::int64_t ways = parts.thought ? 5 : 2;
  switch (draw.Integer(0, ways)) {
    case 0:
      return DropTag(pieces, draw);
    case 1:
      return DoubleTag(pieces, draw);
    case 2:
      return AddText(pieces, parts.answer, draw);
    case 3:  // the wrong closing tags
      return fmt::format("<think>{}</answer><answer>{}</think>", *parts.thought, parts.answer);
    case 4:  // the answer first
      return fmt::format("<answer>{}</answer><think>{}</think>", parts.answer, *parts.thought);
    default:  // the answer inside the thought
      return fmt::format("<think>{}<answer>{}</answer></think>", *parts.thought, parts.answer);
  }
}

}  // namespace aha::pipelines
