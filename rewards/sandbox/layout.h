#pragma once
/// What of this machine a sandbox is made of.

#include <string>
#include <vector>

#include "base/result.h"

namespace aha::rewards::sandbox {

/// Where programs are, inside every sandbox.
inline constexpr const char* kPythonPath = "/usr/bin/python3";
inline constexpr const char* kCompilerPath = "/tools/bin/g++";
/// And outside.
inline constexpr const char* kHostCompiler = "/usr/bin/g++";

struct Layout {
  std::string bubblewrap;  ///< path on this machine; empty: not installed
  bool python = false;     ///< /usr/bin/python3 is there
  bool compiler = false;   ///< /usr/bin/g++ is there
};

Layout DetectLayout();

/// The command that makes a slot's namespaces and root (read-only; /usr/lib, headers, tools, the
/// interpreter, /proc, /dev/null, nothing else of this machine) and starts the keeper in it. The
/// keeper's image is read from `image_fd`.
std::vector<std::string> BubblewrapCommand(const Layout& layout, int image_fd);

}  // namespace aha::rewards::sandbox
