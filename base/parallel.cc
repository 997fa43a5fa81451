#include "base/parallel.h"

#include <algorithm>
#include <atomic>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>

namespace aha {

Status RunParallel(int threads,
                   std::size_t count,
                   const std::function<Status(std::size_t, int)>& job) {
  std::atomic<std::size_t> next{0};
  std::mutex mutex;
  std::size_t failed_job = count;
  std::optional<Error> error;
  const auto work = [&](int worker) {
    for (std::size_t j = next++; j < count; j = next++) {
      const Status done = Guard("job", [&] { return job(j, worker); });
      if (done) continue;
      next = count;
      const std::lock_guard lock(mutex);
      if (j < failed_job) {
        failed_job = j;
        error = done.error();
      }
    }
  };
  std::vector<std::thread> helpers;
  const auto wanted = std::min<std::size_t>(static_cast<std::size_t>(std::max(1, threads)), count);
  for (std::size_t t = 1; t < wanted; ++t)
    helpers.emplace_back(work, static_cast<int>(t));
  work(0);
  for (std::thread& helper : helpers)
    helper.join();
  if (error) return tl::unexpected<Error>(*error);
  return {};
}

}  // namespace aha
