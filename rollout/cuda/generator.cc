#include <algorithm>
#include <chrono>
#include <cmath>
#include <optional>

#include <ATen/TensorOperators.h>
#include <c10/core/GradMode.h>

#include "policy/cuda/accelerator.h"
#include "rollout/cuda/on_device.h"
#include "rollout/stop.h"

namespace aha::rollout {
namespace {

using Clock = std::chrono::steady_clock;
using policy::cuda::DrawnToken;
using policy::cuda::DrawRequest;
using policy::reference::CachedSequence;
using Pages = std::vector<std::int64_t>;

double Seconds(Clock::time_point from) {
  return std::chrono::duration<double>(Clock::now() - from).count();
}

// A sample under way.
struct Live {
  std::uint32_t sample = 0;
  SampleOutcome* out = nullptr;
  std::optional<StopStrings> stops;
  Pages pages;
};

class OnDevice : public Generator {
 public:
  OnDevice(c10::Device device,
           std::unique_ptr<policy::cuda::Kernels> kernels,
           const policy::Weights& weights,
           const GeneratorOptions& options)
      : device_(device),
        kernels_(std::move(kernels)),
        accelerator_(*kernels_),
        policy_(policy::reference::Policy::Of(weights, device)),
        options_(options) {}

  Result<Outcome> Run(const Request& request) override {
    AHA_TRY(CheckRequest(request, policy_.config()));
    return Guard("generation", [&] {
      const at::NoGradGuard no_grad;
      return RunChecked(request);
    });
  }

  [[nodiscard]] GeneratorTimes times() const override { return times_; }

 private:
  [[nodiscard]] std::size_t PagesOf(std::size_t tokens) const {
    return (tokens + options_.page_tokens - 1) / options_.page_tokens;
  }

  // Samples that a cache of all its pages holds beside the prompt.
  Result<std::size_t> RowsAtOnce(const Request& request) const {
    const std::size_t page = static_cast<std::size_t>(policy::reference::KvPageBytes(
        policy_.config(), static_cast<std::int64_t>(options_.page_tokens)));
    const std::size_t prompt = PagesOf(request.prompt.size());
    const std::size_t pages = options_.cache_bytes / page;
    const std::size_t rows = pages > prompt ? (pages - prompt) / OwnPages(request) : 0;
    if (rows == 0) {
      return Fail(Code::kExhausted,
                  "request {}: a sample needs {} pages of the cache, which has {}; raise "
                  "cache_bytes or ask for fewer tokens",
                  request.id, prompt + OwnPages(request), pages);
    }
    return std::min({rows, options_.most_rows, std::size_t{request.samples}});
  }
  // Whole pages of the prompt are shared; the rest is each sample's own.
  [[nodiscard]] std::size_t OwnPages(const Request& request) const {
    return PagesOf(request.prompt.size() + request.sampling.max_new_tokens) -
           request.prompt.size() / options_.page_tokens;
  }

  Result<Outcome> RunChecked(const Request& request) {
    AHA_ASSIGN(const std::size_t rows, RowsAtOnce(request));
    const std::size_t prompt_pages = PagesOf(request.prompt.size());
    cache_ = policy::reference::MakeKvPages(
        policy_.config(), static_cast<std::int64_t>(prompt_pages + rows * OwnPages(request)),
        static_cast<std::int64_t>(options_.page_tokens), device_);
    times_ = {};
    const Clock::time_point start = Clock::now();
    const at::Tensor first_V = Prefill(request);
    Outcome outcome{request.id, std::vector<SampleOutcome>(request.samples), {}};
    for (std::uint32_t sample = 0; sample < request.samples;) {
      std::vector<Live> live;
      for (; sample < request.samples && live.size() < rows; ++sample)
        live.push_back(Start(request, sample, live.size(), outcome.samples[sample]));
      const bool first_wave = times_.prefill_s == 0;
      AHA_TRY(Draw(request, live,
                   first_V.expand({static_cast<std::int64_t>(live.size()), first_V.size(1)})));
      if (first_wave) times_.prefill_s = Seconds(start);
      while (!live.empty())
        AHA_TRY(Draw(request, live, Step(request, live)));
    }
    times_.decode_s = Seconds(start) - times_.prefill_s;
    return outcome;
  }

