// Hours forward and back on a 12-hour clock. Content: the hour, then the signed moves.

#include <array>
#include <cstdlib>

#include <fmt/format.h>

#include "pipelines/tasks/families/family.h"

namespace aha::pipelines {
namespace {

int Wrap(int hour) {
  return ((hour - 1) % 12 + 12) % 12 + 1;
}

// An hour or two off, round the dial.
int WrongHour(int hour, DrawSequence& draw) {
  const int distance = static_cast<int>(draw.Integer(1, 2));
  return Wrap(draw.Chance(0.5) ? hour + distance : hour - distance);
}

Draft DrawClock(std::uint32_t band, DrawSequence& draw) {
  const int wording = DrawWording(draw);
  const int moves = DrawLength(band, 2, 2, draw);
  std::vector<int> content = {static_cast<int>(draw.Integer(1, 12))};
  for (int i = 0; i < moves; ++i) {
    const int size = static_cast<int>(draw.Integer(1, 11));
    content.push_back(draw.Chance(0.5) ? size : -size);
  }
  return {std::move(content), {wording}};
}

std::string AskClock(const Draft& draft, Language language) {
  const bool english = language == Language::kEnglish;
  std::string moves;
  for (std::size_t i = 1; i < draft.content.size(); ++i) {
    const int move = draft.content[i];
    if (i > 1) moves += english ? " , " : " ，";
    moves += fmt::format("{} {}",
                         english ? (move < 0 ? "back" : "forward") : (move < 0 ? "后退" : "前进"),
                         std::abs(move));
  }
  static constexpr std::array<std::string_view, 3> kEnglish = {
      "The clock shows {} . It goes {} hours . What hour is it ?",
      "Start at hour {} . Go {} . What hour is it ?",
      "It is {} now . Turn the clock {} . What does it show ?"};
  static constexpr std::array<std::string_view, 3> kChinese = {
      "时钟指着 {} 点，{} 小时，现在几点？", "从 {} 点开始，{} ，是几点？",
      "现在 {} 点，把钟{} ，钟上是几点？"};
  return fmt::format(fmt::runtime(Wording(draft, english ? kEnglish : kChinese)), draft.content[0],
                     moves);
}

std::string ThinkClock(const Draft& draft, Language /*language*/, Pen& pen) {
  int hour = draft.content[0];
  for (std::size_t i = 1; i < draft.content.size(); ++i) {
    const int move = draft.content[i];
    const int before = hour;
    pen.Step();
    hour = Wrap(hour + move);
    if (pen.slips()) hour = WrongHour(hour, pen.draw());
    if (move < 0) {
      pen.Say("{} back {} is {} .", "{} 后退 {} 到 {} 。", before, -move, hour);
    } else {
      pen.Say("{} forward {} is {} .", "{} 前进 {} 到 {} 。", before, move, hour);
    }
  }
  return std::to_string(hour);
}

std::string WrongClock(const Draft& draft, Language /*language*/, DrawSequence& draw) {
  int hour = 0;
  for (const int move : draft.content)
    hour += move;
  return std::to_string(WrongHour(Wrap(hour), draw));
}

}  // namespace

constinit const Family kClock = {
    {"clock", "hours forward and back on a 12-hour clock; 2-3, 4-5 or 6-7 moves", false, "math"},
    DrawClock,
    AskClock,
    ThinkClock,
    WrongClock};

}  // namespace aha::pipelines
