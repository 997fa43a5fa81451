#include "policy/checkpoint/mapped_file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>

#include "base/whole_file.h"

namespace aha::policy {
namespace {

struct Pages {
  void* begin;
  std::size_t size;
};

// The whole pages that `bytes` touch.
Pages PagesOf(std::span<const std::byte> bytes) {
  static const auto page = static_cast<std::uintptr_t>(::sysconf(_SC_PAGESIZE));
  const auto begin = reinterpret_cast<std::uintptr_t>(bytes.data()) / page * page;
  const auto end = reinterpret_cast<std::uintptr_t>(bytes.data()) + bytes.size();
  return {reinterpret_cast<void*>(begin), end - begin};
}

}  // namespace

Result<MappedFile> MappedFile::Open(const std::filesystem::path& file) {
  const int fd = ::open(file.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (fd < 0) return tl::unexpected<Error>(SystemError(file, "open"));
  const std::unique_ptr<const int, void (*)(const int*)> closer(&fd,
                                                                [](const int* d) { ::close(*d); });
  struct stat info {};
  if (::fstat(fd, &info) != 0) return tl::unexpected<Error>(SystemError(file, "stat"));
  if (!S_ISREG(info.st_mode)) {
    return Fail(Code::kInvalidArgument, "{}: is not a regular file", file.string());
  }
  MappedFile mapped;
  const auto size = static_cast<std::size_t>(info.st_size);
  if (size == 0) return mapped;
  void* base = ::mmap(nullptr, size, PROT_READ, MAP_PRIVATE, fd, 0);
  if (base == MAP_FAILED) return tl::unexpected<Error>(SystemError(file, "map"));
  mapped.owner_ = std::shared_ptr<const void>(
      base, [size](const void* p) { ::munmap(const_cast<void*>(p), size); });
  mapped.bytes_ = {static_cast<const std::byte*>(base), size};
  return mapped;
}

Status Populate(std::span<const std::byte> mapped) {
  if (mapped.empty()) return {};
#ifdef MADV_POPULATE_READ
  const Pages pages = PagesOf(mapped);
  if (::madvise(pages.begin, pages.size, MADV_POPULATE_READ) == 0) return {};
  if (errno == EFAULT) {
    return Fail(Code::kCorrupt, "the file was cut short, or cannot be read, while it is in use");
  }
#endif
  return {};  // an older kernel: pages come as they are touched
}

void Drop(std::span<const std::byte> mapped) {
  if (mapped.empty()) return;
  const Pages pages = PagesOf(mapped);
  ::madvise(pages.begin, pages.size, MADV_DONTNEED);
}

Result<std::string> ReadSmallFile(const std::filesystem::path& file, std::uint64_t most) {
  std::error_code error;
  const std::uintmax_t size = std::filesystem::file_size(file, error);
  if (!error && size > most) {
    return Fail(Code::kCorrupt, "{}: {} bytes, more than the {} that such a file may have",
                file.string(), size, most);
  }
  return ReadFile(file);
}

}  // namespace aha::policy
