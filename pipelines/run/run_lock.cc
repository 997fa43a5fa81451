#include "pipelines/run/run_lock.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <ctime>
#include <string>

#include "base/whole_file.h"

namespace aha::pipelines {
namespace {

namespace fs = std::filesystem;

std::string Now() {
  const std::time_t now = std::time(nullptr);
  std::tm utc{};
  ::gmtime_r(&now, &utc);
  std::array<char, 32> text{};
  std::strftime(text.data(), text.size(), "%Y-%m-%d %H:%M:%S UTC", &utc);
  return text.data();
}

std::string OwnerLine() {
  std::array<char, 256> host{};
  if (::gethostname(host.data(), host.size() - 1) != 0) host[0] = '?';
  return fmt::format("pid {} on host {} since {}\n", ::getpid(), host.data(), Now());
}

// What the owner wrote; it may not have come to that yet.
std::string OwnerOf(int fd) {
  std::array<char, 512> text{};
  const ssize_t n = ::pread(fd, text.data(), text.size() - 1, 0);
  std::string owner(text.data(), n > 0 ? static_cast<std::size_t>(n) : 0);
  owner = owner.substr(0, owner.find('\n'));
  return owner.empty() ? "another process" : owner;
}

}  // namespace

Result<RunLock> RunLock::Take(const fs::path& folder) {
  const fs::path file = folder / "lock";
  Descriptor fd(::open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644));
  if (!fd.ok()) return tl::unexpected<Error>(SystemError(file, "open"));
  if (::flock(fd.get(), LOCK_EX | LOCK_NB) != 0) {
    if (errno != EWOULDBLOCK) return tl::unexpected<Error>(SystemError(file, "lock"));
    return Fail(Code::kBusy,
                "{} is in use by {}; wait for it, stop it, or choose another with --out",
                folder.string(), OwnerOf(fd.get()));
  }
  const std::string owner = OwnerLine();
  if (::ftruncate(fd.get(), 0) != 0 ||
      ::pwrite(fd.get(), owner.data(), owner.size(), 0) != static_cast<ssize_t>(owner.size())) {
    return tl::unexpected<Error>(SystemError(file, "write"));
  }
  return RunLock(std::move(fd));
}

}  // namespace aha::pipelines
