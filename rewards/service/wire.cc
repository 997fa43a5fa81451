#include "rewards/service/wire.h"

#include <google/protobuf/stubs/logging.h>

namespace aha::rewards {

bool ParseEnvelope(const void* bytes, std::size_t size, proto::Envelope* envelope) {
  if (size > static_cast<std::size_t>(kMostMessageBytes)) return false;
  const google::protobuf::LogSilencer quiet;
  return envelope->ParseFromArray(bytes, static_cast<int>(size));
}

}  // namespace aha::rewards
