#include "pipelines/run/delimited.h"

#include <limits>

#include <google/protobuf/io/coded_stream.h>

namespace aha::pipelines {
namespace {

namespace fs = std::filesystem;
namespace pb = google::protobuf;

constexpr std::uint64_t kLargest = std::numeric_limits<std::int32_t>::max();
constexpr int kLongestLength = 5;  // bytes of a varint up to 2^31

}  // namespace

Result<std::string> Delimited(const pb::MessageLite& message) {
  const std::size_t size = message.ByteSizeLong();
  if (size > kLargest) {
    return Fail(Code::kInvalidArgument, "a {} of {} bytes is too large for one record; at most {}",
                message.GetTypeName(), size, kLargest);
  }
  std::string bytes(
      pb::io::CodedOutputStream::VarintSize32(static_cast<std::uint32_t>(size)) + size, '\0');
  auto* at = reinterpret_cast<std::uint8_t*>(bytes.data());
  at = pb::io::CodedOutputStream::WriteVarint32ToArray(static_cast<std::uint32_t>(size), at);
  message.SerializeWithCachedSizesToArray(at);
  return bytes;
}

DelimitedReader::DelimitedReader(fs::path path, std::ifstream stream, std::uint64_t size)
    : path_(std::move(path)), stream_(std::move(stream)), size_(size) {}

Result<DelimitedReader> DelimitedReader::Open(const fs::path& path) {
  std::error_code error;
  const std::uint64_t size = fs::file_size(path, error);
  if (error) return Fail(Code::kNotFound, "{}: cannot be read: {}", path.string(), error.message());
  std::ifstream stream(path, std::ios::binary);
  if (!stream) return Fail(Code::kNotFound, "{}: cannot be opened for reading", path.string());
  return DelimitedReader(path, std::move(stream), size);
}

Result<std::uint64_t> DelimitedReader::ReadLength(std::uint64_t& at) {
  std::uint64_t length = 0;
  for (int i = 0; i < kLongestLength; ++i) {
    const int byte = stream_.get();
    if (byte < 0) {
      cut_off_ = true;
      return Fail(Code::kCorrupt,
                  "{}: cut off at byte {} inside the length of the record that begins at byte {}",
                  path_.string(), at, offset_);
    }
    ++at;
    length |= static_cast<std::uint64_t>(byte & 0x7F) << (7 * i);
    if ((byte & 0x80) == 0 && length <= kLargest) return length;
  }
  return Fail(Code::kCorrupt,
              "{}: no record begins at byte {}: its length is no varint below 2 GiB",
              path_.string(), offset_);
}

Result<bool> DelimitedReader::Next(pb::MessageLite& message) {
  if (offset_ == size_) return false;
  std::uint64_t at = offset_;
  stream_.clear();
  stream_.seekg(static_cast<std::streamoff>(offset_));
  AHA_ASSIGN(const std::uint64_t length, ReadLength(at));
  if (length > size_ - at) {
    cut_off_ = true;
    return Fail(Code::kCorrupt,
                "{}: cut off: the record that begins at byte {} has {} bytes, but only {} follow",
                path_.string(), offset_, length, size_ - at);
  }
  buffer_.resize(length);
  if (length > 0 && !stream_.read(buffer_.data(), static_cast<std::streamsize>(length))) {
    return Fail(Code::kCorrupt, "{}: read error in the record that begins at byte {}",
                path_.string(), offset_);
  }
  if (!message.ParseFromString(buffer_)) {
    return Fail(Code::kCorrupt, "{}: the record that begins at byte {} is no {}", path_.string(),
                offset_, message.GetTypeName());
  }
  offset_ = at + length;
  return true;
}

}  // namespace aha::pipelines
