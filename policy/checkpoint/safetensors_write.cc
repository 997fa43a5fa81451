#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>

#include <nlohmann/json.hpp>

#include "base/content_hash.h"
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

  Status Rewind() {
    if (::lseek(fd_, 0, SEEK_SET) != 0) return tl::unexpected<Error>(SystemError(aside_, "rewind"));
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

Status CheckTensors(const std::vector<TensorSource>& tensors) {
  for (std::size_t i = 0; i < tensors.size(); ++i) {
    const TensorSource& tensor = tensors[i];
    if (tensor.name == "__metadata__") {
      return Fail(Code::kInvalidArgument, "a tensor cannot be named __metadata__");
    }
    if (i > 0 && tensors[i - 1].name == tensor.name) {
      return Fail(Code::kInvalidArgument, "tensor \"{}\" is there twice", tensor.name);
    }
    if (!internal::ByteCount(tensor.shape, tensor.dtype)) {
      return Fail(Code::kInvalidArgument, "tensor \"{}\" asks for an impossible number of bytes",
                  tensor.name);
    }
  }
  return {};
}

// The header's length and JSON, padded with spaces so that the data starts at a multiple of eight.
Result<std::string> MakeHeader(const std::vector<TensorSource>& tensors,
                               const std::map<std::string, std::string>& metadata) {
  nlohmann::json json = nlohmann::json::object();
  if (!metadata.empty()) json["__metadata__"] = metadata;
  std::uint64_t at = 0;
  for (const TensorSource& tensor : tensors) {
    const std::uint64_t end = at + *internal::ByteCount(tensor.shape, tensor.dtype);
    json[tensor.name] = {
        {"dtype", DtypeName(tensor.dtype)}, {"shape", tensor.shape}, {"data_offsets", {at, end}}};
    at = end;
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
  for (std::size_t i = 0; i < 8; ++i) {
    header[i] = static_cast<char>((text.size() >> (8 * i)) & 0xFFU);
  }
  return header + text;
}

// One tensor's bytes into `out`; their hash into `hash` unless that is null.
Status WriteTensor(const TensorSource& tensor, AsideFile& out, std::string* hash) {
  const std::uint64_t wanted = *internal::ByteCount(tensor.shape, tensor.dtype);
  std::uint64_t written = 0;
  ContentHash digest;
  AHA_TRY(tensor.produce([&](std::span<const std::byte> bytes) -> Status {
    written += bytes.size();
    if (written > wanted) return {};  // reported below
    if (hash != nullptr) digest.Add(bytes);
    return out.Write(bytes);
  }));
  if (written != wanted) {
    return Fail(Code::kInvalidArgument,
                "tensor \"{}\" has {} bytes, and its shape and {} ask for {}", tensor.name, written,
                DtypeName(tensor.dtype), wanted);
  }
  if (hash != nullptr) *hash = digest.Hex();
  return {};
}

std::string HashKey(std::string_view tensor) {
  return fmt::format("sha256:{}", tensor);
}

Status WriteAll(const fs::path& file,
                const std::vector<TensorSource>& tensors,
                std::map<std::string, std::string> metadata,
                Hashes hashes) {
  AHA_TRY(CheckTensors(tensors));
  if (hashes == Hashes::kRecord) {  // room for them: a hash is as long as any other
    for (const TensorSource& tensor : tensors)
      metadata[HashKey(tensor.name)] = std::string(64, '0');
  }
  AHA_ASSIGN(const std::string room, MakeHeader(tensors, metadata));
  AsideFile out(file);
  AHA_TRY(out.Opened());
  AHA_TRY(out.Write(std::as_bytes(std::span(room))));
  for (const TensorSource& tensor : tensors) {
    AHA_TRY(WriteTensor(tensor, out,
                        hashes == Hashes::kRecord ? &metadata[HashKey(tensor.name)] : nullptr));
  }
  if (hashes == Hashes::kRecord) {
    AHA_ASSIGN(const std::string header, MakeHeader(tensors, metadata));
    AHA_TRY(out.Rewind());
    AHA_TRY(out.Write(std::as_bytes(std::span(header))));
  }
  return out.Publish();
}

}  // namespace

TensorSource SourceOf(TensorView view) {
  const std::span<const std::byte> data = view.data;
  return {std::move(view.name), view.dtype, std::move(view.shape),
          [data](const ByteSink& sink) { return sink(data); }};
}

Status WriteSafetensors(const fs::path& file,
                        std::vector<TensorSource> tensors,
                        const std::map<std::string, std::string>& metadata,
                        Hashes hashes) {
  std::sort(tensors.begin(), tensors.end(),
            [](const auto& a, const auto& b) { return a.name < b.name; });
  Status written = WriteAll(file, tensors, metadata, hashes);
  // The system's errors name the file already.
  if (!written && !written.error().message.starts_with(file.string())) {
    return Within(written.error(), "{}", file.string());
  }
  return written;
}

Status WriteSafetensors(const fs::path& file,
                        std::vector<TensorView> tensors,
                        const std::map<std::string, std::string>& metadata,
                        Hashes hashes) {
  std::vector<TensorSource> sources;
  sources.reserve(tensors.size());
  for (TensorView& tensor : tensors)
    sources.push_back(SourceOf(std::move(tensor)));
  return WriteSafetensors(file, std::move(sources), metadata, hashes);
}

Result<bool> VerifyTensor(const SafetensorsFile& file, const TensorView& tensor) {
  const auto recorded = file.metadata().find(HashKey(tensor.name));
  if (recorded == file.metadata().end()) return false;
  constexpr std::size_t kPiece = std::size_t{4} << 20U;
  ContentHash hash;
  for (std::size_t at = 0; at < tensor.data.size(); at += kPiece) {
    const auto piece = tensor.data.subspan(at, std::min(kPiece, tensor.data.size() - at));
    if (Status read = Populate(piece); !read)
      return Within(read.error(), "{}", file.path().string());
    hash.Add(piece);
    Drop(piece);
  }
  if (hash.Hex() == recorded->second) return true;
  return Fail(Code::kCorrupt,
              "{}: tensor {} is not what was written: its bytes have another SHA-256",
              file.path().string(), tensor.name);
}

}  // namespace aha::policy
