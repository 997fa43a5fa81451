#include "base/whole_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <vector>

namespace aha {
namespace fs = std::filesystem;
namespace {

// A descriptor that closes itself.
class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  ~Descriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  [[nodiscard]] int get() const { return fd_; }
  [[nodiscard]] bool ok() const { return fd_ >= 0; }

 private:
  int fd_;
};

fs::path Aside(const fs::path& path) {
  fs::path aside = path;
  aside += fmt::format(".aside.{}", ::getpid());
  return aside;
}

fs::path Parent(const fs::path& path) {
  return path.has_parent_path() ? path.parent_path() : fs::path(".");
}

Status WriteAndSync(const fs::path& file, std::string_view bytes) {
  const Descriptor fd(::open(file.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644));
  if (!fd.ok()) return tl::unexpected<Error>(SystemError(file, "create"));
  while (!bytes.empty()) {
    const ssize_t n = ::write(fd.get(), bytes.data(), bytes.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return tl::unexpected<Error>(SystemError(file, "write"));
    bytes.remove_prefix(static_cast<std::size_t>(n));
  }
  if (::fsync(fd.get()) != 0) return tl::unexpected<Error>(SystemError(file, "sync"));
  return {};
}

}  // namespace

Error SystemError(const fs::path& path, std::string_view doing) {
  const int number = errno;
  Code code = Code::kInvalidArgument;
  if (number == ENOSPC || number == EDQUOT || number == ENOMEM) code = Code::kExhausted;
  if (number == ENOENT) code = Code::kNotFound;
  return Error{code, fmt::format("{}: cannot {}: {}", path.string(), doing, std::strerror(number))};
}

Result<std::string> ReadFile(const fs::path& file) {
  const Descriptor fd(::open(file.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd.ok()) return tl::unexpected<Error>(SystemError(file, "open"));
  struct stat info {};
  if (::fstat(fd.get(), &info) != 0) return tl::unexpected<Error>(SystemError(file, "stat"));
  if (S_ISDIR(info.st_mode))
    return Fail(Code::kInvalidArgument, "{}: is a directory, not a file", file.string());
  std::string bytes;
  bytes.reserve(static_cast<std::size_t>(info.st_size));
  std::vector<char> buffer(std::size_t{1} << 18U);
  while (true) {
    const ssize_t n = ::read(fd.get(), buffer.data(), buffer.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return tl::unexpected<Error>(SystemError(file, "read"));
    if (n == 0) return bytes;
    bytes.append(buffer.data(), static_cast<std::size_t>(n));
  }
}

Status SyncPath(const fs::path& path) {
  const Descriptor fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd.ok()) return tl::unexpected<Error>(SystemError(path, "open"));
  if (::fsync(fd.get()) != 0) return tl::unexpected<Error>(SystemError(path, "sync"));
  return {};
}

Status WriteWholeFile(const fs::path& file, std::string_view bytes) {
  const fs::path aside = Aside(file);
  if (Status written = WriteAndSync(aside, bytes); !written) {
    ::unlink(aside.c_str());
    return written;
  }
  if (::rename(aside.c_str(), file.c_str()) != 0) {
    const Error error = SystemError(file, "rename into place");
    ::unlink(aside.c_str());
    return tl::unexpected<Error>(error);
  }
  return SyncPath(Parent(file));
}

Status WriteWholeFolder(const fs::path& folder,
                        const std::function<Status(const fs::path&)>& fill) {
  const fs::path aside = Aside(folder);
  std::error_code ignored;
  fs::remove_all(aside, ignored);
  std::error_code error;
  fs::create_directories(aside, error);
  if (error)
    return Fail(Code::kInvalidArgument, "{}: cannot create: {}", aside.string(), error.message());
  const auto publish = [&]() -> Status {
    AHA_TRY(fill(aside));
    for (const auto& entry : fs::recursive_directory_iterator(aside))
      AHA_TRY(SyncPath(entry.path()));
    AHA_TRY(SyncPath(aside));
    if (fs::exists(folder)) {
      fs::path old = Aside(folder);
      old += ".old";
      fs::remove_all(old);
      fs::rename(folder, old);
      fs::rename(aside, folder);
      fs::remove_all(old);
    } else {
      fs::rename(aside, folder);
    }
    return SyncPath(Parent(folder));
  };
  Status done = Guard(folder.string(), publish);
  if (!done) fs::remove_all(aside, ignored);
  return done;
}

}  // namespace aha
