// Cups in a row change places. Content: number of cups, the row (cup numbers), the place asked for,
// then two places for each swap; places count from 1.

#include <algorithm>
#include <array>
#include <numeric>
#include <utility>

#include <fmt/format.h>

#include "pipelines/tasks/families/family.h"

namespace aha::pipelines {
namespace {

// Not A: the language reward would take it for an English word.
constexpr std::string_view kCups = "BCDE";

using Places = std::pair<int, int>;

struct Row {
  std::vector<int> cups;
  void Swap(Places places) {
    std::swap(cups[static_cast<std::size_t>(places.first) - 1],
              cups[static_cast<std::size_t>(places.second) - 1]);
  }
  [[nodiscard]] std::string At(int place) const {
    return {kCups[static_cast<std::size_t>(cups[static_cast<std::size_t>(place) - 1])]};
  }
  [[nodiscard]] std::string Text() const {
    std::string text;
    for (const int cup : cups) {
      if (!text.empty()) text += ' ';
      text += kCups[static_cast<std::size_t>(cup)];
    }
    return text;
  }
};

struct Swaps {
  Row row;
  int asked = 0;
  std::vector<Places> swaps;
};

Swaps Decode(const std::vector<int>& content) {
  const auto cups = static_cast<std::size_t>(content[0]);
  Swaps swaps;
  swaps.row.cups.assign(content.begin() + 1, content.begin() + 1 + content[0]);
  swaps.asked = content[cups + 1];
  for (std::size_t i = cups + 2; i + 1 < content.size(); i += 2) {
    swaps.swaps.emplace_back(content[i], content[i + 1]);
  }
  return swaps;
}

// Two places of `cups`, first below second, other than `last`.
Places DrawPlaces(int cups, Places last, DrawSequence& draw) {
  for (;;) {
    const int first = static_cast<int>(draw.Integer(1, cups - 1));
    const int second = static_cast<int>(draw.Integer(first + 1, cups));
    if (Places(first, second) != last) return {first, second};
  }
}

Draft DrawSwap(std::uint32_t band, DrawSequence& draw) {
  const int wording = DrawWording(draw);
  const int swaps = DrawLength(band, 2, 2, draw);
  const int cups = draw.Chance(0.125) ? 3 : 4;
  std::vector<int> row(static_cast<std::size_t>(cups));
  std::iota(row.begin(), row.end(), 0);
  for (std::size_t i = row.size(); i > 1; --i) {
    std::swap(row[i - 1],
              row[static_cast<std::size_t>(draw.Integer(0, static_cast<std::int64_t>(i) - 1))]);
  }
  std::vector<int> content = {cups};
  content.insert(content.end(), row.begin(), row.end());
  content.push_back(static_cast<int>(draw.Integer(1, cups)));
  Places places = {0, 0};
  for (int i = 0; i < swaps; ++i) {
    places = DrawPlaces(cups, places, draw);
    content.insert(content.end(), {places.first, places.second});
  }
  return {std::move(content), {wording}};
}

std::string AskSwap(const Draft& draft, Language language) {
  const bool english = language == Language::kEnglish;
  const Swaps swaps = Decode(draft.content);
  std::string pairs;
  for (const auto& [first, second] : swaps.swaps) {
    if (!pairs.empty()) pairs += english ? " , " : " ，";
    pairs += fmt::format("{} {} {}", first, english ? "with" : "和", second);
  }
  static constexpr std::array<std::string_view, 2> kEnglish = {
      "Cups in a row : {} . Swap {} . Which cup is at place {} ?",
      "The row is {} . Swap places {} . What is at place {} ?"};
  static constexpr std::array<std::string_view, 2> kChinese = {
      "杯子排成一行： {} 。交换 {} 。第 {} 位是哪个？", "一行杯子 {} ，交换 {} ，第 {} 位是什么？"};
  return fmt::format(fmt::runtime(Wording(draft, english ? kEnglish : kChinese)), swaps.row.Text(),
                     pairs, swaps.asked);
}

std::string ThinkSwap(const Draft& draft, Language /*language*/, Pen& pen) {
  Swaps swaps = Decode(draft.content);
  for (const Places& places : swaps.swaps) {
    pen.Step();
    // A slip: the right words, but other cups changed hands.
    swaps.row.Swap(pen.slips() ? DrawPlaces(draft.content[0], places, pen.draw()) : places);
    pen.Say("{} with {} gives {} .", "{} 和 {} 换成 {} 。", places.first, places.second,
            swaps.row.Text());
  }
  pen.PlainStep();
  pen.Say("place {} is {} .", "第 {} 位 是 {} 。", swaps.asked, swaps.row.At(swaps.asked));
  return swaps.row.At(swaps.asked);
}

std::string WrongSwap(const Draft& draft, Language /*language*/, DrawSequence& draw) {
  Swaps swaps = Decode(draft.content);
  for (const Places& places : swaps.swaps)
    swaps.row.Swap(places);
  const int others = draft.content[0] - 1;
  const int place =
      (swaps.asked - 1 + static_cast<int>(draw.Integer(1, others))) % draft.content[0];
  return swaps.row.At(place + 1);
}

}  // namespace

constinit const Family kSwap = {
    {"swap", "three or four cups change places; 2-3, 4-5 or 6-7 swaps", false, "exact"},
    DrawSwap,
    AskSwap,
    ThinkSwap,
    WrongSwap};

}  // namespace aha::pipelines
