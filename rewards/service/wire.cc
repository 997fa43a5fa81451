#include "rewards/service/wire.h"

#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/stubs/logging.h>

namespace aha::rewards {
namespace {

using Coded = google::protobuf::io::CodedOutputStream;
constexpr std::size_t kPaddedBytes = 5;  // of a 32-bit varint that is always written this long

constexpr std::uint32_t Tag(std::uint32_t field, std::uint32_t wire_type) {
  return field << 3U | wire_type;
}
constexpr std::uint32_t kVarint = 0;
constexpr std::uint32_t kBytes = 2;
// All fields here have numbers below 16: a tag is one byte.
constexpr std::size_t kTagBytes = 1;

std::size_t FieldBytes(std::size_t size) {
  return kTagBytes + Coded::VarintSize64(size) + size;
}

std::uint8_t* WriteHead(std::uint32_t field, std::size_t size, std::uint8_t* out) {
  out = Coded::WriteVarint32ToArray(Tag(field, kBytes), out);
  return Coded::WriteVarint64ToArray(size, out);
}

std::uint8_t* WriteText(std::uint32_t field, const std::string& text, std::uint8_t* out) {
  return Coded::WriteStringToArray(text, WriteHead(field, text.size(), out));
}

// Needs ByteSizeLong to have been called.
template <class Message>
std::uint8_t* WriteMessage(std::uint32_t field, const Message& message, std::uint8_t* out) {
  out = WriteHead(field, static_cast<std::size_t>(message.GetCachedSize()), out);
  return message.SerializeWithCachedSizesToArray(out);
}

// wire_version, then a body of `size` bytes in field `field`: where the body begins.
std::uint8_t* BeginEnvelope(std::uint32_t field, std::size_t size, std::string* bytes) {
  bytes->resize(kTagBytes + Coded::VarintSize32(kWireVersion) + FieldBytes(size));
  auto* out = reinterpret_cast<std::uint8_t*>(bytes->data());
  out = Coded::WriteVarint32ToArray(Tag(proto::Envelope::kWireVersionFieldNumber, kVarint), out);
  out = Coded::WriteVarint32ToArray(kWireVersion, out);
  return WriteHead(field, size, out);
}

}  // namespace

bool ParseEnvelope(const void* bytes, std::size_t size, proto::Envelope* envelope) {
  if (size > static_cast<std::size_t>(kMostMessageBytes)) return false;
  const google::protobuf::LogSilencer quiet;
  return envelope->ParseFromArray(bytes, static_cast<int>(size));
}

RequestBytes::RequestBytes(const std::string& request_id,
                           std::span<const proto::RewardSpec> rewards,
                           std::span<const proto::ScoreItem> items,
                           std::span<const std::uint32_t> chosen) {
  using Request = proto::ScoreRequest;
  std::size_t size = FieldBytes(request_id.size()) + kTagBytes + kPaddedBytes;
  for (const auto& reward : rewards)
    size += FieldBytes(reward.ByteSizeLong());
  for (const std::uint32_t i : chosen)
    size += FieldBytes(items[i].ByteSizeLong());
  auto* out = BeginEnvelope(proto::Envelope::kScoreRequestFieldNumber, size, &bytes_);
  out = WriteText(Request::kRequestIdFieldNumber, request_id, out);
  for (const auto& reward : rewards)
    out = WriteMessage(Request::kRewardsFieldNumber, reward, out);
  for (const std::uint32_t i : chosen)
    out = WriteMessage(Request::kItemsFieldNumber, items[i], out);
  Coded::WriteVarint32ToArray(Tag(Request::kDeadlineMsFieldNumber, kVarint), out);
  SetDeadline(0);
}

void RequestBytes::SetDeadline(std::uint32_t ms) {
  char* out = bytes_.data() + bytes_.size() - kPaddedBytes;
  for (std::size_t i = 0; i < kPaddedBytes; ++i) {
    const bool last = i + 1 == kPaddedBytes;
    out[i] = static_cast<char>((ms >> (7 * i) & 0x7FU) | (last ? 0U : 0x80U));
  }
}

std::string ReplyBytes(const std::string& request_id,
                       const proto::ScoreRequest& request,
                       std::span<const proto::Outcome> outcomes) {
  const auto rewards = static_cast<std::size_t>(request.rewards_size());
  const auto count = static_cast<std::size_t>(request.items_size());
  std::vector<std::size_t> sizes(count);
  std::size_t size = FieldBytes(request_id.size());
  for (std::size_t i = 0; i < count; ++i) {
    const auto& item = request.items(static_cast<int>(i));
    if (item.has_id()) sizes[i] = FieldBytes(item.id().size());
    for (std::size_t r = 0; r < rewards; ++r)
      sizes[i] += FieldBytes(outcomes[i * rewards + r].ByteSizeLong());
    size += FieldBytes(sizes[i]);
  }
  std::string bytes;
  auto* out = BeginEnvelope(proto::Envelope::kScoreReplyFieldNumber, size, &bytes);
  out = WriteText(proto::ScoreReply::kRequestIdFieldNumber, request_id, out);
  for (std::size_t i = 0; i < count; ++i) {
    const auto& item = request.items(static_cast<int>(i));
    out = WriteHead(proto::ScoreReply::kItemsFieldNumber, sizes[i], out);
    if (item.has_id()) out = WriteText(proto::ItemOutcome::kIdFieldNumber, item.id(), out);
    for (std::size_t r = 0; r < rewards; ++r)
      out = WriteMessage(proto::ItemOutcome::kOutcomesFieldNumber, outcomes[i * rewards + r], out);
  }
  return bytes;
}

std::string Serialize(const proto::Envelope& envelope) {
  return envelope.SerializeAsString();
}

proto::Envelope NewEnvelope() {
  proto::Envelope envelope;
  envelope.set_wire_version(kWireVersion);
  return envelope;
}

}  // namespace aha::rewards
