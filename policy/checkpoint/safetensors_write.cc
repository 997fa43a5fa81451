#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>

#include <nlohmann/json.hpp>

#include "base/whole_file.h"
#include "policy/checkpoint/safetensors.h"

namespace aha::policy {
namespace {

namespace fs = std::filesystem;

// A file beside the one to be replaced; gone again unless it was published.
class AsideFile {
 public:
  explicit AsideFile(const fs::path& file) : file_(file), aside_(file) {
    aside_ += fmt::format(".aside.{}", ::getpid());
    fd_ = ::open(aside_.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  }
  ~AsideFile() {
    if (fd_ < 0) return;
    ::close(fd_);
    if (!published_) ::unlink(aside_.c_str());
  }
  AsideFile(const AsideFile&) = delete;
  AsideFile& operator=(const AsideFile&) = delete;

  [[nodiscard]] Status Opened() const {
    if (fd_ < 0) return tl::unexpected<Error>(SystemError(aside_, "create"));
    return {};
  }

  Status Write(std::span<const std::byte> bytes) {
    while (!bytes.empty()) {
      const ssize_t n = ::write(fd_, bytes.data(), bytes.size());
      if (n < 0 && errno == EINTR) continue;
      if (n < 0) return tl::unexpected<Error>(SystemError(aside_, "write"));
      bytes = bytes.subspan(static_cast<std::size_t>(n));
    }
    return {};
  }

  Status Publish() {
    if (::fsync(fd_) != 0) return tl::unexpected<Error>(SystemError(aside_, "sync"));
    if (::rename(aside_.c_str(), file_.c_str()) != 0) {
      return tl::unexpected<Error>(SystemError(file_, "rename into place"));
    }
    published_ = true;
    return SyncPath(file_.has_parent_path() ? file_.parent_path() : fs::path("."));
  }

 private:
  fs::path file_, aside_;
  int fd_ = -1;
  bool published_ = false;
};

Status CheckTensors(const std::vector<TensorView>& tensors) {
  for (std::size_t i = 0; i < tensors.size(); ++i) {
    const TensorView& tensor = tensors[i];
    if (tensor.name == "__metadata__") {
      return Fail(Code::kInvalidArgument, "a tensor cannot be named __metadata__");
    }
    if (i > 0 && tensors[i - 1].name == tensor.name) {
      return Fail(Code::kInvalidArgument, "tensor \"{}\" is there twice", tensor.name);
    }
    const auto bytes = internal::ByteCount(tensor.shape, tensor.dtype);
    if (!bytes || *bytes != tensor.data.size()) {
      return Fail(Code::kInvalidArgument,
                  "tensor \"{}\" has {} bytes, and its shape and {} ask for {}", tensor.name,
                  tensor.data.size(), DtypeName(tensor.dtype),
                  bytes ? std::to_string(*bytes) : "an impossible number");
    }
  }
  return {};
}

// The header's length and JSON, padded with spaces so that the data starts at a multiple of eight.
Result<std::string> MakeHeader(const std::vector<TensorView>& tensors,
                               const std::map<std::string, std::string>& metadata) {
  nlohmann::json json = nlohmann::json::object();
  if (!metadata.empty()) json["__metadata__"] = metadata;
  std::uint64_t at = 0;
  for (const TensorView& tensor : tensors) {
    json[tensor.name] = {{"dtype", DtypeName(tensor.dtype)},
                         {"shape", tensor.shape},
                         {"data_offsets", {at, at + tensor.data.size()}}};
    at += tensor.data.size();
  }
  std::string text;
  try {
    text = json.dump();
  } catch (const nlohmann::json::exception&) {
    return Fail(Code::kInvalidArgument, "the name of a tensor, or the metadata, is not UTF-8");
  }
  text.append((8 - text.size() % 8) % 8, ' ');
  if (text.size() > kMaxSafetensorsHeader) {
    return Fail(Code::kInvalidArgument, "a header of {} bytes is longer than the format allows",
                text.size());
  }
  std::string header(8, '\0');
  for (std::size_t i = 0; i < 8; ++i)
    header[i] = static_cast<char>((text.size() >> (8 * i)) & 0xFFU);
  return header + text;
}

}  // namespace

Status WriteSafetensors(const fs::path& file,
                        std::vector<TensorView> tensors,
                        const std::map<std::string, std::string>& metadata) {
  std::sort(tensors.begin(), tensors.end(),
            [](const auto& a, const auto& b) { return a.name < b.name; });
  const auto write = [&]() -> Status {
    AHA_TRY(CheckTensors(tensors));
    AHA_ASSIGN(const std::string header, MakeHeader(tensors, metadata));
    AsideFile out(file);
    AHA_TRY(out.Opened());
    AHA_TRY(out.Write(std::as_bytes(std::span(header))));
    for (const TensorView& tensor : tensors)
      AHA_TRY(out.Write(tensor.data));
    return out.Publish();
  };
  Status written = write();
  if (!written && !written.error().message.starts_with(file.string())) {  // the system's errors name it already
    return Within(written.error(), "{}", file.string());
  }
  return written;
}

}  // namespace aha::policy
