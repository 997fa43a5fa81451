// How much a reward service takes, and what it loses when services are killed.
//
//   reward_load [--seconds S] [--group G] [--clients N] [--transport ipc|tcp] [--rate R]
//     one service process, N client processes' worth of clients in this one, groups of G scores;
//     without --rate as fast as it goes, else R scores a second at even intervals: prints scores a
//     second and the quantiles of a group's latency.
//   reward_load --kill [--scores N] [--services K] [--kills-per-s R] [--least-kills M] [--down-ms
//   D]
//     K service processes that are killed (SIGKILL) at random and started again while N scores are
//     asked for (more, until M kills have been): every score must come once, right, and none as a
//     failure. Exit code 1 if not.
//   reward_load --serve ENDPOINT [--threads T]     one service, until it is killed.

#include <signal.h>
#include <spawn.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <future>
#include <map>
#include <string>
#include <thread>
#include <vector>

#include <fmt/format.h>
#include <zmq.hpp>

#include "base/keyed_random.h"
#include "base/log.h"
#include "rewards/registry.h"
#include "rewards/service/client.h"
#include "rewards/service/server.h"

namespace {

using aha::Deadline;
using aha::rewards::Client;
using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

struct Options {
  std::map<std::string, std::string> given;
  [[nodiscard]] bool Has(const std::string& key) const { return given.contains(key); }
  [[nodiscard]] std::string Text(const std::string& key, const std::string& otherwise) const {
    const auto found = given.find(key);
    return found == given.end() ? otherwise : found->second;
  }
  [[nodiscard]] double Number(const std::string& key, double otherwise) const {
    return Has(key) ? std::atof(given.at(key).c_str()) : otherwise;
  }
};

// A service in a process of its own.
class Child {
 public:
  Child(std::string endpoint, int threads) : endpoint_(std::move(endpoint)), threads_(threads) {
    Start();
  }
  ~Child() { Kill(); }
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;
  void Start() {
    pid_ = fork();
    if (pid_ != 0) return;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    const std::string threads = std::to_string(threads_);
    execl("/proc/self/exe", "reward_load", "--serve", endpoint_.c_str(), "--threads",
          threads.c_str(), nullptr);
    _exit(127);
  }
  void Kill() {
    if (pid_ <= 0) return;
    kill(pid_, SIGKILL);
    waitpid(pid_, nullptr, 0);
    pid_ = -1;
  }
  [[nodiscard]] const std::string& endpoint() const { return endpoint_; }

