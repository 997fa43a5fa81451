#include "pipelines/recipes/places.h"

#include <fmt/ranges.h>

namespace aha::pipelines {

std::string Places::Of(std::string path) const {
  while (true) {
    if (const auto found = places_.find(path); found != places_.end()) return found->second;
    if (path.empty()) return source_;
    const std::size_t cut = path.find_last_of(".[");
    path.resize(cut == std::string::npos ? 0 : cut);
  }
}

std::string JoinPath(std::string_view prefix, std::string_view name, int index) {
  std::string path(prefix);
  if (!path.empty()) path += '.';
  path += name;
  if (index >= 0) path += fmt::format("[{}]", index);
  return path;
}

Status Problems::ToStatus() const {
  if (lines_.empty()) return {};
  return Fail(Code::kInvalidArgument, "{}", fmt::join(lines_, "\n"));
}

}  // namespace aha::pipelines
