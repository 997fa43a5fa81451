#include "rollout/wire.h"

#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstring>
#include <system_error>

#include <google/protobuf/stubs/logging.h>

namespace aha::rollout {
namespace {

Result<std::string> CheckTcp(std::string_view endpoint, std::string_view address) {
  const auto colon = address.rfind(':');
  const std::string_view host = address.substr(0, colon);
  const std::string_view port =
      colon == std::string_view::npos ? std::string_view() : address.substr(colon + 1);
  const bool number = !port.empty() && port.size() <= 5 &&
                      port.find_first_not_of("0123456789") == std::string_view::npos &&
                      std::stoi(std::string(port)) <= 65535;
  if (port != "*" && !number) {
    return Fail(Code::kInvalidArgument,
                "{}: a tcp endpoint is tcp://HOST:PORT, PORT a number up to 65535", endpoint);
  }
  if (host == "localhost") return fmt::format("tcp://127.0.0.1:{}", port);
  if (host == "127.0.0.1" || host == "[::1]") return std::string(endpoint);
  return Fail(Code::kInvalidArgument,
              "{}: rollout workers beyond this machine's loopback are refused: messages would "
              "travel unencrypted and unauthenticated, and CURVE keys are not supported yet; use "
              "ipc://PATH or tcp://127.0.0.1:PORT",
              endpoint);
}

}  // namespace

Result<std::string> CheckWorkerEndpoint(std::string_view endpoint) {
  const bool printable = endpoint.size() <= 256 &&
                         std::all_of(endpoint.begin(), endpoint.end(),
                                     [](char c) { return static_cast<unsigned char>(c) >= 0x20; });
  if (!printable) {
    return Fail(Code::kInvalidArgument,
                "a rollout endpoint has at most 256 bytes and no control characters");
  }
  if (endpoint.starts_with("tcp://")) return CheckTcp(endpoint, endpoint.substr(6));
  for (const std::string_view scheme : {"inproc://", "ipc://"}) {
    if (endpoint.starts_with(scheme) && endpoint.size() > scheme.size()) {
      return std::string(endpoint);
    }
  }
  return Fail(Code::kInvalidArgument,
              "'{}' is no rollout endpoint; give ipc://PATH, tcp://127.0.0.1:PORT or inproc://NAME",
              endpoint);
}

Status CheckPathIsFree(const std::string& endpoint) {
  constexpr std::string_view kScheme = "ipc://";
  if (!endpoint.starts_with(kScheme)) return {};
  const std::string path = endpoint.substr(kScheme.size());
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path == "*" || path.size() >= sizeof(address.sun_path)) return {};  // bind() judges those
  std::memcpy(address.sun_path, path.data(), path.size());
  if (path.front() == '@') address.sun_path[0] = '\0';  // Linux's abstract names
  const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) return {};
  const auto size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + path.size());
  const bool taken = ::connect(fd, reinterpret_cast<const sockaddr*>(&address), size) == 0;
  ::close(fd);
  if (!taken) return {};
  return Fail(Code::kBusy, "{}: another process listens there; stop it or choose another path",
              endpoint);
}

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
