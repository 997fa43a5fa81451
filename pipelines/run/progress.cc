#include "pipelines/run/progress.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>

#include <fmt/format.h>

namespace aha::pipelines {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr milliseconds kRedrawEvery{100};
constexpr seconds kLineEvery{10};
constexpr std::uint64_t kBarWidth = 24;

std::string Span(double seconds_left) {
  const auto s = static_cast<std::uint64_t>(seconds_left + 0.5);
  if (s >= 360'000) return "days";
  return s >= 3600 ? fmt::format("{}:{:02}:{:02}", s / 3600, s / 60 % 60, s % 60)
                   : fmt::format("{}:{:02}", s / 60, s % 60);
}

std::string Rate(double per_second) {
  if (per_second >= 1) return fmt::format("{:.1f}/s", per_second);
  return fmt::format("{:.1f} s each", 1 / per_second);
}

std::string Bar(std::uint64_t done, std::uint64_t total) {
  const auto full = static_cast<std::uint64_t>(static_cast<double>(std::min(done, total)) /
                                               static_cast<double>(total) * kBarWidth);
  return fmt::format("[{:#<{}}{:.<{}}] ", "", full, "", kBarWidth - full);
}

// The first `columns` bytes at most, never half of a UTF-8 character.
std::string Fit(std::string line, std::size_t columns) {
  if (line.size() <= columns) return line;
  while (columns > 0 && (static_cast<unsigned char>(line[columns]) & 0xC0U) == 0x80U)
    --columns;
  line.resize(columns);
  return line;
}

}  // namespace

Progress::Surroundings Progress::Surroundings::OfProcess() {
  Surroundings now_here;
  now_here.terminal = ::isatty(STDERR_FILENO) == 1;
  winsize window{};
  if (::ioctl(STDERR_FILENO, TIOCGWINSZ, &window) == 0 && window.ws_col > 0)
    now_here.columns = window.ws_col;
  return now_here;
}

Progress::Progress(std::uint64_t total, std::string label, std::uint64_t done)
    : Progress(total, std::move(label), done, Surroundings::OfProcess()) {}

Progress::Progress(std::uint64_t total,
                   std::string label,
                   std::uint64_t done,
                   Surroundings surroundings)
    : total_(total),
      label_(std::move(label)),
      first_(done),
      done_(done),
      surroundings_(std::move(surroundings)),
      start_(surroundings_.now()) {}

void Progress::Advance(std::uint64_t n, std::string_view extra) {
  done_ += n;
  extra_ = extra;
  const auto every = surroundings_.terminal ? milliseconds(kRedrawEvery) : milliseconds(kLineEvery);
  if (!drawn_ || surroundings_.now() - *drawn_ >= every) Draw(false);
}

void Progress::Finish() {
  if (finished_) return;
  finished_ = true;
  const bool news = !drawn_ || drawn_done_ != done_;
  if (surroundings_.terminal || news) Draw(true);
}

std::string Progress::Line() const {
  const double elapsed = std::chrono::duration<double>(surroundings_.now() - start_).count();
  const double rate = elapsed > 0 ? static_cast<double>(done_ - first_) / elapsed : 0;
  std::string line = label_ + " ";
  if (total_ > 0 && surroundings_.terminal) line += Bar(done_, total_);
  line += total_ > 0 ? fmt::format("{}/{}", done_, total_) : fmt::format("{}", done_);
  if (rate > 0) line += ", " + Rate(rate);
  if (rate > 0 && total_ > done_) {
    line += fmt::format(", {} left", Span(static_cast<double>(total_ - done_) / rate));
  } else if (total_ > 0 && done_ >= total_) {
    line += fmt::format(", took {}", Span(elapsed));
  }
  if (!extra_.empty()) line += ", " + extra_;
  return line;
}

void Progress::Draw(bool last) {
  if (surroundings_.terminal) {
    const auto columns = static_cast<std::size_t>(std::max(surroundings_.columns - 1, 1));
    fmt::print(surroundings_.out, "\r{}\x1b[K{}", Fit(Line(), columns), last ? "\n" : "");
  } else {
    fmt::print(surroundings_.out, "{}\n", Line());
  }
  std::fflush(surroundings_.out);
  drawn_ = surroundings_.now();
  drawn_done_ = done_;
}

}  // namespace aha::pipelines
