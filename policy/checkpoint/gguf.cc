#include "policy/checkpoint/gguf.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <limits>

#include "policy/checkpoint/mapped_file.h"

namespace aha::policy {
namespace {

enum ValueType : std::uint32_t {
  kUint8,
  kInt8,
  kUint16,
  kInt16,
  kUint32,
  kInt32,
  kFloat32,
  kBool,
  kString,
  kArray,
  kUint64,
  kInt64,
  kFloat64,
};
// In the order of ValueType; 0 where the size is not fixed.
constexpr std::array<std::size_t, 13> kValueSize{1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8};
constexpr std::uint32_t kMaxDimensions = 4;
constexpr std::int64_t kMaxAlignment = 1 << 20;

// Names from the file, fit for a message.
std::string Shown(std::string_view text) {
  std::string shown;
  for (const char c : text.substr(0, 80))
    shown += c >= ' ' && c <= '~' ? c : '?';
  return shown;
}

// Walks through bytes and never beyond their end.
class Cursor {
 public:
  explicit Cursor(std::span<const std::byte> bytes) : bytes_(bytes) {}

  [[nodiscard]] std::size_t at() const { return at_; }
  [[nodiscard]] std::size_t left() const { return bytes_.size() - at_; }

  // The next `size` bytes; empty when there are not as many.
  std::optional<std::span<const std::byte>> Take(std::uint64_t size) {
    if (size > left()) return std::nullopt;
    const auto taken = bytes_.subspan(at_, static_cast<std::size_t>(size));
    at_ += static_cast<std::size_t>(size);
    return taken;
  }
  template <class T>
  std::optional<T> Read() {
    const auto taken = Take(sizeof(T));
    if (!taken) return std::nullopt;
    T value;
    std::memcpy(&value, taken->data(), sizeof(T));
    return value;
  }
  // Length, then as many bytes.
  std::optional<std::string_view> ReadString() {
    const auto length = Read<std::uint64_t>();
    if (!length) return std::nullopt;
    const auto taken = Take(*length);
    if (!taken) return std::nullopt;
    return std::string_view(reinterpret_cast<const char*>(taken->data()), taken->size());
  }

 private:
  std::span<const std::byte> bytes_;
  std::size_t at_ = 0;
};

using Scalar = std::variant<bool, std::int64_t, double, std::string_view>;

template <class T, class As>
std::optional<Scalar> ReadAs(Cursor& cursor) {
  const auto value = cursor.Read<T>();
  if (!value) return std::nullopt;
  return Scalar(static_cast<As>(*value));
}

// One value of a type with no array in it; empty when the file ends.
std::optional<Scalar> ReadScalar(Cursor& cursor, std::uint32_t type) {
  switch (type) {
    case kUint8:
      return ReadAs<std::uint8_t, std::int64_t>(cursor);
    case kInt8:
      return ReadAs<std::int8_t, std::int64_t>(cursor);
    case kUint16:
      return ReadAs<std::uint16_t, std::int64_t>(cursor);
    case kInt16:
      return ReadAs<std::int16_t, std::int64_t>(cursor);
    case kUint32:
      return ReadAs<std::uint32_t, std::int64_t>(cursor);
    case kInt32:
      return ReadAs<std::int32_t, std::int64_t>(cursor);
    case kInt64:
      return ReadAs<std::int64_t, std::int64_t>(cursor);
    case kFloat32:
      return ReadAs<float, double>(cursor);
    case kFloat64:
      return ReadAs<double, double>(cursor);
    case kUint64: {
      const auto value = cursor.Read<std::uint64_t>();
      if (!value) return std::nullopt;
      constexpr std::uint64_t kMost = std::numeric_limits<std::int64_t>::max();
      return Scalar(static_cast<std::int64_t>(std::min(*value, kMost)));
    }
    case kBool: {
      const auto value = cursor.Read<std::uint8_t>();
      if (!value) return std::nullopt;
      return Scalar(*value != 0);
    }
    default: {
      const auto text = cursor.ReadString();
      if (!text) return std::nullopt;
      return Scalar(*text);
    }
  }
}

}  // namespace

// A tensor's data, and which it is.
using Placed = std::pair<std::span<const std::byte>, std::size_t>;

// Reads a file from its first byte to its last description.
class GgufParser {
 public:
  GgufParser(std::span<const std::byte> bytes, GgufFile& file)
      : bytes_(bytes), cursor_(bytes), file_(file) {}

  Status Run() {
    AHA_TRY(ReadHead());
    for (std::uint64_t i = 0; i < values_; ++i)
      AHA_TRY(ReadValue(i));
    std::vector<std::uint64_t> offsets;
    for (std::uint64_t i = 0; i < tensors_; ++i)
      AHA_TRY(ReadTensor(i, offsets));
    return Place(offsets);
  }

