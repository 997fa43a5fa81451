#pragma once
/// The GGUF format of ggml and llama.cpp, versions 2 and 3, little-endian: keys with values, tensor
/// descriptions, then the tensors' bytes in blocks that may be quantised. No LibTorch here.

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/result.h"
#include "policy/checkpoint/gguf_blocks.h"

namespace aha::policy {

/// A tensor as the file has it. `shape` is in row-major order (GGUF's own is the reverse), the last
/// dimension contiguous. Name and data are the file's bytes.
struct GgufTensor {
  std::string_view name;
  GgmlType type = GgmlType::kF32;
  std::vector<std::int64_t> shape;
  std::span<const std::byte> data;
};

/// A file mapped into memory, read-only; what it hands out lives as long as it does. Memory taken
/// is in proportion to the file's bytes, whatever its counts say.
class GgufFile {
 public:
  /// kNotFound when there is none; kCorrupt, naming file, key or tensor and what is wrong, when it
  /// is not what the format promises; kInvalidArgument for version 1, big-endian files and tensor
  /// types that are not known here.
  static Result<GgufFile> Open(const std::filesystem::path& file);
  /// The same over bytes that `owner` keeps alive; `name` is what errors call them.
  static Result<GgufFile> FromBytes(std::span<const std::byte> bytes,
                                    std::shared_ptr<const void> owner,
                                    std::string name);

  [[nodiscard]] const std::string& name() const { return name_; }
  /// In the file's order.
  [[nodiscard]] const std::vector<GgufTensor>& tensors() const { return tensors_; }
  /// Null when there is none of this name.
  [[nodiscard]] const GgufTensor* Find(std::string_view name) const;

  [[nodiscard]] bool Has(std::string_view key) const { return values_.contains(key); }
  /// The value of a key, of the type asked for; errors name file and key. With `absent`, that is
  /// the value of a key that is not there; without, such a key is kCorrupt.
  [[nodiscard]] Result<std::int64_t> Count(std::string_view key,
                                           std::optional<std::int64_t> absent = {}) const;
  [[nodiscard]] Result<double> Number(std::string_view key,
                                      std::optional<double> absent = {}) const;
  [[nodiscard]] Result<bool> Flag(std::string_view key, bool absent) const;
  [[nodiscard]] Result<std::string_view> Text(std::string_view key,
                                              std::optional<std::string_view> absent = {}) const;
  [[nodiscard]] Result<std::vector<std::string_view>> Texts(std::string_view key) const;
  /// An array of integers; one integer is an array of one.
  [[nodiscard]] Result<std::vector<std::int64_t>> Counts(std::string_view key) const;

 private:
  friend class GgufParser;
  using Scalar = std::variant<bool, std::int64_t, double, std::string_view>;
  struct Array {  // left as the file has it, its strings' bounds checked
    std::uint32_t type = 0;
    std::uint64_t count = 0;
    std::span<const std::byte> bytes;
  };
  using Value = std::variant<Scalar, Array>;
  template <class T>
  [[nodiscard]] Result<std::optional<T>> Get(std::string_view key,
                                             bool optional,
                                             std::string_view kind) const;

  std::string name_;
  std::shared_ptr<const void> owner_;
  std::map<std::string_view, Value> values_;
  std::vector<GgufTensor> tensors_;
  std::map<std::string_view, std::size_t> places_;  // in tensors_
};

}  // namespace aha::policy
