// Programs that try to get more than they are due: the right verdict each, in time, and the machine
// as it was before. Prints a table of what each tried.

#include <dirent.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <map>
#include <memory>
#include <set>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "rewards/verifiers/code/judge.h"
#include "tests/rewards/abuse_programs.h"
#include "tests/rewards/code_fixture.h"

namespace aha::rewards {
namespace {

namespace fs = std::filesystem;
using code::Judgement;
using code::Reference;

constexpr double kLimitMs = 1000;
constexpr double kCompileMs = 6000;
constexpr double kSlackMs = 200;

std::string Replaced(std::string text, const std::map<std::string, std::string>& names) {
  for (const auto& [name, value] : names) {
    for (std::size_t at = 0; (at = text.find(name, at)) != std::string::npos; at += value.size())
      text.replace(at, name.size(), value);
  }
  return text;
}

// Names of the processes below `root`, zombies too.
std::vector<std::string> Descendants(pid_t root) {
  std::map<pid_t, std::pair<pid_t, std::string>> all;
  for (const auto& entry : fs::directory_iterator("/proc")) {
    const pid_t pid = std::atoi(entry.path().filename().c_str());
    if (pid <= 0) continue;
    std::ifstream file(entry.path() / "stat");
    std::stringstream text;
    text << file.rdbuf();
    const std::string line = text.str();
    const auto open = line.find('('), close = line.rfind(')');
    if (close == std::string::npos) continue;
    char state = 0;
    int parent = 0;
    std::sscanf(line.c_str() + close + 1, " %c %d", &state, &parent);
    all[pid] = {parent, line.substr(open + 1, close - open - 1)};
  }
  std::vector<std::string> out;
  for (const auto& [pid, process] : all) {
    for (pid_t up = process.first; up > 1 && all.count(up) != 0; up = all[up].first) {
      if (up != root) continue;
      out.push_back(process.second);
      break;
    }
  }
  std::sort(out.begin(), out.end());
  return out;
}

std::set<std::string> Names(const char* folder) {
  std::set<std::string> out;
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator(folder, ignored))
    out.insert(entry.path().filename());
  return out;
}

// The machine outside: a secret in the environment, in a file, in an open descriptor and behind
// two sockets.
class Outside {
 public:
  Outside() {
    std::srand(static_cast<unsigned>(getpid()));
    secret_ = fmt::format("secret-{}-{}", getpid(), std::rand());
    setenv("AHA_SECRET", secret_.c_str(), 1);
    file_ = fmt::format("/tmp/aha-abuse-{}", getpid());
    std::ofstream(file_) << secret_;
    int ends[2];
    if (pipe(ends) == 0) dprintf(ends[1], "%s", secret_.c_str());  // inherited by whoever may
    ListenTcp();
    ListenAbstract();
  }
  ~Outside() { fs::remove(file_); }

  [[nodiscard]] std::map<std::string, std::string> names() const {
    return {{"@SECRET@", secret_}, {"@FILE@", file_}, {"@PORT@", std::to_string(port_)}};
  }
  [[nodiscard]] bool Visited() const {
    return accept(tcp_, nullptr, nullptr) >= 0 || accept(unix_, nullptr, nullptr) >= 0;
  }

 private:
  void ListenTcp() {
    tcp_ = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    sockaddr_in address = {};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof(address);
    bind(tcp_, reinterpret_cast<sockaddr*>(&address), size);
    listen(tcp_, 4);
    getsockname(tcp_, reinterpret_cast<sockaddr*>(&address), &size);
    port_ = ntohs(address.sin_port);
  }
  void ListenAbstract() {
    unix_ = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
    sockaddr_un address = {};
    address.sun_family = AF_UNIX;
    const std::string name = fmt::format("aha-abuse-{}", port_);
    name.copy(address.sun_path + 1, sizeof(address.sun_path) - 1);
    bind(unix_, reinterpret_cast<sockaddr*>(&address),
         static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + 1 + name.size()));
    listen(unix_, 4);
  }

  std::string secret_, file_;
  int tcp_ = -1, unix_ = -1;
  int port_ = 0;
};

