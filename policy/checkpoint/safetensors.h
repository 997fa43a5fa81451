#pragma once
/// The safetensors format (https://github.com/huggingface/safetensors): eight bytes of header length
/// (little-endian), a JSON header, then the tensors' bytes. No LibTorch here; bytes stay bytes.

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

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
/// keeps them). Files are replaced by renaming, never rewritten in place: a file that another
/// process cuts short while it is mapped cannot be read safely.
class SafetensorsFile {
 public:
  /// Maps and checks a file. kNotFound when there is none; kCorrupt, naming file, tensor and field,
  /// when the header is not what the format promises, or tensors overlap, leave holes or reach
  /// beyond the file.
  static Result<SafetensorsFile> Open(const std::filesystem::path& file);

  /// By name, in byte order.
  [[nodiscard]] const std::vector<TensorView>& tensors() const { return tensors_; }
  /// Null when there is none of this name.
  [[nodiscard]] const TensorView* Find(std::string_view name) const;
  /// The header's `__metadata__`.
  [[nodiscard]] const std::map<std::string, std::string>& metadata() const { return metadata_; }

 private:
  std::shared_ptr<const void> mapping_;
  std::vector<TensorView> tensors_;
  std::map<std::string, std::string> metadata_;
};

/// Writes `tensors` to `file`, whole or not at all. Tensors go in the byte order of their names,
/// the header is padded with spaces to a multiple of eight bytes, so equal tensors make equal
/// files. Memory does not grow with the tensors. kInvalidArgument when a name is repeated, reserved
/// or not UTF-8, or the bytes are not as many as shape and dtype say; kExhausted when the disk is
/// full.
Status WriteSafetensors(const std::filesystem::path& file,
                        std::vector<TensorView> tensors,
                        const std::map<std::string, std::string>& metadata);

/// The weight files of a Hugging Face folder: model.safetensors, or else what
/// model.safetensors.index.json lists, each once, in byte order. kNotFound when there is neither or
/// a listed file is missing; kCorrupt when a listed name is not a plain file name in the folder.
Result<std::vector<std::filesystem::path>> CheckpointShards(const std::filesystem::path& folder);

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
