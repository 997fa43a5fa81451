// A process that runs one plug-in, so that what the plug-in breaks is this process alone:
// aha-plugin-host FD PLUGIN MEMORY_MB. Started by host_process.cc, which speaks host_protocol.h
// over FD.

#include <dlfcn.h>
#include <poll.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <new>
#include <string>
#include <thread>
#include <vector>

#include "rewards/isolate/host_protocol.h"
#include "rewards/plugin_abi.h"

namespace {

using aha::rewards::host::FrameReader;
using aha::rewards::host::Verdict;

bool ReadAll(int fd, void* out, std::size_t size) {
  for (auto* to = static_cast<char*>(out); size > 0;) {
    const ssize_t n = read(fd, to, size);
    if (n <= 0) return false;
    to += n;
    size -= static_cast<std::size_t>(n);
  }
  return true;
}

bool ReadFrame(int fd, std::string* frame) {
  std::uint64_t size = 0;
  if (!ReadAll(fd, &size, sizeof(size))) return false;
  frame->resize(size);
  return ReadAll(fd, frame->data(), size);
}

bool Write(int fd, const Verdict& verdict) {
  return write(fd, &verdict, sizeof(verdict)) == static_cast<ssize_t>(sizeof(verdict));
}

void Say(const char* what, Verdict* verdict) {
  verdict->failure = 2;
  std::snprintf(verdict->detail, sizeof(verdict->detail), "%s", what);
}

// Data that the process has now plus `mb`: libraries are not the plug-in's.
void LimitMemory(std::uint64_t mb) {
  std::ifstream statm("/proc/self/statm");
  std::uint64_t pages[6] = {};
  for (auto& count : pages)
    statm >> count;
  const rlim_t bytes = pages[5] * static_cast<std::uint64_t>(sysconf(_SC_PAGESIZE)) + (mb << 20U);
  const rlimit limit{bytes, bytes};
  setrlimit(RLIMIT_DATA, &limit);
  const rlimit none{0, 0};
  setrlimit(RLIMIT_CORE, &none);
  std::set_new_handler([] { _exit(aha::rewards::host::kOutOfMemory); });
}

aha_view View(std::string_view text) {
  return {text.data(), text.size()};
}

const aha_reward_plugin_info* Load(const char* file, Verdict* verdict) {
  void* library = dlopen(file, RTLD_NOW | RTLD_LOCAL);
  void* symbol = library == nullptr ? nullptr : dlsym(library, AHA_REWARD_PLUGIN_SYMBOL);
  if (symbol == nullptr) return Say(dlerror(), verdict), nullptr;
  return reinterpret_cast<aha_reward_plugin_function>(symbol)();
}

void* Create(const aha_reward_plugin_info* info, std::string_view frame, Verdict* verdict) {
  FrameReader reader(frame);
  std::vector<aha_reward_value> values(reader.Get<std::uint64_t>());
  for (auto& value : values) {
    value.integer = reader.Get<std::int64_t>();
    value.number = reader.Get<double>();
    value.text = View(reader.GetText());
  }
  char error[512] = {};
  void* reward = info->create(values.data(), values.size(), error, sizeof(error));
  if (reward == nullptr) Say(error, verdict);
  return reward;
}

Verdict Score(const aha_reward_plugin_info* info, const void* reward, std::string_view frame) {
  FrameReader reader(frame);
  aha_reward_input input{};
  input.struct_size = sizeof(input);
  input.tokens = reader.Get<std::uint32_t>();
  input.truncated = reader.Get<std::uint32_t>();
  input.id = View(reader.GetText());
  input.prompt = View(reader.GetText());
  input.completion = View(reader.GetText());
  input.reference = View(reader.GetText());
  input.language = View(reader.GetText());
  aha_reward_result result{};
  result.struct_size = sizeof(result);
  info->score(reward, &input, &result);
  Verdict verdict;
  verdict.score = result.score;
  verdict.failure = result.failure;
  std::memcpy(verdict.reason, result.reason, sizeof(verdict.reason));
  std::memcpy(verdict.detail, result.detail, sizeof(verdict.detail));
  return verdict;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 4) return std::fprintf(stderr, "aha-plugin-host is started by aha\n"), 2;
  const int fd = std::atoi(argv[1]);
  // A plug-in that hangs must not outlive the service. (PR_SET_PDEATHSIG would follow the thread
  // that started us, not its process.)
  std::thread([fd] {
    pollfd item{fd, POLLRDHUP, 0};
    while (poll(&item, 1, -1) <= 0) {
    }
    _exit(1);
  }).detach();
  Verdict created;
  const auto* info = Load(argv[2], &created);
  std::string config;
  if (!ReadFrame(fd, &config)) return 1;
  LimitMemory(std::strtoull(argv[3], nullptr, 10));
  const void* reward = info == nullptr ? nullptr : Create(info, config, &created);
  if (!Write(fd, created) || reward == nullptr) return 1;
  for (std::string frame; ReadFrame(fd, &frame);) {
    if (!Write(fd, Score(info, reward, frame))) return 1;
  }
  return 0;
}
