#include "policy/checkpoint/safetensors.h"

#include <algorithm>
#include <array>

namespace aha::policy {
namespace {

struct DtypeEntry {
  std::string_view name;
  std::size_t size;
};
// In the order of SafetensorsDtype.
constexpr std::array<DtypeEntry, 12> kDtypes{{{"F64", 8},
                                              {"F32", 4},
                                              {"F16", 2},
                                              {"BF16", 2},
                                              {"I64", 8},
                                              {"I32", 4},
                                              {"I16", 2},
                                              {"I8", 1},
                                              {"U8", 1},
                                              {"BOOL", 1},
                                              {"F8_E4M3", 1},
                                              {"F8_E5M2", 1}}};

// Sorted by place, the tensors must cover the data from its first byte to its last.
Status CheckPlaces(std::vector<internal::TensorEntry>& tensors, std::uint64_t size) {
  std::sort(tensors.begin(), tensors.end(), [](const auto& a, const auto& b) {
    return std::pair(a.begin, a.end) < std::pair(b.begin, b.end);
  });
  std::uint64_t done = 0;
  for (const auto& tensor : tensors) {
    if (tensor.end > size) {
      return Fail(
          Code::kCorrupt,
          "tensor \"{}\", data_offsets: [{}, {}] reaches beyond the {} bytes of data; the file "
          "may have been cut short",
          tensor.name, tensor.begin, tensor.end, size);
    }
    if (tensor.begin != done) {
      return Fail(
          Code::kCorrupt, "tensor \"{}\", data_offsets: [{}, {}] {}; {} was expected to be next",
          tensor.name, tensor.begin, tensor.end,
          tensor.begin < done ? "overlaps another tensor" : "leaves a hole before it", done);
    }
    done = tensor.end;
  }
  if (done != size) {
    return Fail(Code::kCorrupt, "the tensors end at byte {} of {} bytes of data", done, size);
  }
  return {};
}

}  // namespace

std::string_view DtypeName(SafetensorsDtype dtype) {
  return kDtypes.at(static_cast<std::size_t>(dtype)).name;
}

std::size_t DtypeSize(SafetensorsDtype dtype) {
  return kDtypes.at(static_cast<std::size_t>(dtype)).size;
}

std::optional<SafetensorsDtype> DtypeNamed(std::string_view name) {
  for (std::size_t i = 0; i < kDtypes.size(); ++i) {
    if (kDtypes[i].name == name) return static_cast<SafetensorsDtype>(i);
  }
  return std::nullopt;
}

Result<SafetensorsFile> SafetensorsFile::Open(const std::filesystem::path& file) {
  AHA_ASSIGN(const MappedFile mapped, MappedFile::Open(file));
  return FromBytes(mapped.bytes(), mapped.owner(), file);
}

Result<SafetensorsFile> SafetensorsFile::FromBytes(std::span<const std::byte> bytes,
                                                   std::shared_ptr<const void> owner,
                                                   const std::filesystem::path& file) {
  if (bytes.size() < 8) {
    return Fail(Code::kCorrupt, "{}: {} bytes are too few for a safetensors file", file.string(),
                bytes.size());
  }
  std::uint64_t length = 0;
  for (std::size_t i = 0; i < 8; ++i) {
    length |= static_cast<std::uint64_t>(bytes[i]) << (8 * i);
  }
  if (length > kMaxSafetensorsHeader || length > bytes.size() - 8) {
    return Fail(Code::kCorrupt, "{}: a header of {} bytes is longer than {}", file.string(), length,
                length > kMaxSafetensorsHeader ? "the format allows" : "the file");
  }
  const auto header_bytes = bytes.subspan(8, length);
  const auto data = bytes.subspan(8 + length);
  auto header = internal::ParseSafetensorsHeader(
      {reinterpret_cast<const char*>(header_bytes.data()), header_bytes.size()});
  if (!header) return Within(header.error(), "{}", file.string());
  if (Status placed = CheckPlaces(header->tensors, data.size()); !placed) {
    return Within(placed.error(), "{}", file.string());
  }
  SafetensorsFile opened;
  opened.path_ = file;
  opened.owner_ = std::move(owner);
  opened.metadata_ = std::move(header->metadata);
  for (auto& tensor : header->tensors) {
    opened.tensors_.push_back({std::move(tensor.name), tensor.dtype, std::move(tensor.shape),
                               data.subspan(tensor.begin, tensor.end - tensor.begin)});
  }
  std::sort(opened.tensors_.begin(), opened.tensors_.end(),
            [](const auto& a, const auto& b) { return a.name < b.name; });
  return opened;
}

const TensorView* SafetensorsFile::Find(std::string_view name) const {
  const auto found =
      std::lower_bound(tensors_.begin(), tensors_.end(), name,
                       [](const TensorView& t, std::string_view n) { return t.name < n; });
  return found != tensors_.end() && found->name == name ? &*found : nullptr;
}

}  // namespace aha::policy
