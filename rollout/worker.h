#pragma once
/// A rollout worker: loads the weights it is told to, decodes the units it is given.

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include <zmq.hpp>

#include "base/result.h"
#include "policy/model/weights.h"
#include "rollout/worker_link.h"

namespace aha::rollout {

struct WorkerPolicy {
  policy::Weights weights;
  std::vector<std::int32_t> stop_ids;  ///< as EngineOptions::stop_ids
};

/// Loads a checkpoint folder.
using PolicyLoader = std::function<Result<WorkerPolicy>(const std::filesystem::path& folder)>;

/// "host:pid" of this process.
std::string WorkerName();

/// Works for the learner at `options.endpoint` until it says that the run is over; its reason.
///
/// Weights are checked against their SHA-256 before they are used. The learner may be started
/// later, die and come back: only `options.patience` without one ends the worker.
/// Errors: kTimeout: no learner; kInvalidArgument: refused by it, or no endpoint; another: the
/// weights of a unit could not be loaded, or are not those that the learner announced.
Result<std::string> RunWorker(zmq::context_t& context,
                              LinkOptions options,
                              const PolicyLoader& load);

}  // namespace aha::rollout