  // Logits after the prompt, [1, V].
  at::Tensor Prefill(const Request& request) {
    Pages pages(PagesOf(request.prompt.size()));
    for (std::size_t p = 0; p < pages.size(); ++p)
      pages[p] = static_cast<std::int64_t>(p);
    at::Tensor last_1H;
    for (std::size_t at = 0; at < request.prompt.size(); at += options_.prefill_tokens) {
      const std::size_t count = std::min(options_.prefill_tokens, request.prompt.size() - at);
      const auto first = request.prompt.begin() + static_cast<std::ptrdiff_t>(at);
      const at::Tensor hidden = Forward({{{first, first + static_cast<std::ptrdiff_t>(count)},
                                          static_cast<std::int64_t>(at),
                                          &pages}});
      last_1H = hidden.narrow(0, hidden.size(0) - 1, 1);
    }
    return policy::reference::kernels::Logits(last_1H, policy_.head());
  }

  at::Tensor Forward(const std::vector<CachedSequence>& sequences) {
    return policy_.Forward(policy::reference::PackCached(sequences, cache_, &accelerator_));
  }

  // A sample's pages: the prompt's whole ones, then its own, of which the first takes a copy of the
  // prompt's last, partly filled page.
  Live Start(const Request& request, std::uint32_t sample, std::size_t row, SampleOutcome& out) {
    Live live{sample, &out, {}, {}};
    if (!request.stop_strings.empty()) live.stops.emplace(request.stop_strings, request.decoder());
    const std::size_t whole = request.prompt.size() / options_.page_tokens;
    const std::size_t own = PagesOf(request.prompt.size()) + row * OwnPages(request);
    for (std::size_t p = 0; p < whole; ++p)
      live.pages.push_back(static_cast<std::int64_t>(p));
    for (std::size_t p = 0; p < OwnPages(request); ++p)
      live.pages.push_back(static_cast<std::int64_t>(own + p));
    if (request.prompt.size() % options_.page_tokens != 0) {
      for (at::Tensor& layer : cache_.layers) {
        layer.select(0, static_cast<std::int64_t>(own))
            .copy_(layer.select(0, static_cast<std::int64_t>(whole)));
      }
    }
    return live;
  }

  // Logits after each sample's last token, [N, V].
  at::Tensor Step(const Request& request, const std::vector<Live>& live) {
    std::vector<CachedSequence> sequences;
    for (const Live& row : live) {
      const std::size_t known = request.prompt.size() + row.out->ids.size();
      sequences.push_back(
          {{row.out->ids.back()}, static_cast<std::int64_t>(known) - 1, &row.pages});
    }
    return policy::reference::kernels::Logits(Forward(sequences), policy_.head());
  }

  // A token of each live sample; those that it ends leave.
  Status Draw(const Request& request, std::vector<Live>& live, const at::Tensor& logits_NV) {
    std::vector<DrawRequest> draws;
    for (const Live& row : live) {
      draws.push_back({request.random.With(row.sample).key(), row.out->ids.size(),
                       request.sampling.temperature, request.sampling.top_k, request.sampling.top_p,
                       request.sampling.min_p});
    }
    const std::vector<DrawnToken> drawn =
        policy::cuda::DrawTokens(*kernels_, logits_NV.contiguous(), draws);
    for (std::size_t i = 0; i < live.size(); ++i) {
      if (!std::isfinite(drawn[i].logprob)) {
        return Fail(Code::kCorrupt,
                    "request {}, sample {}, position {}: a log-probability is not finite; the "
                    "weights or their products overflow their number type",
                    request.id, live[i].sample, live[i].out->ids.size());
      }
      AddToken(request, live[i].sample, drawn[i].token, drawn[i].logprob, 0, live[i].stops,
               *live[i].out);
    }
    std::erase_if(live, [](const Live& row) { return row.out->finish != Finish::kNone; });
    return {};
  }

  c10::Device device_;
  std::unique_ptr<policy::cuda::Kernels> kernels_;
  policy::cuda::KernelAccelerator accelerator_;
  policy::reference::Policy policy_;
  GeneratorOptions options_;
  policy::reference::KvPages cache_;
  GeneratorTimes times_;
};

}  // namespace

std::unique_ptr<Generator> GeneratorOn(c10::Device device,
                                       std::unique_ptr<policy::cuda::Kernels> kernels,
                                       const policy::Weights& weights,
                                       const GeneratorOptions& options) {
  return std::make_unique<OnDevice>(device, std::move(kernels), weights, options);
}

std::unique_ptr<Generator> HostGenerator(const policy::Weights& weights,
                                         const GeneratorOptions& options) {
  return GeneratorOn(c10::Device(c10::kCPU), policy::cuda::HostKernels(), weights, options);
}

}  // namespace aha::rollout
