#pragma once
/// How far a stage is, for people: on a terminal one line that is redrawn, elsewhere a plain line
/// now and then.

#include <chrono>
#include <cstdint>
#include <cstdio>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

namespace aha::pipelines {

/// Writes to standard error. Not thread-safe. Finish() or the destructor draws the last state.
class Progress {
 public:
  using Clock = std::chrono::steady_clock;

  /// Where it draws and what time it is; tests put their own.
  struct Surroundings {
    std::FILE* out = stderr;
    bool terminal = false;
    int columns = 80;
    std::function<Clock::time_point()> now = Clock::now;
    /// Standard error as it is now.
    static Surroundings OfProcess();
  };

  /// `total` steps; 0 when nobody knows. `done` of them were finished before (a resumed stage) and
  /// do not count towards the rate.
  Progress(std::uint64_t total, std::string label, std::uint64_t done = 0);
  Progress(std::uint64_t total, std::string label, std::uint64_t done, Surroundings surroundings);
  ~Progress() { Finish(); }
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  /// `n` more steps are done; `extra` is shown behind ("reward 0.41").
  void Advance(std::uint64_t n, std::string_view extra = "");

  /// Draws the last state and ends the line. Once; later calls do nothing.
  void Finish();

 private:
  [[nodiscard]] std::string Line() const;
  void Draw(bool last);

  std::uint64_t total_;
  std::string label_;
  std::uint64_t first_;
  std::uint64_t done_;
  Surroundings surroundings_;
  std::string extra_;
  Clock::time_point start_;
  std::optional<Clock::time_point> drawn_;
  std::uint64_t drawn_done_ = 0;
  bool finished_ = false;
};

}  // namespace aha::pipelines
