// aha reproduce, aha report.

#include "pipelines/commands/command.h"

namespace aha::pipelines {

void AddReproduceCommands(CLI::App& /*app*/, Action& /*action*/) {}

}  // namespace aha::pipelines