class Abuse : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    outside_ = new Outside();
    auto pool = sandbox::Pool::Start({.slots = 1, .unsafe = false});
    if (!pool) {
      refused_ = pool.error().message;
      return;
    }
    pool_ = pool->release();
    std::printf("in force: %s\n", pool_->standing().c_str());
  }
  static void TearDownTestSuite() {
    delete pool_;
    delete outside_;
  }

  void SetUp() override {
    if (pool_ != nullptr) return;
    ASSERT_FALSE(MachineGivesSandboxes()) << refused_;
    GTEST_SKIP() << refused_;
  }

  static code::Rules Rules() {
    code::Rules rules;
    rules.limits.cpu_ms = rules.limits.wall_ms = static_cast<std::uint64_t>(kLimitMs);
    rules.limits.memory = 128ULL << 20;
    rules.limits.address_space = 1ULL << 30;
    rules.limits.output = 1ULL << 20;
    rules.limits.tmp = 16ULL << 20;
    rules.limits.processes = 16;
    rules.compile_limits.cpu_ms = rules.compile_limits.wall_ms =
        static_cast<std::uint64_t>(kCompileMs);
    rules.compile_limits.memory = 768ULL << 20;
    rules.compile_limits.address_space = 3ULL << 30;
    rules.compile_limits.output = 1ULL << 20;
    rules.compile_limits.tmp = 64ULL << 20;
    return rules;
  }

  static Reference ReferenceOf(const AbuseProgram& abuse) {
    Reference reference;
    if (abuse.language == "call") {
      reference.function = "f";
      code::CallCase call;
      call.arguments.kind = code::Value::Kind::kList;
      call.returns.kind = code::Value::Kind::kInteger;
      call.returns.integer = code::MakeInteger(42);
      reference.calls.push_back(call);
    } else {
      reference.language = abuse.language == "cpp" ? code::Language::kCpp : code::Language::kPython;
      reference.tests.push_back(
          {std::string(5 << 20, 'i'), Replaced(std::string(abuse.expected), outside_->names())});
      if (abuse.name == "InputAtTheEnd") reference.tests[0].input.clear();
    }
    return reference;
  }

  static void Run(const std::vector<AbuseProgram>& programs) {
    for (const AbuseProgram& abuse : programs)
      RunOne(abuse);
  }

  static void RunOne(const AbuseProgram& abuse) {
    SCOPED_TRACE(abuse.name);
    const std::string program = Replaced(std::string(abuse.program), outside_->names());
    auto slot = pool_->Take(Deadline::After(std::chrono::seconds(5)));
    ASSERT_TRUE(slot.has_value()) << slot.error().message;
    const auto judged = code::Judge(Rules(), ReferenceOf(abuse), program, slot->get());
    ASSERT_TRUE(judged.has_value()) << judged.error().message;
    const std::string verdict(code::Name(judged->verdict));
    std::printf("%-22s %-4s %6.0f ms  %s\n", std::string(abuse.name).c_str(), verdict.c_str(),
                judged->longest_ms, std::string(abuse.tries).c_str());
    std::istringstream allowed{std::string(abuse.verdicts)};
    std::vector<std::string> right{std::istream_iterator<std::string>(allowed), {}};
    EXPECT_THAT(right, testing::Contains(verdict)) << judged->reason;
    const bool compiled =
        judged->verdict == code::Verdict::kCompileError && abuse.language == "cpp";
    EXPECT_LE(judged->longest_ms, (compiled ? kCompileMs : kLimitMs) + kSlackMs);
    EXPECT_THAT(Descendants(slot->get()->launcher()), testing::ElementsAre("aha-keeper", "bwrap"))
        << "something is left";
  }

  static Outside* outside_;
  static sandbox::Pool* pool_;
  static std::string refused_;
};
Outside* Abuse::outside_ = nullptr;
sandbox::Pool* Abuse::pool_ = nullptr;
std::string Abuse::refused_;

TEST_F(Abuse, OfResourcesIsBounded) {
  Run(ResourceAbuse());
}

TEST_F(Abuse, OfTheMachineIsRefused) {
  const auto shared = Names("/dev/shm"), mounts = Names("/mnt");
  char host[256] = {};
  gethostname(host, sizeof(host));
  Run(EscapeAbuse());
  EXPECT_FALSE(outside_->Visited()) << "somebody came by the network";
  EXPECT_EQ(Names("/dev/shm"), shared);
  EXPECT_EQ(Names("/mnt"), mounts);
  char after[256] = {};
  gethostname(after, sizeof(after));
  EXPECT_STREQ(host, after);
}

TEST_F(Abuse, NoRunSeesTheFilesOfAnother) {
  Reference reference;
  for (int i = 0; i < 3; ++i)
    reference.tests.push_back({"", "[]"});
  auto slot = pool_->Take(Deadline::After(std::chrono::seconds(5)));
  ASSERT_TRUE(slot.has_value());
  const auto judged = code::Judge(
      Rules(), reference,
      "import os\n"
      "mine = ['run.py', 'program.py']\n"
      "print([f for d in ('/tmp', '/dev/shm', '.') for f in os.listdir(d) if f not in mine])\n"
      "open('/tmp/left', 'w'); open('/dev/shm/left2', 'w')\n",
      slot->get());
  ASSERT_TRUE(judged.has_value());
  EXPECT_EQ(code::Name(judged->verdict), "AC") << judged->reason;
}

TEST_F(Abuse, NothingIsLeftOfASlotThatEnds) {
  pid_t launcher = 0;
  {
    auto own = sandbox::Pool::Start({.slots = 1, .unsafe = false});
    ASSERT_TRUE(own.has_value());
    auto slot = (*own)->Take(Deadline::After(std::chrono::seconds(5)));
    ASSERT_TRUE(slot.has_value());
    launcher = slot->get()->launcher();
    EXPECT_EQ(kill(launcher, 0), 0);
  }
  EXPECT_EQ(kill(launcher, 0), -1);
  EXPECT_TRUE(Descendants(launcher).empty());
}

TEST_F(Abuse, AKilledSandboxIsAFailureAndTheNextOneWorks) {
  auto own = sandbox::Pool::Start({.slots = 1, .unsafe = false});
  ASSERT_TRUE(own.has_value());
  Reference reference;
  reference.tests.push_back({"", "1"});
  {
    auto slot = (*own)->Take(Deadline::After(std::chrono::seconds(5)));
    ASSERT_TRUE(slot.has_value());
    std::thread killer([pid = slot->get()->launcher()] {
      std::this_thread::sleep_for(std::chrono::milliseconds(100));
      kill(pid, SIGKILL);
    });
    const auto judged =
        code::Judge(Rules(), reference, "import time\ntime.sleep(0.6)\nprint(1)\n", slot->get());
    killer.join();
    EXPECT_FALSE(judged.has_value());
  }
  auto slot = (*own)->Take(Deadline::After(std::chrono::seconds(5)));
  ASSERT_TRUE(slot.has_value());
  const auto judged = code::Judge(Rules(), reference, "print(1)\n", slot->get());
  ASSERT_TRUE(judged.has_value()) << judged.error().message;
  EXPECT_EQ(code::Name(judged->verdict), "AC");
}

}  // namespace
}  // namespace aha::rewards
