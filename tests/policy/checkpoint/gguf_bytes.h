#pragma once
/// GGUF files put together byte by byte, right or wrong.

#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

namespace aha::policy {

template <class T>
std::string Raw(T value) {
  std::string bytes(sizeof(T), '\0');
  std::memcpy(bytes.data(), &value, sizeof(T));
  return bytes;
}
inline std::string Counted(std::string_view text) {
  return Raw<std::uint64_t>(text.size()) + std::string(text);
}
inline std::string U32Key(std::string_view key, std::uint32_t value) {
  return Counted(key) + Raw<std::uint32_t>(4) + Raw(value);
}
inline std::string FloatKey(std::string_view key, float value) {
  return Counted(key) + Raw<std::uint32_t>(6) + Raw(value);
}
inline std::string TextKey(std::string_view key, std::string_view value) {
  return Counted(key) + Raw<std::uint32_t>(8) + Counted(value);
}
inline std::string TextsKey(std::string_view key, const std::vector<std::string>& values) {
  std::string bytes = Counted(key) + Raw<std::uint32_t>(9) + Raw<std::uint32_t>(8) +
                      Raw<std::uint64_t>(values.size());
  for (const std::string& value : values)
    bytes += Counted(value);
  return bytes;
}
/// `shape` in the format's own order: the contiguous dimension first.
inline std::string TensorEntry(std::string_view name,
                               const std::vector<std::uint64_t>& shape,
                               std::uint32_t type,
                               std::uint64_t offset) {
  std::string bytes = Counted(name) + Raw<std::uint32_t>(static_cast<std::uint32_t>(shape.size()));
  for (const std::uint64_t size : shape)
    bytes += Raw(size);
  return bytes + Raw(type) + Raw(offset);
}
/// `keys` and `entries` one after another; counts as given; data behind padding to 32.
inline std::string GgufBytes(std::uint64_t tensors,
                             std::uint64_t values,
                             const std::string& body,
                             const std::string& data = "",
                             std::uint32_t version = 3) {
  std::string bytes = "GGUF" + Raw(version) + Raw(tensors) + Raw(values) + body;
  if (!data.empty()) bytes.append((32 - bytes.size() % 32) % 32, '\0');
  return bytes + data;
}

}  // namespace aha::policy
