#include "rollout/wire.h"

#include <sys/eventfd.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>

#include <google/protobuf/stubs/logging.h>

namespace aha::rollout {

bool ParseWorkerEnvelope(const zmq::message_t& message, proto::WorkerEnvelope* envelope) {
  if (message.size() > static_cast<std::size_t>(kMostWorkerMessageBytes)) return false;
  const google::protobuf::LogSilencer quiet;  // it would log every text that is not UTF-8
  return envelope->ParseFromArray(message.data(), static_cast<int>(message.size()));
}

WakeUp::WakeUp() : fd_(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)) {
  if (fd_ < 0) throw std::system_error(errno, std::generic_category(), "eventfd");
}
WakeUp::~WakeUp() {
  ::close(fd_);
}
void WakeUp::Ring() const {
  ::eventfd_write(fd_, 1);
}
void WakeUp::Clear() const {
  eventfd_t ignored = 0;
  ::eventfd_read(fd_, &ignored);
}

}  // namespace aha::rollout
