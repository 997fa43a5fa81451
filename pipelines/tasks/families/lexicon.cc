#include "pipelines/tasks/families/lexicon.h"

#include <array>

namespace aha::pipelines {
namespace {

constexpr std::array<Noun, 16> kNouns = {{{"dog", "dogs", "狗", "只"},
                                          {"cat", "cats", "猫", "只"},
                                          {"bird", "birds", "鸟", "只"},
                                          {"duck", "ducks", "鸭", "只"},
                                          {"bear", "bears", "熊", "只"},
                                          {"frog", "frogs", "蛙", "只"},
                                          {"tiger", "tigers", "虎", "只"},
                                          {"rabbit", "rabbits", "兔", "只"},
                                          {"ball", "balls", "球", "个"},
                                          {"cup", "cups", "杯", "个"},
                                          {"box", "boxes", "盒", "个"},
                                          {"pear", "pears", "梨", "个"},
                                          {"bowl", "bowls", "碗", "个"},
                                          {"bag", "bags", "包", "个"},
                                          {"egg", "eggs", "蛋", "个"},
                                          {"melon", "melons", "瓜", "个"}}};
constexpr std::array<Word, 8> kColours = {{{"red", "红"},
                                           {"blue", "蓝"},
                                           {"green", "绿"},
                                           {"black", "黑"},
                                           {"white", "白"},
                                           {"yellow", "黄"},
                                           {"gray", "灰"},
                                           {"brown", "棕"}}};
constexpr std::array<Word, 6> kQualities = {{{"big", "大"},
                                             {"small", "小"},
                                             {"good", "好"},
                                             {"bad", "坏"},
                                             {"odd", "怪"},
                                             {"pretty", "美"}}};
constexpr std::array<Word, 9> kNumbers = {{{"two", "两"},
                                           {"three", "三"},
                                           {"four", "四"},
                                           {"five", "五"},
                                           {"six", "六"},
                                           {"seven", "七"},
                                           {"eight", "八"},
                                           {"nine", "九"},
                                           {"ten", "十"}}};

constexpr auto kAllWords = [] {
  std::array<Word, kNouns.size() + kColours.size() + kQualities.size() + kNumbers.size()> all{};
  std::size_t n = 0;
  for (const Noun& noun : kNouns)
    all[n++] = {noun.english, noun.chinese};
  for (const Word& word : kColours)
    all[n++] = word;
  for (const Word& word : kQualities)
    all[n++] = word;
  for (const Word& word : kNumbers)
    all[n++] = word;
  return all;
}();

}  // namespace

std::span<const Noun> Nouns() {
  return kNouns;
}
std::span<const Word> Colours() {
  return kColours;
}
std::span<const Word> Qualities() {
  return kQualities;
}
std::span<const Word> Numbers() {
  return kNumbers;
}
std::span<const Word> AllWords() {
  return kAllWords;
}

}  // namespace aha::pipelines