 private:
  template <class... Args>
  tl::unexpected<Error> Corrupt(fmt::format_string<Args...> format, Args&&... args) const {
    return Fail(Code::kCorrupt, "{}: {}", file_.name_,
                fmt::format(format, std::forward<Args>(args)...));
  }

  Status ReadHead() {
    const auto magic = cursor_.Read<std::array<char, 4>>();
    if (!magic || std::string_view(magic->data(), 4) != "GGUF") {
      return Corrupt("does not start with GGUF");
    }
    const auto version = cursor_.Read<std::uint32_t>();
    if (!version) return Corrupt("ends inside the version");
    if (*version != 2 && *version != 3) {
      const bool swapped = *version == 0x02000000U || *version == 0x03000000U;
      return Fail(Code::kInvalidArgument, "{}: {}; supported: GGUF 2 and 3, little-endian",
                  file_.name_,
                  swapped ? "is big-endian" : fmt::format("is GGUF version {}", *version));
    }
    const auto tensors = cursor_.Read<std::uint64_t>();
    const auto values = cursor_.Read<std::uint64_t>();
    if (!tensors || !values) return Corrupt("ends inside the counts of tensors and keys");
    // A key takes 13 bytes or more (length, type, value), a tensor 24.
    if (*values > cursor_.left() / 13) {
      return Corrupt("kv_count {} is more than its {} bytes can hold", *values, bytes_.size());
    }
    if (*tensors > cursor_.left() / 24) {
      return Corrupt("tensor_count {} is more than its {} bytes can hold", *tensors, bytes_.size());
    }
    tensors_ = *tensors;
    values_ = *values;
    return {};
  }

  Status ReadValue(std::uint64_t index) {
    const auto key = cursor_.ReadString();
    if (!key) return Corrupt("key {} of {}: its name reaches beyond the file", index, values_);
    const auto type = cursor_.Read<std::uint32_t>();
    if (!type) return Corrupt("key {}: ends inside its type", Shown(*key));
    if (*type >= kValueSize.size())
      return Corrupt("key {}: has type {}, which is none", Shown(*key), *type);
    GgufFile::Value value;
    if (*type == kArray) {
      AHA_ASSIGN(value, ReadArray(*key));
    } else {
      const auto scalar = ReadScalar(cursor_, *type);
      if (!scalar) return Corrupt("key {}: its value reaches beyond the file", Shown(*key));
      value = *scalar;
    }
    if (!file_.values_.emplace(*key, std::move(value)).second) {
      return Corrupt("key {}: appears twice", Shown(*key));
    }
    return {};
  }

  Result<GgufFile::Array> ReadArray(std::string_view key) {
    const auto type = cursor_.Read<std::uint32_t>();
    const auto count = cursor_.Read<std::uint64_t>();
    if (!type || !count) return Corrupt("key {}: ends inside its array's head", Shown(key));
    if (*type >= kValueSize.size() || *type == kArray) {
      return Corrupt("key {}: is an array of type {}; an array holds numbers, strings or flags",
                     Shown(key), *type);
    }
    const std::size_t size = *type == kString ? sizeof(std::uint64_t) : kValueSize[*type];
    if (*count > cursor_.left() / size) {
      return Corrupt("key {}: an array of {} does not fit into the {} bytes that are left",
                     Shown(key), *count, cursor_.left());
    }
    const std::size_t begin = cursor_.at();
    if (*type != kString) {
      cursor_.Take(*count * size);
    } else {
      for (std::uint64_t i = 0; i < *count; ++i) {
        if (!cursor_.ReadString())
          return Corrupt("key {}: string {} reaches beyond the file", Shown(key), i);
      }
    }
    return GgufFile::Array{*type, *count, bytes_.subspan(begin, cursor_.at() - begin)};
  }

