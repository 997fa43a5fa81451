#pragma once
/// Where each key of a recipe was set, so that every refusal can name file, line and column.

#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"

namespace aha::pipelines {

/// Places by key path. Paths read "stage[0].rl.optimizer.learning_rate": indices on repeated keys
/// only. A place reads "recipe.textproto:7:5" or "--set zero.steps=40".
class Places {
 public:
  explicit Places(std::string source) : source_(std::move(source)) {}

  void Set(const std::string& path, std::string place) { places_[path] = std::move(place); }

  /// The place of `path`, else of the closest enclosing message, else the file.
  [[nodiscard]] std::string Of(std::string path) const;

 private:
  std::string source_;
  std::map<std::string, std::string> places_;
};

/// "prefix.name", "prefix.name[2]"; no dot when the prefix is empty.
std::string JoinPath(std::string_view prefix, std::string_view name, int index = -1);

/// Refusals, collected so that a user can mend all of them in one go.
class Problems {
 public:
  /// `places` is borrowed for this object's lifetime.
  explicit Problems(const Places& places) : places_(places) {}

  template <class... Args>
  void Add(const std::string& path, fmt::format_string<Args...> format, Args&&... args) {
    lines_.push_back(places_.Of(path) + ": " + fmt::format(format, std::forward<Args>(args)...));
  }

  [[nodiscard]] bool empty() const { return lines_.empty(); }

  /// Success, or kInvalidArgument with one line a problem, in the order they were added.
  [[nodiscard]] Status ToStatus() const;

 private:
  const Places& places_;
  std::vector<std::string> lines_;
};

}  // namespace aha::pipelines
