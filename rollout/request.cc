#include "rollout/request.h"

#include <cmath>

namespace aha::rollout {
namespace {

Status CheckLengths(const Request& request, const policy::PolicyConfig& config) {
  const std::size_t prompt = request.prompt.size(), most_new = request.sampling.max_new_tokens;
  const auto positions = static_cast<std::size_t>(config.max_position_embeddings);
  if (request.samples == 0)
    return Fail(Code::kInvalidArgument, "request {}: 0 samples", request.id);
  if (most_new == 0)
    return Fail(Code::kInvalidArgument, "request {}: max_new_tokens is 0, must be at least 1",
                request.id);
  if (prompt == 0)
    return Fail(Code::kInvalidArgument, "request {}: the prompt has no tokens", request.id);
  if (prompt > positions || most_new > positions - prompt) {
    return Fail(Code::kInvalidArgument,
                "request {}: {} tokens and {} new ones exceed max_position_embeddings {}",
                request.id, prompt, most_new, positions);
  }
  return {};
}

Status CheckIds(const Request& request, const policy::PolicyConfig& config) {
  for (std::size_t i = 0; i < request.prompt.size(); ++i) {
    const std::int32_t id = request.prompt[i];
    if (id >= 0 && id < config.vocab_size) continue;
    return Fail(Code::kInvalidArgument,
                "request {}: token {} of the prompt is {}, outside the vocabulary of {}; do "
                "tokenizer and model match?",
                request.id, i, id, config.vocab_size);
  }
  return {};
}

// Not-a-number fails every comparison, so each bound is put as what must hold.
Status CheckSampling(const Request& request) {
  const Sampling& s = request.sampling;
  if (!(s.temperature >= 0) || std::isinf(s.temperature)) {
    return Fail(Code::kInvalidArgument,
                "request {}: temperature is {}, must be a number of 0 or more", request.id,
                s.temperature);
  }
  if (!(s.top_p >= 0 && s.top_p <= 1))
    return Fail(Code::kInvalidArgument, "request {}: top_p is {}, must be in [0, 1]", request.id,
                s.top_p);
  if (!(s.min_p >= 0 && s.min_p <= 1))
    return Fail(Code::kInvalidArgument, "request {}: min_p is {}, must be in [0, 1]", request.id,
                s.min_p);
  return {};
}

}  // namespace

Status CheckRequest(const Request& request, const policy::PolicyConfig& config) {
  AHA_TRY(CheckLengths(request, config));
  AHA_TRY(CheckIds(request, config));
  AHA_TRY(CheckSampling(request));
  if (!request.stop_strings.empty() && !request.decoder) {
    return Fail(Code::kInvalidArgument, "request {}: stop strings need a decoder", request.id);
  }
  for (const std::string& s : request.stop_strings) {
    if (s.empty())
      return Fail(Code::kInvalidArgument, "request {}: a stop string is empty", request.id);
  }
  return {};
}

}  // namespace aha::rollout
