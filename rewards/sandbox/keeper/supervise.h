#pragma once
/// One run from start to end.

#include <string>

#include "rewards/sandbox/keeper/init.h"
#include "rewards/sandbox/run.h"

namespace aha::keeper {

/// Runs `run` and fills `result`; `*kept` is the program kept in this slot and may be replaced.
/// Empty when it took place, else why it could not. Exits the keeper when `control` hangs up.
std::string Supervise(const Setup& setup,
                      const rewards::sandbox::Run& run,
                      int control,
                      Fd* kept,
                      rewards::sandbox::RunResult* result);

}  // namespace aha::keeper