  Status ReadTensor(std::uint64_t index, std::vector<std::uint64_t>& offsets) {
    const auto name = cursor_.ReadString();
    if (!name) return Corrupt("tensor {} of {}: its name reaches beyond the file", index, tensors_);
    const auto dimensions = cursor_.Read<std::uint32_t>();
    if (!dimensions) return Corrupt("tensor {}: ends inside its description", Shown(*name));
    if (*dimensions == 0 || *dimensions > kMaxDimensions) {
      return Corrupt("tensor {}: has {} dimensions; 1 to {} are allowed", Shown(*name), *dimensions,
                     kMaxDimensions);
    }
    GgufTensor tensor;
    tensor.name = *name;
    for (std::uint32_t d = 0; d < *dimensions; ++d) {
      const auto size = cursor_.Read<std::uint64_t>();
      if (!size) return Corrupt("tensor {}: ends inside its shape", Shown(*name));
      if (*size == 0 ||
          *size > static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max())) {
        return Corrupt("tensor {}: dimension {} is {}", Shown(*name), d, *size);
      }
      tensor.shape.push_back(static_cast<std::int64_t>(*size));
    }
    std::reverse(tensor.shape.begin(), tensor.shape.end());
    const auto type = cursor_.Read<std::uint32_t>();
    const auto offset = cursor_.Read<std::uint64_t>();
    if (!type || !offset) return Corrupt("tensor {}: ends inside its description", Shown(*name));
    const auto known = GgmlTypeOf(*type);
    if (!known) {
      return Fail(Code::kInvalidArgument, "{}: tensor {}: type {} ({}) is not supported",
                  file_.name_, Shown(*name), *type, UnsupportedGgmlName(*type));
    }
    tensor.type = *known;
    if (!file_.places_.emplace(*name, file_.tensors_.size()).second) {
      return Corrupt("tensor {}: appears twice", Shown(*name));
    }
    file_.tensors_.push_back(std::move(tensor));
    offsets.push_back(*offset);
    return {};
  }

  // Bytes of a tensor; an error when its rows are no whole blocks or the product overflows.
  Result<std::uint64_t> SizeOf(const GgufTensor& tensor) const {
    const GgmlLayout& layout = LayoutOf(tensor.type);
    if (tensor.shape.back() % layout.weights != 0) {
      return Corrupt("tensor {}: rows of {} are no multiple of {}'s blocks of {}",
                     Shown(tensor.name), tensor.shape.back(), layout.name, layout.weights);
    }
    auto size = static_cast<std::uint64_t>(tensor.shape.back() / layout.weights);
    bool overflow = __builtin_mul_overflow(size, static_cast<std::uint64_t>(layout.bytes), &size);
    for (std::size_t d = 0; d + 1 < tensor.shape.size(); ++d) {
      overflow |= __builtin_mul_overflow(size, static_cast<std::uint64_t>(tensor.shape[d]), &size);
    }
    if (overflow)
      return Corrupt("tensor {}: its shape asks for more than 64 bits count", Shown(tensor.name));
    return size;
  }

  // Gives each tensor its bytes: offsets count from the first aligned byte behind the descriptions.
  Status Place(const std::vector<std::uint64_t>& offsets) {
    AHA_ASSIGN(const std::int64_t alignment, file_.Count("general.alignment", 32));
    if (alignment < 8 || alignment > kMaxAlignment ||
        !std::has_single_bit(static_cast<std::uint64_t>(alignment))) {
      return Corrupt("key general.alignment: is {}, must be a power of two in [8, {}]", alignment,
                     kMaxAlignment);
    }
    if (offsets.empty()) return {};
    const auto step = static_cast<std::uint64_t>(alignment);
    const std::uint64_t start = (cursor_.at() + step - 1) / step * step;
    if (start > bytes_.size()) return Corrupt("ends before its tensors' data");
    const auto data = bytes_.subspan(static_cast<std::size_t>(start));
    std::vector<Placed> placed;
    for (std::size_t i = 0; i < offsets.size(); ++i) {
      GgufTensor& tensor = file_.tensors_[i];
      AHA_ASSIGN(const std::uint64_t size, SizeOf(tensor));
      if (offsets[i] % step != 0) {
        return Corrupt("tensor {}: offset {} is no multiple of the alignment {}",
                       Shown(tensor.name), offsets[i], step);
      }
      if (offsets[i] > data.size() || size > data.size() - offsets[i]) {
        return Corrupt(
            "tensor {}: {} bytes at offset {} reach beyond the {} bytes of data; the file may have "
            "been cut short",
            Shown(tensor.name), size, offsets[i], data.size());
      }
      tensor.data =
          data.subspan(static_cast<std::size_t>(offsets[i]), static_cast<std::size_t>(size));
      placed.emplace_back(tensor.data, i);
    }
    std::sort(placed.begin(), placed.end(),
              [](const auto& a, const auto& b) { return a.first.data() < b.first.data(); });
    return CheckNeighbours(data, placed, step);
  }

  // Tensors, by place, fill the data but for what rounds each one up to the alignment.
  [[nodiscard]] Status CheckNeighbours(std::span<const std::byte> data,
                                       const std::vector<Placed>& placed,
                                       std::uint64_t step) const {
    std::uint64_t end = 0;
    for (std::size_t i = 0; i < placed.size(); ++i) {
      const auto start = static_cast<std::uint64_t>(placed[i].first.data() - data.data());
      const std::string name = Shown(file_.tensors_[placed[i].second].name);
      if (start < end) {
        return Corrupt("tensor {}: overlaps tensor {}", name,
                       Shown(file_.tensors_[placed[i - 1].second].name));
      }
      if (start - end >= step) {
        return Corrupt("tensor {}: {} bytes before it belong to no tensor", name, start - end);
      }
      end = start + placed[i].first.size();
    }
    if (data.size() - end >= step) {
      return Corrupt(
          "{} bytes after the last tensor, {}, belong to none; tensor_count {} may be too small",
          data.size() - end, Shown(file_.tensors_[placed.back().second].name), placed.size());
    }
    return {};
  }

