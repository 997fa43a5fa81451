#pragma once
/// Which hue and which dash a series has: the same in every chart of a report.

#include <cstddef>
#include <map>
#include <string>
#include <vector>

#include "pipelines/report/report.h"

namespace aha::pipelines {

inline constexpr std::size_t kHues = 6;    ///< classes c0 to c5 of the style sheet
inline constexpr std::size_t kDashes = 6;  ///< classes d0 to d5

struct SeriesStyle {
  std::size_t hue = 0, dash = 0;
  [[nodiscard]] std::string Classes() const;  ///< "c1 d2"
};

/// Hues by recipe (the name up to " · "), dashes by name, both in order of first appearance.
class SeriesStyles {
 public:
  explicit SeriesStyles(const std::vector<Chart>& charts);
  [[nodiscard]] SeriesStyle Of(const std::string& name) const;
  /// All names, in order of first appearance.
  [[nodiscard]] const std::vector<std::string>& names() const { return names_; }

 private:
  std::vector<std::string> names_;
  std::map<std::string, SeriesStyle> styles_;
};

}  // namespace aha::pipelines
