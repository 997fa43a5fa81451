#pragma once
/// What is asked of a sandbox and what comes back. Plain data, shared by the library and the
/// keeper, the small program that works inside (keeper/).

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace aha::rewards::sandbox {

/// Bounds of one run; all hold at once.
struct Limits {
  std::uint64_t cpu_ms = 5000;               ///< of all its processes together
  std::uint64_t wall_ms = 10000;             ///< from start to end
  std::uint64_t memory = 512ULL << 20;       ///< anonymous and shared memory of all its processes
  std::uint64_t address_space = 2ULL << 30;  ///< of each process
  std::uint64_t stack = 64ULL << 20;         ///< of each process
  std::uint64_t output = 8ULL << 20;         ///< bytes on standard output, and again on error
  std::uint64_t result = 8ULL << 20;         ///< bytes on the result channel
  std::uint64_t tmp = 64ULL << 20;           ///< bytes of all files under /tmp and /dev/shm
  std::uint64_t tmp_files = 4096;            ///< their number
  std::uint64_t processes = 32;              ///< and threads, at once
  std::uint64_t open_files = 64;             ///< of each process
};

/// How much of the machine a run sees, read-only. Its own /tmp, /proc and /dev/null it always has.
enum class View : std::uint32_t {
  kInterpreter,  ///< Python with its library
  kCompiler,     ///< the C++ compiler, headers and libraries
  kNothing,      ///< no file at all: for a program that is linked statically
};

struct Run {
  View view = View::kInterpreter;
  /// argv[0] is a path in the sandbox, or kKeptProgram.
  std::vector<std::string> argv;
  std::vector<std::string> env;
  std::vector<std::pair<std::string, std::string>> files;  ///< name under /tmp, contents
  std::string_view input;                                  ///< standard input
  /// A file under /tmp that is kept by the slot when the program ends with 0; empty: none.
  std::string keep;
  bool result_channel = false;  ///< descriptor 3 is a pipe to RunResult::result
  Limits limits;
};
/// What an earlier run of the same slot has left by `keep`.
inline constexpr std::string_view kKeptProgram = "(kept)";

enum class End : std::uint32_t {
  kExited,     ///< code is the exit status
  kSignalled,  ///< code is the signal
  kWallLimit,
  kCpuLimit,
  kMemoryLimit,
  kOutputLimit,
};

struct RunResult {
  End end = End::kExited;
  std::int32_t code = 0;
  std::string out;
  std::string err;  ///< its first and last 16 KiB
  std::string result;
  bool kept = false;
  std::uint64_t wall_us = 0, cpu_us = 0;
  std::uint64_t peak_memory = 0;  ///< as sampled
};

}  // namespace aha::rewards::sandbox
