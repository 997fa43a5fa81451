#include "rewards/service/endpoint.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>

#include <google/protobuf/stubs/logging.h>

#include "rewards/text.h"

namespace aha::rewards {
namespace {

bool IsLoopback(const std::string& host) {
  in_addr v4{};
  if (inet_pton(AF_INET, host.c_str(), &v4) == 1) return (ntohl(v4.s_addr) >> 24) == 127;
  in6_addr v6{};
  if (host.size() < 2 || host.front() != '[' || host.back() != ']') return false;
  return inet_pton(AF_INET6, host.substr(1, host.size() - 2).c_str(), &v6) == 1 &&
         IN6_IS_ADDR_LOOPBACK(&v6);
}

Result<std::string> CheckTcp(std::string_view endpoint, std::string_view address) {
  const auto colon = address.rfind(':');
  if (colon == std::string_view::npos) {
    return Fail(Code::kInvalidArgument, "{}: a tcp endpoint is tcp://HOST:PORT", endpoint);
  }
  std::string host(address.substr(0, colon));
  const std::string_view port = address.substr(colon + 1);
  if (host == "localhost") host = "127.0.0.1";
  if (!IsLoopback(host)) {
    return Fail(Code::kInvalidArgument,
                "{}: rewards beyond this machine's loopback are refused: they would travel "
                "unencrypted and unauthenticated, and CURVE keys are not supported yet; use "
                "tcp://127.0.0.1:PORT or ipc://PATH, through an SSH tunnel if need be",
                endpoint);
  }
  const bool digits =
      !port.empty() && port.size() <= 5 &&
      std::all_of(port.begin(), port.end(), [](char c) { return c >= '0' && c <= '9'; });
  if (port != "*" && (!digits || std::stoi(std::string(port)) > 65535)) {
    return Fail(Code::kInvalidArgument, "{}: the port must be a number up to 65535, or *",
                endpoint);
  }
  return fmt::format("tcp://{}:{}", host, port);
}

}  // namespace

Result<std::string> CheckEndpoint(std::string_view endpoint) {
  const std::string shown = ToValidUtf8(endpoint.substr(0, 256));
  if (endpoint.find('\0') != std::string_view::npos) {
    return Fail(Code::kInvalidArgument, "{}: an endpoint holds no NUL", shown);
  }
  if (endpoint.starts_with("tcp://")) return CheckTcp(shown, endpoint.substr(6));
  for (const std::string_view scheme : {"inproc://", "ipc://"}) {
    if (endpoint.starts_with(scheme) && endpoint.size() > scheme.size()) {
      return std::string(endpoint);
    }
  }
  return Fail(Code::kInvalidArgument,
              "'{}' is no endpoint; give tcp://127.0.0.1:PORT, ipc://PATH or inproc://NAME", shown);
}

Status CheckIpcIsFree(const std::string& endpoint) {
  constexpr std::string_view kScheme = "ipc://";
  if (!endpoint.starts_with(kScheme)) return {};
  const std::string path = endpoint.substr(kScheme.size());
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path == "*" || path.size() >= sizeof(address.sun_path)) return {};
  std::memcpy(address.sun_path, path.data(), path.size());
  if (path.front() == '@') address.sun_path[0] = '\0';  // Linux's abstract names
  const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) return {};
  const auto size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + path.size());
  const bool taken = connect(fd, reinterpret_cast<const sockaddr*>(&address), size) == 0;
  close(fd);
  if (!taken) return {};
  return Fail(Code::kBusy, "{}: another process listens there; stop it or bind another path",
              endpoint);
}

bool ParseEnvelope(const void* bytes, std::size_t size, proto::Envelope* envelope) {
  if (size > static_cast<std::size_t>(kMostMessageBytes)) return false;
  const google::protobuf::LogSilencer quiet;
  return envelope->ParseFromArray(bytes, static_cast<int>(size));
}

}  // namespace aha::rewards
