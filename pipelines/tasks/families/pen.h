#pragma once
/// The hand that writes a family's working: it knows the language of the step and when to slip.

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include <fmt/format.h>

#include "base/keyed_random.h"
#include "pipelines/tasks/solver.h"

namespace aha::pipelines {

enum class Language : std::uint8_t { kEnglish, kChinese };

/// Writes steps one after the other. Call Step() before each, then Say() what it says.
class Pen {
 public:
  Pen(const ThoughtStyle& style, KeyedRandom random) : style_(style), draw_(random) {}

  /// Begins a step that may slip: draws its language and the slip.
  void Step();
  /// Begins a step that only restates, which never slips.
  void PlainStep();
  /// True when the family must get this step wrong, in its own plausible way.
  [[nodiscard]] bool slips() const { return slips_; }

  /// Adds to the step, in its language, after one space.
  template <class... Args>
  void Say(fmt::format_string<const Args&...> english,
           fmt::format_string<const Args&...> chinese,
           const Args&... args) {
    Append(fmt::format(language_ == Language::kEnglish ? english : chinese, args...));
  }

  /// Chance for the family's own use.
  DrawSequence& draw() { return draw_; }
  /// The language of the step in hand.
  [[nodiscard]] Language language() const { return language_; }
  [[nodiscard]] const std::string& text() const { return text_; }
  [[nodiscard]] int slip_count() const { return slip_count_; }

 private:
  void Append(std::string_view words);

  ThoughtStyle style_;
  DrawSequence draw_;
  Language language_ = Language::kEnglish;
  bool slips_ = false;
  int slip_count_ = 0;
  std::string text_;
};

}  // namespace aha::pipelines
