#pragma once
/// Independent jobs on several threads. What a job computes must not depend on which thread runs
/// it.

#include <cstddef>
#include <functional>

#include "base/result.h"

namespace aha {

/// Runs job(0) ... job(count - 1), started in that order, on at most `threads` threads (this one is
/// among them), and returns when all threads are joined. `worker` in [0, threads) is unique among
/// jobs running at one time. The error of the lowest failing job is returned; jobs not yet started
/// are then left out. An exception becomes an error.
Status RunParallel(int threads,
                   std::size_t count,
                   const std::function<Status(std::size_t job, int worker)>& job);

}  // namespace aha