 private:
  std::string endpoint_;
  int threads_;
  pid_t pid_ = -1;
};

int Serve(const Options& options) {
  zmq::context_t context;
  auto service =
      aha::rewards::Service::Start(context, aha::rewards::Registry::BuiltIns(),
                                   {.endpoints = {options.Text("serve", "")},
                                    .threads = static_cast<int>(options.Number("threads", 1))});
  if (!service) return std::fprintf(stderr, "%s\n", service.error().message.c_str()), 1;
  while (true)
    pause();
}

std::vector<aha::proto::RewardSpec> Rewards() {
  std::vector<aha::proto::RewardSpec> rewards(1);
  rewards[0].set_name("exact");
  return rewards;
}

// A group whose right scores are known: item i is right when (seed + i) is even.
std::vector<aha::proto::ScoreItem> Group(std::size_t size, std::uint64_t seed) {
  std::vector<aha::proto::ScoreItem> items(size);
  for (std::size_t i = 0; i < size; ++i) {
    items[i].set_id(fmt::format("{}/{}", seed, i));
    items[i].set_completion(fmt::format(
        "<think>two and two and so on, {} times</think><answer>{}</answer>", seed, (seed + i) % 2));
    items[i].set_reference("0");
  }
  return items;
}

// What is wrong with a group's outcomes; empty when nothing is.
std::string Fault(const aha::Result<Client::Outcomes>& got, std::size_t size, std::uint64_t seed) {
  if (!got) return got.error().message;
  if (got->size() != size) return "another number of items";
  for (std::size_t i = 0; i < size; ++i) {
    const auto& item = (*got)[i];
    if (item.id() != fmt::format("{}/{}", seed, i)) return "another item";
    if (item.outcomes_size() != 1) return "another number of outcomes";
    if (!item.outcomes(0).has_score())
      return "failure: " + item.outcomes(0).failure().ShortDebugString();
    if (item.outcomes(0).score() != ((seed + i) % 2 == 0 ? 1 : 0)) return "a wrong score";
  }
  return {};
}

std::string Endpoint(const std::string& transport, int n) {
  if (transport == "tcp") return fmt::format("tcp://127.0.0.1:{}", 20000 + getpid() % 20000 + n);
  return fmt::format("ipc:///tmp/aha_reward_load.{}.{}", getpid(), n);
}

std::unique_ptr<Client> Connect(zmq::context_t& context, std::vector<std::string> endpoints) {
  auto client = Client::Connect(context, std::move(endpoints));
  if (!client) std::fprintf(stderr, "%s\n", client.error().message.c_str()), std::exit(1);
  return *std::move(client);
}

struct Load {
  std::vector<double> latencies_ms;
  std::uint64_t scores = 0;
  std::uint64_t faults = 0;
  std::string fault;
};

// Groups from one client for a while: `rate` scores a second, or as many as 64 groups at a time
// give. Latency is counted from when a group was due, so that a delay of one shows in those behind
// it.
Load Drive(Client* client, double seconds, std::size_t group, double rate) {
  struct Asked {
    std::future<aha::Result<Client::Outcomes>> future;
    Clock::time_point due;
    std::uint64_t seed;
  };
  const std::size_t most = rate > 0 ? 100000 : 64;
  const auto rewards = Rewards();
  std::vector<std::vector<aha::proto::ScoreItem>> groups;
  for (std::uint64_t seed = 0; seed < 64; ++seed)
    groups.push_back(Group(group, seed));
  Load load;
  std::deque<Asked> asked;
  const auto take = [&] {
    const auto got = asked.front().future.get();
    load.latencies_ms.push_back(
        std::chrono::duration<double, std::milli>(Clock::now() - asked.front().due).count());
    load.scores += group;
    if (auto fault = Fault(got, group, asked.front().seed); !fault.empty()) {
      ++load.faults;
      load.fault = fault;
    }
    asked.pop_front();
  };
  const auto start = Clock::now();
  std::uint64_t count = 0;
  while (Clock::now() - start < std::chrono::duration<double>(seconds)) {
    auto due = Clock::now();
    if (rate > 0) {
      due = start + std::chrono::duration_cast<Clock::duration>(
                        std::chrono::duration<double>(static_cast<double>(count * group) / rate));
      // Takes what has come until the next group is due.
      while (!asked.empty() && asked.front().future.wait_until(due) == std::future_status::ready)
        take();
      std::this_thread::sleep_until(due);
    }
    const std::uint64_t seed = count++ % groups.size();
    asked.push_back(
        {client->Begin(rewards, groups[seed], Deadline::After(std::chrono::seconds(30))), due,
         seed});
    while (asked.size() >= most)
      take();
  }
  while (!asked.empty())
    take();
  return load;
}

double Quantile(std::vector<double>& values, double q) {
  if (values.empty()) return 0;
  const auto at = static_cast<std::size_t>(q * static_cast<double>(values.size() - 1));
  std::nth_element(values.begin(), values.begin() + static_cast<std::ptrdiff_t>(at), values.end());
  return values[at];
}

int Speed(const Options& options) {
  const auto clients = static_cast<std::size_t>(options.Number("clients", 1));
  const auto group = static_cast<std::size_t>(options.Number("group", 16));
  const double seconds = options.Number("seconds", 5);
  const double rate = options.Number("rate", 0);
  const Child service(Endpoint(options.Text("transport", "ipc"), 0),
                      static_cast<int>(options.Number("threads", 1)));
  zmq::context_t context;
  std::vector<std::unique_ptr<Client>> connected;
  for (std::size_t i = 0; i < clients; ++i) {
    connected.push_back(Connect(context, {service.endpoint()}));
    Drive(connected.back().get(), 0.01, group, 0);  // the connection is up
  }
  const auto start = Clock::now();
  std::vector<std::future<Load>> loads;
  for (auto& client : connected) {
    loads.push_back(std::async(std::launch::async, [&, c = client.get()] {
      return Drive(c, seconds, group, rate / static_cast<double>(clients));
    }));
  }
  Load all;
  for (auto& future : loads) {
    Load load = future.get();
    all.scores += load.scores;
    all.faults += load.faults;
    if (!load.fault.empty()) all.fault = load.fault;
    all.latencies_ms.insert(all.latencies_ms.end(), load.latencies_ms.begin(),
                            load.latencies_ms.end());
  }
  const double taken = std::chrono::duration<double>(Clock::now() - start).count();
  fmt::print(
      "{} clients over {}, groups of {}: {} scores in {:.2f} s, {:.0f} a second; a group's latency "
      "ms "
      "p50 {:.2f} p99 {:.2f} max {:.2f}; {} faults{}{}\n",
      clients, options.Text("transport", "ipc"), group, all.scores, taken,
      static_cast<double>(all.scores) / taken, Quantile(all.latencies_ms, 0.5),
      Quantile(all.latencies_ms, 0.99), Quantile(all.latencies_ms, 1), all.faults,
      all.faults > 0 ? ": " : "", all.fault);
  return all.faults == 0 ? 0 : 1;
}

int Kill(const Options& options) {
  const auto scores = static_cast<std::uint64_t>(options.Number("scores", 1e6));
  const auto group = static_cast<std::size_t>(options.Number("group", 16));
  const int count = static_cast<int>(options.Number("services", 3));
  const double kills_per_s = options.Number("kills-per-s", 30);
  const std::string transport = options.Text("transport", "ipc");
  std::vector<std::unique_ptr<Child>> services;
  std::vector<std::string> endpoints;
  for (int i = 0; i < count; ++i) {
    endpoints.push_back(Endpoint(transport, i));
    services.push_back(std::make_unique<Child>(endpoints.back(), 1));
  }
  zmq::context_t context;
  const auto client = Connect(context, endpoints);
  std::atomic<bool> done = false;
  std::atomic<std::uint64_t> kills = 0;
  const auto least_kills = static_cast<std::uint64_t>(options.Number("least-kills", 3));
  std::thread killer([&] {
    aha::DrawSequence draw(
        aha::KeyedRandom(static_cast<std::uint64_t>(options.Number("seed", 1)), "kills"));
    const auto mean_ms = static_cast<std::int64_t>(1000 / kills_per_s);
    while (!done) {
      std::this_thread::sleep_for(milliseconds(draw.Integer(1, 2 * mean_ms)));
      auto& victim = services[static_cast<std::size_t>(draw.Integer(0, count - 1))];
      victim->Kill();
      std::this_thread::sleep_for(
          milliseconds(draw.Integer(0, static_cast<std::int64_t>(options.Number("down-ms", 60)))));
      victim->Start();
      ++kills;
    }
  });
  struct Asked {
    std::future<aha::Result<Client::Outcomes>> future;
    std::uint64_t seed;
  };
  const auto rewards = Rewards();
  std::deque<Asked> asked;
  std::uint64_t answered = 0;
  std::uint64_t faults = 0;
  const auto start = Clock::now();
  std::uint64_t seed = 0;
  const auto more = [&] { return seed * group < scores || kills < least_kills; };
  while (more() || !asked.empty()) {
    if (more() && asked.size() < 64) {
      asked.push_back(
          {client->Begin(rewards, Group(group, seed), Deadline::After(std::chrono::seconds(120))),
           seed});
      ++seed;
      continue;
    }
    const auto got = asked.front().future.get();
    if (const std::string fault = Fault(got, group, asked.front().seed); !fault.empty()) {
      if (++faults <= 5)
        std::fprintf(stderr, "group %llu: %s\n",
                     static_cast<unsigned long long>(asked.front().seed), fault.c_str());
    }
    if (got) answered += got->size();
    asked.pop_front();
  }
  const double taken = std::chrono::duration<double>(Clock::now() - start).count();
  done = true;
  killer.join();
  fmt::print(
      "{} services over {}, {} kills: {} scores asked, {} answered, each once; {} groups with a "
      "fault; {:.1f} s, "
      "{:.0f} a second\n",
      count, transport, kills.load(), seed * group, answered, faults, taken,
      static_cast<double>(answered) / taken);
  return faults == 0 && answered == seed * group ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) {
  Options options;
  for (int i = 1; i < argc; ++i) {
    if (std::strncmp(argv[i], "--", 2) != 0)
      return std::fprintf(stderr, "%s: not an option\n", argv[i]), 2;
    const std::string key = argv[i] + 2;
    const bool has_value = i + 1 < argc && std::strncmp(argv[i + 1], "--", 2) != 0;
    options.given[key] = has_value ? argv[++i] : "";
  }
  spdlog::set_level(spdlog::level::err);
  if (options.Has("serve")) return Serve(options);
  return options.Has("kill") ? Kill(options) : Speed(options);
}