  std::span<const std::byte> bytes_;
  Cursor cursor_;
  GgufFile& file_;
  std::uint64_t tensors_ = 0, values_ = 0;
};

Result<GgufFile> GgufFile::Open(const std::filesystem::path& file) {
  AHA_ASSIGN(const MappedFile mapped, MappedFile::Open(file));
  return FromBytes(mapped.bytes(), mapped.owner(), file.string());
}

Result<GgufFile> GgufFile::FromBytes(std::span<const std::byte> bytes,
                                     std::shared_ptr<const void> owner,
                                     std::string name) {
  GgufFile file;
  file.name_ = std::move(name);
  file.owner_ = std::move(owner);
  AHA_TRY(GgufParser(bytes, file).Run());
  return file;
}

const GgufTensor* GgufFile::Find(std::string_view name) const {
  const auto found = places_.find(name);
  return found == places_.end() ? nullptr : &tensors_[found->second];
}

template <class T>
Result<std::optional<T>> GgufFile::Get(std::string_view key,
                                       bool optional,
                                       std::string_view kind) const {
  const auto found = values_.find(key);
  if (found == values_.end()) {
    if (optional) return std::optional<T>();
    return Fail(Code::kCorrupt, "{}: key {} is missing", name_, key);
  }
  if (const auto* scalar = std::get_if<Scalar>(&found->second)) {
    if (const T* value = std::get_if<T>(scalar)) return std::optional<T>(*value);
  }
  return Fail(Code::kCorrupt, "{}: key {}: must be {}", name_, key, kind);
}

Result<std::int64_t> GgufFile::Count(std::string_view key,
                                     std::optional<std::int64_t> absent) const {
  AHA_ASSIGN(const auto value, Get<std::int64_t>(key, absent.has_value(), "an integer"));
  if (value && *value < 0)
    return Fail(Code::kCorrupt, "{}: key {}: is {}, must not be negative", name_, key, *value);
  return value ? *value : *absent;
}

Result<double> GgufFile::Number(std::string_view key, std::optional<double> absent) const {
  AHA_ASSIGN(const auto value, Get<double>(key, absent.has_value(), "a floating-point number"));
  return value ? *value : *absent;
}

Result<bool> GgufFile::Flag(std::string_view key, bool absent) const {
  AHA_ASSIGN(const auto value, Get<bool>(key, true, "true or false"));
  return value.value_or(absent);
}

Result<std::string_view> GgufFile::Text(std::string_view key,
                                        std::optional<std::string_view> absent) const {
  AHA_ASSIGN(const auto value, Get<std::string_view>(key, absent.has_value(), "a string"));
  return value ? *value : *absent;
}

Result<std::vector<std::string_view>> GgufFile::Texts(std::string_view key) const {
  const auto found = values_.find(key);
  if (found == values_.end()) return Fail(Code::kCorrupt, "{}: key {} is missing", name_, key);
  const auto* array = std::get_if<Array>(&found->second);
  if (array == nullptr || array->type != kString) {
    return Fail(Code::kCorrupt, "{}: key {}: must be an array of strings", name_, key);
  }
  Cursor cursor(array->bytes);
  std::vector<std::string_view> texts;
  texts.reserve(static_cast<std::size_t>(array->count));
  for (std::uint64_t i = 0; i < array->count; ++i)
    texts.push_back(cursor.ReadString().value_or(""));
  return texts;
}

Result<std::vector<std::int64_t>> GgufFile::Counts(std::string_view key) const {
  const auto found = values_.find(key);
  if (found == values_.end()) return Fail(Code::kCorrupt, "{}: key {} is missing", name_, key);
  const auto* array = std::get_if<Array>(&found->second);
  if (array == nullptr) {
    AHA_ASSIGN(const std::int64_t one, Count(key));
    return std::vector{one};
  }
  Cursor cursor(array->bytes);
  std::vector<std::int64_t> counts;
  for (std::uint64_t i = 0; i < array->count; ++i) {
    const auto value = ReadScalar(cursor, array->type);
    const auto* number = value ? std::get_if<std::int64_t>(&*value) : nullptr;
    if (number == nullptr)
      return Fail(Code::kCorrupt, "{}: key {}: must be an array of integers", name_, key);
    counts.push_back(*number);
  }
  return counts;
}

}  // namespace aha::policy
