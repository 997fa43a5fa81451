#pragma once
/// Programs that try to get more than they are due. @SECRET@ is a text that only the machine
/// outside knows, @PORT@ a port that listens there, @FILE@ a file that holds the secret; whoever
/// prints the secret passes its test case.

#include <string_view>
#include <vector>

namespace aha::rewards {

struct AbuseProgram {
  std::string_view name;
  std::string_view tries;     ///< what
  std::string_view language;  ///< python, cpp, or call: Python's f(), which should return 42
  std::string_view verdicts;  ///< those that are right, "RE TLE"
  std::string_view program;
  std::string_view expected = "@SECRET@";  ///< on standard output
};

/// Part one: time, memory, output, processes, files. Part two: escapes, secrets, fakes, compilers.
std::vector<AbuseProgram> ResourceAbuse();
std::vector<AbuseProgram> EscapeAbuse();

}  // namespace aha::rewards
