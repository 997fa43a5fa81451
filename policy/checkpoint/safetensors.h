#pragma once
/// The safetensors format (https://github.com/huggingface/safetensors): eight bytes of header length
/// (little-endian), a JSON header, then the tensors' bytes. No LibTorch here; bytes stay bytes.

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "policy/checkpoint/mapped_file.h"

namespace aha::policy {

enum class SafetensorsDtype : std::uint8_t {
  kF64,
  kF32,
  kF16,
  kBF16,
  kI64,
  kI32,
  kI16,
  kI8,
  kU8,
  kBool,
  kF8E4M3,
  kF8E5M2,
};

/// As headers spell it: "F32", "F8_E4M3", "BOOL", ...
std::string_view DtypeName(SafetensorsDtype dtype);
/// Empty for a name that is none of the above.
std::optional<SafetensorsDtype> DtypeNamed(std::string_view name);
/// Bytes of one element.
std::size_t DtypeSize(SafetensorsDtype dtype);

/// A tensor's description and its bytes, which belong to somebody else: little-endian, the last
/// dimension contiguous, without gaps. A scalar has an empty shape. The bytes start where the file
/// has them and need not be aligned to the element.
struct TensorView {
  std::string name;
  SafetensorsDtype dtype = SafetensorsDtype::kF32;
  std::vector<std::int64_t> shape;
  std::span<const std::byte> data;
};

/// Longest header that is read or written, in bytes.
inline constexpr std::uint64_t kMaxSafetensorsHeader = 100'000'000;

/// A file mapped into memory, read-only. Its tensors' bytes live as long as it does (moving it
/// keeps them).
class SafetensorsFile {
 public:
  /// Maps and checks a file. kNotFound when there is none; kCorrupt, naming file, tensor and field,
  /// when the header is not what the format promises, or tensors overlap, leave holes or reach
  /// beyond the file.
  static Result<SafetensorsFile> Open(const std::filesystem::path& file);
  /// The same over bytes that `owner` keeps alive; `file` is what errors call them.
  static Result<SafetensorsFile> FromBytes(std::span<const std::byte> bytes,
                                           std::shared_ptr<const void> owner,
                                           const std::filesystem::path& file);

  /// By name, in byte order.
  [[nodiscard]] const std::vector<TensorView>& tensors() const { return tensors_; }
  /// Null when there is none of this name.
  [[nodiscard]] const TensorView* Find(std::string_view name) const;
  /// The header's `__metadata__`.
  [[nodiscard]] const std::map<std::string, std::string>& metadata() const { return metadata_; }
  [[nodiscard]] const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
  std::shared_ptr<const void> owner_;
  std::vector<TensorView> tensors_;
  std::map<std::string, std::string> metadata_;
};

/// Takes the next bytes of a tensor.
using ByteSink = std::function<Status(std::span<const std::byte>)>;

/// A tensor that is to be written: its description now, its bytes when their turn comes, in pieces
/// of any size. So a file of any size is written with one tensor, or less, in memory.
struct TensorSource {
  std::string name;
  SafetensorsDtype dtype = SafetensorsDtype::kF32;
  std::vector<std::int64_t> shape;
  std::function<Status(const ByteSink& sink)> produce;
};
/// The source that hands over `view`'s bytes, which must outlive it.
TensorSource SourceOf(TensorView view);

/// What a written file says about its tensors' bytes.
enum class Hashes : std::uint8_t {
  kNone,
  kRecord,  ///< `__metadata__` gets "sha256:NAME" for every tensor: lower-case hex of its bytes
};

/// Writes tensors to `file`, whole or not at all. They go in the byte order of their names, the
/// header is padded with spaces to a multiple of eight bytes, so equal tensors make equal files.
/// kInvalidArgument when a name is repeated, reserved or not UTF-8, or the bytes are not as many as
/// shape and dtype say; kExhausted when the disk is full; a source's own error.
Status WriteSafetensors(const std::filesystem::path& file,
                        std::vector<TensorSource> tensors,
                        const std::map<std::string, std::string>& metadata,
                        Hashes hashes = Hashes::kNone);
Status WriteSafetensors(const std::filesystem::path& file,
                        std::vector<TensorView> tensors,
                        const std::map<std::string, std::string>& metadata,
                        Hashes hashes = Hashes::kNone);

/// Compares a tensor's bytes with the hash that its file records: true, or kCorrupt with `file` and
/// name; false when the file records none.
Result<bool> VerifyTensor(const SafetensorsFile& file, const TensorView& tensor);

namespace internal {

/// Bytes that shape and dtype ask for; empty when a dimension is negative or the product overflows.
std::optional<std::uint64_t> ByteCount(std::span<const std::int64_t> shape, SafetensorsDtype dtype);

/// One tensor as a header describes it: bytes [begin, end) behind the header.
struct TensorEntry {
  std::string name;
  SafetensorsDtype dtype = SafetensorsDtype::kF32;
  std::vector<std::int64_t> shape;
  std::uint64_t begin = 0, end = 0;
};
struct Header {
  std::vector<TensorEntry> tensors;  // in the header's order
  std::map<std::string, std::string> metadata;
};

/// Parses a header's JSON without building it in memory first. Checks everything that the header
/// alone can show: known fields each once, shape, dtype and offsets of each tensor agreeing.
Result<Header> ParseSafetensorsHeader(std::string_view json);

}  // namespace internal
}  // namespace aha::policy
