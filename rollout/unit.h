#pragma once
/// Between the messages of a run and the engine's own requests.

#include <cstdint>

#include "proto/rollout.pb.h"
#include "rollout/request.h"

namespace aha::rollout {

/// A group of the message; stop ids are the caller's to add.
Request RequestOf(const proto::SampleRequest& unit,
                  const proto::GroupRequest& group,
                  std::uint64_t id);

/// Tokens, log-probabilities, finish and versions; the key is the caller's.
void FillCompletion(proto::Completion& completion, const SampleOutcome& sample);

}  // namespace aha::rollout
