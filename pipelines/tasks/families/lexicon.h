#pragma once
/// The words that the general families speak with, in both languages.

#include <span>
#include <string_view>

namespace aha::pipelines {

struct Noun {
  std::string_view english;
  std::string_view plural;
  std::string_view chinese;
  std::string_view measure;  ///< the Chinese measure word after a number
};

struct Word {
  std::string_view english;
  std::string_view chinese;
};

std::span<const Noun> Nouns();
std::span<const Word> Colours();
std::span<const Word> Qualities();
std::span<const Word> Numbers();  ///< two to ten
/// All of the above, nouns in the singular.
std::span<const Word> AllWords();

}  // namespace aha::pipelines
