#include <array>
#include <unordered_set>

#include <nlohmann/json.hpp>

#include "policy/checkpoint/safetensors.h"

namespace aha::policy::internal {
namespace {

using Json = nlohmann::json;

enum Field : std::uint8_t { kDtype = 1, kShape = 2, kOffsets = 4, kAllFields = 7 };

// Follows the parser's events through the only structure that a header may have:
//   { "__metadata__": {text: text}, NAME: {"dtype": text, "shape": [n...], "data_offsets": [n, n]}
//   }
// Anything else ends the parse at once, so no input makes it hold more than its own tensors.
class HeaderReader {
 public:
  Header header;
  std::string error;

  bool null() { return Unexpected("null"); }
  bool boolean(bool) { return Unexpected("true or false"); }
  bool number_float(double, const std::string&) {
    return Unexpected("a number that is no integer");
  }
  bool binary(Json::binary_t&) { return Unexpected("binary data"); }
  bool number_integer(std::int64_t) { return Unexpected("a negative number"); }

  bool number_unsigned(std::uint64_t number) {
    if (state_ == State::kShape) {
      if (number > INT64_MAX) return Refuse(fmt::format("dimension {} is too large", number));
      header.tensors.back().shape.push_back(static_cast<std::int64_t>(number));
      return true;
    }
    if (state_ == State::kOffsets) {
      if (offsets_ == 2) return Refuse("must be two numbers");
      (offsets_++ == 0 ? header.tensors.back().begin : header.tensors.back().end) = number;
      return true;
    }
    return Unexpected("a number");
  }

  bool string(std::string& text) {
    if (state_ == State::kMetadata) {
      header.metadata[key_] = text;
      return true;
    }
    if (state_ == State::kTensor && field_ == kDtype) {
      const auto dtype = DtypeNamed(text);
      if (!dtype) return Refuse(fmt::format("\"{}\" is not a known type", text));
      header.tensors.back().dtype = *dtype;
      return true;
    }
    return Unexpected("a string");
  }

  bool start_object(std::size_t) {
    if (state_ == State::kStart) {
      state_ = State::kTop;
      return true;
    }
    if (state_ != State::kTop) return Unexpected("an object");
    if (key_ == "__metadata__") {
      state_ = State::kMetadata;
      return true;
    }
    state_ = State::kTensor;
    header.tensors.emplace_back().name = key_;
    fields_ = 0;
    field_ = 0;
    return true;
  }

  bool key(std::string& name) {
    if (state_ == State::kTensor) return TensorKey(name);
    if (state_ == State::kMetadata) {
      key_ = name;
      if (header.metadata.contains(name))
        return Fail("__metadata__: key \"" + name + "\" appears twice");
      return true;
    }
    key_ = name;
    if (!names_.insert(name).second) return Fail("tensor \"" + name + "\" appears twice");
    return true;
  }

  bool end_object() {
    if (state_ == State::kTensor && !EndTensor()) return false;
    state_ = state_ == State::kTop ? State::kStart : State::kTop;
    return true;
  }

  bool start_array(std::size_t) {
    if (state_ != State::kTensor || (field_ != kShape && field_ != kOffsets))
      return Unexpected("an array");
    state_ = field_ == kShape ? State::kShape : State::kOffsets;
    offsets_ = 0;
    return true;
  }

  bool end_array() {
    if (state_ == State::kOffsets && offsets_ != 2) return Refuse("must be two numbers");
    state_ = State::kTensor;
    return true;
  }

  bool parse_error(std::size_t, const std::string&, const Json::exception& exception) {
    return Fail(fmt::format("not valid JSON: {:.200}", exception.what()));
  }

 private:
  enum class State : std::uint8_t { kStart, kTop, kMetadata, kTensor, kShape, kOffsets };

  bool Fail(std::string what) {
    error = std::move(what);
    return false;
  }
  // Where the parser stands, for messages.
  [[nodiscard]] std::string Where() const {
    if (state_ == State::kStart) return "the header";
    if (state_ == State::kTop) return fmt::format("\"{}\"", key_);
    if (state_ == State::kMetadata) return fmt::format("__metadata__, \"{}\"", key_);
    const std::string_view field = field_ == kDtype     ? ", dtype"
                                   : field_ == kShape   ? ", shape"
                                   : field_ == kOffsets ? ", data_offsets"
                                                        : "";
    return fmt::format("tensor \"{}\"{}", header.tensors.back().name, field);
  }
  bool Refuse(std::string_view what) { return Fail(fmt::format("{}: {}", Where(), what)); }
  bool Unexpected(std::string_view what) {
    return Refuse(fmt::format("{} does not belong here", what));
  }

  bool TensorKey(const std::string& name) {
    field_ = name == "dtype"          ? kDtype
             : name == "shape"        ? kShape
             : name == "data_offsets" ? kOffsets
                                      : 0;
    if (field_ == 0) return Refuse(fmt::format("unknown field \"{}\"", name));
    if ((fields_ & field_) != 0) return Refuse("appears twice");
    fields_ |= field_;
    return true;
  }

  bool EndTensor() {
    const TensorEntry& tensor = header.tensors.back();
    for (const auto& [field, name] : kFieldNames) {
      if ((fields_ & field) == 0) {
        field_ = 0;
        return Refuse(fmt::format("{} is missing", name));
      }
    }
    field_ = kOffsets;
    if (tensor.begin > tensor.end) {
      return Refuse(fmt::format("[{}, {}] ends before it begins", tensor.begin, tensor.end));
    }
    const auto bytes = ByteCount(tensor.shape, tensor.dtype);
    if (!bytes || *bytes != tensor.end - tensor.begin) {
      return Refuse(fmt::format("[{}, {}] holds {} bytes, and shape and dtype ask for {}",
                                tensor.begin, tensor.end, tensor.end - tensor.begin,
                                bytes ? std::to_string(*bytes) : "more than 64 bits count"));
    }
    return true;
  }

  static constexpr std::array<std::pair<Field, std::string_view>, 3> kFieldNames{
      {{kDtype, "dtype"}, {kShape, "shape"}, {kOffsets, "data_offsets"}}};

  State state_ = State::kStart;
  std::string key_;  // of the top object or of the metadata
  std::unordered_set<std::string> names_;
  std::uint8_t fields_ = 0, field_ = 0;  // of the tensor: seen, and the one being read
  int offsets_ = 0;
};

}  // namespace

std::optional<std::uint64_t> ByteCount(std::span<const std::int64_t> shape,
                                       SafetensorsDtype dtype) {
  std::uint64_t bytes = DtypeSize(dtype);
  for (const std::int64_t dimension : shape) {
    if (dimension < 0) return std::nullopt;
    if (__builtin_mul_overflow(bytes, static_cast<std::uint64_t>(dimension), &bytes))
      return std::nullopt;
  }
  return bytes;
}

Result<Header> ParseSafetensorsHeader(std::string_view json) {
  if (!json.starts_with('{')) return Fail(Code::kCorrupt, "the header does not start with {{");
  HeaderReader reader;
  if (!Json::sax_parse(json.begin(), json.end(), &reader)) {
    return Fail(Code::kCorrupt, "{}", reader.error);
  }
  return std::move(reader.header);
}

}  // namespace aha::policy::internal
