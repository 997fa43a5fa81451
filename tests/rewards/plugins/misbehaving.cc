#include <csignal>
#include <cstdlib>
#include <cstring>
#include <thread>
#include <vector>

#include "rewards/plugin.h"

// Does what the completion asks for: crash, abort, exit, hang, leak, throw; else it scores the
// number of completions that this process has scored before.
struct Misbehaves {
  static constexpr std::string_view kName = "misbehaves";
  static constexpr std::string_view kDoc = "breaks in the way that the completion asks for";
  static constexpr bool kThreadSafe = false;
  static constexpr aha::plugin::Key kKeys[] = {
      aha::plugin::Text("refuse", "", "not empty: the config is refused")};

  explicit Misbehaves(const aha::plugin::Config& config) {
    if (!config.Text("refuse").empty()) throw std::invalid_argument("it was told to refuse");
  }

  aha::plugin::Verdict Score(const aha::plugin::Input& input) const {
    if (input.completion == "crash") std::raise(SIGSEGV);
    if (input.completion == "abort") std::abort();
    if (input.completion == "exit") std::_Exit(3);
    if (input.completion == "throw") throw std::runtime_error("thrown");
    if (input.completion == "hang") {
      while (true)
        std::this_thread::sleep_for(std::chrono::seconds(1));
    }
    if (input.completion == "leak") {
      while (true) {
        auto* lost = new std::vector<char>(1 << 20, 'x');
        static_cast<void>(lost);
      }
    }
    return static_cast<double>(scored++);
  }
  mutable int scored = 0;  // why threads must not share it
};
AHA_REWARD_PLUGIN(Misbehaves)
