#include "base/log.h"

#include <spdlog/sinks/stdout_color_sinks.h>

namespace aha {

void StartLog(spdlog::level::level_enum level) {
  auto logger = std::make_shared<spdlog::logger>(
      "aha", std::make_shared<spdlog::sinks::stderr_color_sink_mt>());
  logger->set_pattern("%H:%M:%S %^%l%$ %v");
  logger->set_level(level);
  logger->flush_on(spdlog::level::info);
  spdlog::set_default_logger(std::move(logger));
}

}  // namespace aha
