// engine_soak minutes M [SEED] | tokens N [SEED]: engines of every architecture live under random
// load (tests/rollout/engine_life.h) for M minutes, or until N tokens of each have been compared.
// Prints resident memory every minute and a line for each architecture; ends with 1 when a bit
// differs, an outcome is wrong or memory grows.

#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <fstream>
#include <string>

#include <fmt/format.h>

#include "tests/rollout/engine_life.h"

namespace aha::rollout {
namespace {

using Clock = std::chrono::steady_clock;

double ResidentMb() {
  std::ifstream file("/proc/self/statm");
  double pages = 0, resident = 0;
  file >> pages >> resident;
  return resident * static_cast<double>(sysconf(_SC_PAGESIZE)) / 1e6;
}

void PrintTally(const std::string& name, const LifeTally& t) {
  fmt::print(
      "{:25} {:9} compared, {} differ, {} wrong; {} lives, {} requests ({} refused, {} cancelled, "
      "{} failed as they must), {} swaps, {} preemptions, guesses {} of {} right\n",
      name, t.compared, t.differing, t.wrong, t.lives, t.requests, t.refused, t.cancelled, t.failed,
      t.swaps, t.preemptions, t.accepted, t.drafted);
  if (!t.first_trouble.empty()) fmt::print("  first trouble: {}\n", t.first_trouble);
}

// Resident memory, once a minute.
class MemoryWatch {
 public:
  void Look(double minutes, const LifeTally& all) {
    if (minutes < next_) return;
    next_ += 1;
    const double mb = ResidentMb();
    fmt::print(
        "minute {:3.0f}: resident {:6.1f} MB; {} lives, {} tokens, {} compared, {} differ, {} "
        "wrong\n",
        minutes, mb, all.lives, all.drawn, all.compared, all.differing, all.wrong);
    std::fflush(stdout);
    if (minutes >= kWarm && warm_ == 0) warm_ = mb;
    last_ = mb;
  }
  // Lives differ in size, so some play is left.
  [[nodiscard]] bool flat() const { return warm_ == 0 || last_ < warm_ * 1.1 + 16; }

 private:
  static constexpr double kWarm = 3;  // minutes: every architecture has had long lives
  double next_ = 0, warm_ = 0, last_ = 0;
};

int Soak(double minutes, std::size_t tokens, std::uint64_t seed) {
  std::vector<Subject> subjects = Subject::All();
  std::vector<LifeTally> tallies(subjects.size());
  LifeTally all;
  MemoryWatch memory;
  const auto start = Clock::now();
  const auto passed = [&] {
    return std::chrono::duration<double>(Clock::now() - start).count() / 60;
  };
  for (std::uint64_t life = 0;; ++life) {
    memory.Look(passed(), all);
    bool over = passed() >= minutes;
    if (tokens > 0) {
      over = true;
      for (const LifeTally& t : tallies)
        over = over && t.compared >= tokens;
    }
    if (over) break;
    const std::size_t s = life % subjects.size();
    if (tokens > 0 && tallies[s].compared >= tokens) continue;
    const LifeTally tally = Live(subjects[s], seed + life, 400);
    tallies[s].Add(tally);
    all.Add(tally);
  }
  bool good = memory.flat();
  for (std::size_t s = 0; s < subjects.size(); ++s) {
    PrintTally(subjects[s].name(), tallies[s]);
    good = good && tallies[s].good();
  }
  PrintTally("all", all);
  fmt::print("{} tokens also through the pass that gradients are taken of; memory {}\n",
             all.trained, memory.flat() ? "flat" : "GREW");
  return good ? 0 : 1;
}

}  // namespace
}  // namespace aha::rollout

int main(int argc, char** argv) {
  const std::string mode = argc > 2 ? argv[1] : "";
  if (mode != "minutes" && mode != "tokens") {
    fmt::print(stderr, "usage: engine_soak minutes M [SEED] | tokens N [SEED]\n");
    return 2;
  }
  const bool by_time = mode == "minutes";
  const std::uint64_t seed = argc > 3 ? std::strtoull(argv[3], nullptr, 10) : 1;
  return aha::rollout::Soak(by_time ? std::atof(argv[2]) : 0,
                            by_time ? 0 : std::strtoull(argv[2], nullptr, 10), seed);
}
