#pragma once
/// Completions on a GPU: the LibTorch forward with the kernels of policy/kernels/cuda, and the
/// engine's rule of keyed draws. The engine's requests and outcomes, without its scheduling: one
/// request at a time, its samples side by side over one prompt's pages.
///
/// ATen's matrix products are not batch-invariant, so a completion's last bits may hang on how many
/// samples run beside it: the generator serves generation and measurement, not RL.

#include <cstddef>
#include <memory>

#include "base/result.h"
#include "policy/model/weights.h"
#include "rollout/request.h"

namespace aha::rollout {

struct GeneratorOptions {
  std::size_t cache_bytes = std::size_t{4} << 30U;  ///< most memory of the paged cache
  std::size_t page_tokens = 32;
  std::size_t most_rows = 256;  ///< samples at once
  std::size_t prefill_tokens = 512;
};

/// Seconds of the last request, waits for the device included.
struct GeneratorTimes {
  double prefill_s = 0;  ///< to the first token of the first samples
  double decode_s = 0;   ///< the rest
};

class Generator {
 public:
  virtual ~Generator() = default;

  /// Errors: as Engine::Add's, kExhausted also for the device's memory; kCorrupt when a
  /// log-probability is not finite.
  virtual Result<Outcome> Run(const Request& request) = 0;
  [[nodiscard]] virtual GeneratorTimes times() const = 0;
};

/// On GPU 0, with a copy of the weights there. kNotFound: see policy::cuda::FindDevice.
Result<std::unique_ptr<Generator>> CudaGenerator(const policy::Weights& weights,
                                                 const GeneratorOptions& options);

/// The same code on the CPU's tensors, with the kernels run lane by lane: for tests.
std::unique_ptr<Generator> HostGenerator(const policy::Weights& weights,
                                         const GeneratorOptions& options);

}  // namespace aha::rollout
