#pragma once
/// What the engine is asked for, and what it answers.

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/keyed_random.h"
#include "base/result.h"
#include "policy/config.h"

namespace aha::rollout {

/// Of every token of a request; docs/sampling.md is the rule.
struct Sampling {
  float temperature = 1;    ///< 0: the likeliest token
  std::uint32_t top_k = 0;  ///< 0: off
  float top_p = 1;          ///< 1: off
  float min_p = 0;          ///< 0: off
  std::uint32_t max_new_tokens = 1;
};

/// Turns one sample's tokens into bytes, as they come. The engine knows of no tokenizer beyond it.
class TextDecoder {
 public:
  virtual ~TextDecoder() = default;
  /// Appends the bytes that this token completes; none is an answer too.
  virtual void Append(std::int32_t id, std::string& bytes) = 0;
};
using TextDecoderFactory = std::function<std::unique_ptr<TextDecoder>()>;

enum class Finish : std::uint8_t { kNone, kStop, kLength, kCancelled };

/// A token that was just drawn. With requests of one sample, a stream for a reader.
struct TokenEvent {
  std::uint64_t request = 0;
  std::uint32_t sample = 0;
  std::size_t position = 0;
  std::int32_t id = 0;
  float logprob = 0;
  std::uint64_t weights_version = 0;
  Finish finish = Finish::kNone;  ///< why this token is the last
};

/// A group: `samples` completions of one prompt. Draw `position` of sample s is
/// random.With(s).Uniform(position), and so is what comes out: nothing else decides it.
struct Request {
  std::uint64_t id = 0;  ///< the caller's; no two requests that are under way share one
  std::vector<std::int32_t> prompt;
  std::uint32_t samples = 1;
  KeyedRandom random{0, ""};
  Sampling sampling;
  std::vector<std::int32_t> stop_ids;     ///< each ends a sample, as its last token
  std::vector<std::string> stop_strings;  ///< a sample ends with the token that completes one
  TextDecoderFactory decoder;             ///< needed for stop strings alone
  /// Called from within Engine::Step; may call Add and Cancel.
  std::function<void(const TokenEvent&)> on_token;
};

/// Tokens from `first` on were drawn with weights `version`.
struct VersionRun {
  std::size_t first = 0;
  std::uint64_t version = 0;
};

struct SampleOutcome {
  std::vector<std::int32_t> ids;
  std::vector<float> logprobs;  ///< log-softmax of logits / T, of the whole distribution
  std::vector<VersionRun> versions;
  Finish finish = Finish::kNone;
  std::optional<std::size_t> stop_string;  ///< which one ended it
};

/// A request that is over. With an error, samples hold what there was.
struct Outcome {
  std::uint64_t id = 0;
  std::vector<SampleOutcome> samples;
  std::optional<Error> error;
};

/// Errors: kInvalidArgument, whatever can never be computed with such a policy.
Status CheckRequest(const Request& request, const policy::PolicyConfig& config);

}  // namespace aha::rollout
