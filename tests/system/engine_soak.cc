// engine_soak MINUTES [THREADS] [SEED]: requests of all kinds come and go, are cancelled, fail to
// fit; weights change in flight; the cache is too small. Completions are checked against passes
// over whole sequences, memory must stay where it is.

#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <fstream>
#include <map>

#include <fmt/format.h>

#include "tests/rollout/engine_fixture.h"

namespace aha::rollout {
namespace {

using Clock = std::chrono::steady_clock;

double ResidentMb() {
  std::ifstream file("/proc/self/statm");
  double pages = 0, resident = 0;
  file >> pages >> resident;
  return resident * static_cast<double>(sysconf(_SC_PAGESIZE)) / 1e6;
}

policy::Weights WeightsOf(std::uint64_t version) {
  return policy::Weights::Initial(TinyLatent(), KeyedRandom(version, "soak"),
                                  policy::WeightsUse::kInference);
}

class Soak {
 public:
  Soak(int threads, std::uint64_t seed)
      : random_(KeyedRandom(seed, "soak/events")),
        cpu_(*policy::cpu::ChooseKernelTarget(), threads),
        weights_(WeightsOf(0)) {
    const Speculation speculation = seed % 3 == 0   ? Speculation::kModule
                                    : seed % 3 == 1 ? Speculation::kLookup
                                                    : Speculation::kOff;
    EngineOptions options{.page_tokens = 16,
                          .most_rows = 24,
                          .prefill_tokens = 48,
                          .speculation = speculation,
                          .drafts = 2};
    engine_ = std::make_unique<Engine>(weights_, cpu_, WithPages(weights_.config(), 40, options));
  }

  // False: a bit differed, or memory grew.
  bool Run(double minutes) {
    const auto start = Clock::now();
    double warm_mb = 0;
    for (std::uint64_t step = 0;; ++step) {
      const double passed =
          std::chrono::duration<double>(Clock::now() - start).count() / (minutes * 60);
      if (passed > 1) break;
      if (warm_mb == 0 && passed > 0.3) warm_mb = ResidentMb();
      Events();
      engine_->Step();
      for (const Outcome& outcome : engine_->TakeOutcomes())
        Check(outcome);
    }
    while (engine_->Step()) {
    }
    for (const Outcome& outcome : engine_->TakeOutcomes())
      Check(outcome);
    const double end_mb = ResidentMb();
    const EngineTotals t = engine_->totals();
    fmt::print(
        "steps {}, tokens {}, requests {}, cancelled {}, refused {}, swaps {}, preemptions {}, "
        "guesses {} of {} right\n"
        "compared {} tokens, {} differ; resident {:.1f} MB warm, {:.1f} MB at the end\n",
        t.steps, t.drawn, next_id_, cancelled_, refused_, version_, t.preemptions, t.accepted,
        t.drafted, compared_, differing_, warm_mb, end_mb);
    return differing_ == 0 && compared_ > 0 && end_mb < warm_mb * 1.1 + 8;
  }

 private:
  std::int64_t Draw(std::int64_t low, std::int64_t high) {
    return random_.Integer(event_++, low, high);
  }

  void Events() {
    if (live_.size() < 40 && Draw(0, 3) == 0) {
      Request request = MakeRequest(next_id_, weights_.config());
      if (Draw(0, 19) == 0) request.prompt.resize(400, 3);
      if (Draw(0, 19) == 0) request.prompt.front() = -5;
      const std::uint64_t id = next_id_++;
      if (engine_->Add(std::move(request))) {
        live_.emplace(id, true);
      } else {
        ++refused_;
      }
    }
    if (!live_.empty() && Draw(0, 39) == 0)
      cancelled_ += engine_->Cancel(live_.begin()->first) ? 1 : 0;
    if (Draw(0, 149) == 0) {
      weights_.CopyFrom(WeightsOf(++version_));
      engine_->SwapWeights(version_);
    }
  }

  void Check(const Outcome& outcome) {
    live_.erase(outcome.id);
    if (outcome.error) {
      fmt::print("request {}: {}\n", outcome.id, outcome.error->message);
      ++differing_;
    }
    if (outcome.id % 4 != 0) return;
    const Request request = MakeRequest(outcome.id, weights_.config());
    for (const SampleOutcome& sample : outcome.samples) {
      for (std::size_t r = 0; r < sample.versions.size(); ++r) {
        const std::size_t end =
            r + 1 < sample.versions.size() ? sample.versions[r + 1].first : sample.ids.size();
        const std::vector<float> want =
            WholeLogprobs(WeightsOf(sample.versions[r].version), cpu_, request, sample.ids);
        for (std::size_t i = sample.versions[r].first; i < end; ++i)
          differing_ += sample.logprobs[i] != want[i] ? 1 : 0;
        compared_ += end - sample.versions[r].first;
      }
    }
  }

  KeyedRandom random_;
  std::uint64_t event_ = 0, next_id_ = 0, version_ = 0;
  policy::cpu::Cpu cpu_;
  policy::Weights weights_;
  std::unique_ptr<Engine> engine_;
  std::map<std::uint64_t, bool> live_;
  std::size_t cancelled_ = 0, refused_ = 0, compared_ = 0, differing_ = 0;
};

}  // namespace
}  // namespace aha::rollout

int main(int argc, char** argv) {
  const double minutes = argc > 1 ? std::atof(argv[1]) : 1;
  const int threads = argc > 2 ? std::atoi(argv[2]) : 2;
  const std::uint64_t seed = argc > 3 ? std::strtoull(argv[3], nullptr, 10) : 3;
  return aha::rollout::Soak(threads, seed).Run(minutes) ? 0 : 1;
}
