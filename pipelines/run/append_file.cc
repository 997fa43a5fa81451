#include "pipelines/run/append_file.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <cerrno>

#include "base/whole_file.h"

namespace aha::pipelines {
namespace {

namespace fs = std::filesystem;

}  // namespace

AppendFile::AppendFile(fs::path path, Descriptor fd, std::uint64_t size)
    : path_(std::move(path)), fd_(std::move(fd)), size_(size) {}

Result<AppendFile> AppendFile::Open(const fs::path& path) {
  std::error_code ignored;  // the open below says what is wrong, and with which file
  if (path.has_parent_path()) fs::create_directories(path.parent_path(), ignored);
  Descriptor fd(::open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644));
  if (!fd.ok()) return tl::unexpected<Error>(SystemError(path, "open for appending"));
  struct stat info {};
  if (::fstat(fd.get(), &info) != 0) return tl::unexpected<Error>(SystemError(path, "stat"));
  return AppendFile(path, std::move(fd), static_cast<std::uint64_t>(info.st_size));
}

Status AppendFile::Append(std::string_view bytes) {
  std::string_view left = bytes;
  while (!left.empty()) {
    const ssize_t n = ::write(fd_.get(), left.data(), left.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) {
      Error error = SystemError(path_, "append");
      if (error.code == Code::kExhausted)
        error.message += "; free some space and run again: it resumes";
      // Should this fail too, a restart cuts the torn tail off.
      [[maybe_unused]] const int cut = ::ftruncate(fd_.get(), static_cast<off_t>(size_));
      return tl::unexpected<Error>(std::move(error));
    }
    left.remove_prefix(static_cast<std::size_t>(n));
  }
  size_ += bytes.size();
  return {};
}

Status AppendFile::Sync() {
  if (::fsync(fd_.get()) != 0) return tl::unexpected<Error>(SystemError(path_, "sync"));
  return {};
}

}  // namespace aha::pipelines
