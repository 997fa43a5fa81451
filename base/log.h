#pragma once
/// Logs go to standard error, results to standard output. Levels: debug, info, warn, error.

#include <string_view>

#include <spdlog/spdlog.h>

namespace aha {

/// Sends spdlog's default logger to standard error as "hh:mm:ss level text". Call once from `main`.
void StartLog(spdlog::level::level_enum level);

}  // namespace aha
