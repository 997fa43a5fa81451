// math_bench < LINES: scores {"completion", "reference"} a line with the `math` reward on one
// thread. A line out for each line in (score or failure, reason, rule, microseconds); throughput,
// p50, p99 and the slowest on standard error.
// --rounds N: how often each line is scored (the time is the best). --explain 1: what was read,
// too. --threads N: all lines on N threads too, for the ratio. A line's "decimals" is the reward's
// key of that name.

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <iostream>
#include <string>
#include <thread>
#include <vector>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "rewards/verifiers/math/verifier.h"

namespace {

namespace math = aha::rewards::math;
using aha::rewards::MathReward;
using aha::rewards::Outcome;
using Json = nlohmann::ordered_json;
using Clock = std::chrono::steady_clock;

struct Line {
  std::string completion, reference, prompt;
  int decimals = math::kDecimals;
};

Outcome ScoreOf(const Line& line) {
  return MathReward(line.decimals)
      .Score({.id = {},
              .prompt = line.prompt,
              .completion = line.completion,
              .reference = line.reference,
              .language = {}});
}

double Micros(Clock::duration taken) {
  return std::chrono::duration<double, std::micro>(taken).count();
}

double AllOnThreads(const std::vector<Line>& lines, int threads) {
  const auto start = Clock::now();
  std::vector<std::thread> workers;
  for (int t = 0; t < threads; ++t) {
    workers.emplace_back([&lines] {
      for (const Line& line : lines)
        ScoreOf(line);
    });
  }
  for (std::thread& worker : workers)
    worker.join();
  return Micros(Clock::now() - start) / 1e6;
}

}  // namespace

int main(int argc, char** argv) {
  int rounds = 1, threads = 0;
  bool explain = false;
  for (int i = 1; i + 1 < argc; i += 2) {
    const std::string name = argv[i];
    if (name == "--rounds") rounds = std::atoi(argv[i + 1]);
    if (name == "--explain") explain = std::atoi(argv[i + 1]) != 0;
    if (name == "--threads") threads = std::atoi(argv[i + 1]);
  }
  std::vector<Line> lines;
  for (std::string text; std::getline(std::cin, text);) {
    const Json json = Json::parse(text, nullptr, false);
    if (!json.is_object()) continue;
    lines.push_back({json.value("completion", ""), json.value("reference", ""),
                     json.value("prompt", ""), json.value("decimals", math::kDecimals)});
  }
  std::vector<double> times;
  std::vector<std::string> out;
  double total = 0;
  for (const Line& line : lines) {
    double best = 1e18;
    Outcome outcome;
    for (int r = 0; r < rounds; ++r) {
      const auto start = Clock::now();
      outcome = ScoreOf(line);
      best = std::min(best, Micros(Clock::now() - start));
    }
    Json json;
    if (outcome.has_score()) {
      json["score"] = outcome.score();
    } else {
      json["failure"] = outcome.failure().detail();
    }
    json["reason"] = outcome.reason();
    json["us"] = best;
    if (explain) {
      for (const auto& finding : MathReward(line.decimals)
                                     .Explain({.id = {},
            .prompt = line.prompt,
            .completion = line.completion,
            .reference = line.reference,
            .language = {}}))
        json[finding.name] = finding.text;
    }
    out.push_back(json.dump(-1, ' ', false, Json::error_handler_t::replace));
    times.push_back(best);
    total += best;
  }
  for (const std::string& line : out)
    std::cout << line << '\n';
  if (times.empty()) return 0;
  std::vector<double> sorted = times;
  std::sort(sorted.begin(), sorted.end());
  const auto at = [&](double q) {
    return sorted[static_cast<std::size_t>(q * static_cast<double>(sorted.size() - 1))];
  };
  std::cerr << fmt::format(
      "{} answers, {:.0f} a second on one thread; us: p50 {:.1f}, p99 {:.1f}, max {:.1f}\n",
      times.size(), 1e6 * static_cast<double>(times.size()) / total, at(0.5), at(0.99),
      sorted.back());
  if (threads > 1) {
    const double one = AllOnThreads(lines, 1), many = AllOnThreads(lines, threads);
    std::cerr << fmt::format("{} threads: {:.2f} times the throughput of one\n", threads,
                             threads * one / many);
  }
}
