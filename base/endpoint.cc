#include "base/endpoint.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cstddef>
#include <cstring>

namespace aha {
namespace {

constexpr std::size_t kMostBytes = 256;

bool IsLoopback(const std::string& host) {
  in_addr v4{};
  if (inet_pton(AF_INET, host.c_str(), &v4) == 1) return (ntohl(v4.s_addr) >> 24) == 127;
  in6_addr v6{};
  if (host.size() < 2 || host.front() != '[' || host.back() != ']') return false;
  return inet_pton(AF_INET6, host.substr(1, host.size() - 2).c_str(), &v6) == 1 &&
         IN6_IS_ADDR_LOOPBACK(&v6);
}

// A name, an address or an interface: what stands there must not smuggle in another part of an
// endpoint.
bool IsHost(const std::string& host) {
  if (host == "*") return true;
  const bool bracketed = host.size() > 2 && host.front() == '[' && host.back() == ']';
  const std::string inner = bracketed ? host.substr(1, host.size() - 2) : host;
  return !inner.empty() && std::all_of(inner.begin(), inner.end(), [&](char c) {
    return (c >= '0' && c <= '9') || ((c | 32) >= 'a' && (c | 32) <= 'z') || c == '.' || c == '-' ||
           c == '_' || (bracketed && (c == ':' || c == '%'));
  });
}

Result<std::string> CheckTcp(std::string_view endpoint, std::string_view what, Reach reach) {
  const std::string_view address = endpoint.substr(std::string_view("tcp://").size());
  const auto colon = address.rfind(':');
  if (colon == std::string_view::npos) {
    return Fail(Code::kInvalidArgument, "{}: a tcp endpoint is tcp://HOST:PORT", endpoint);
  }
  std::string host(address.substr(0, colon));
  const std::string_view port = address.substr(colon + 1);
  if (host == "localhost") host = "127.0.0.1";
  if (reach == Reach::kEncrypted && !IsHost(host)) {
    return Fail(Code::kInvalidArgument, "{}: '{}' is no host name, address or interface", endpoint,
                host);
  }
  if (reach == Reach::kThisMachine && !IsLoopback(host)) {
    return Fail(Code::kInvalidArgument,
                "{}: {} beyond this machine's loopback are refused without CURVE keys: messages "
                "would travel "
                "unencrypted and unauthenticated; make keys with `aha keygen`, or use "
                "tcp://127.0.0.1:PORT or "
                "ipc://PATH",
                endpoint, what);
  }
  const bool digits = !port.empty() && port.size() <= 5 &&
                      port.find_first_not_of("0123456789") == std::string_view::npos;
  if (port != "*" && (!digits || std::stoi(std::string(port)) > 65535)) {
    return Fail(Code::kInvalidArgument, "{}: the port must be a number up to 65535, or *",
                endpoint);
  }
  return fmt::format("tcp://{}:{}", host, port);
}

}  // namespace

Result<std::string> CheckEndpoint(std::string_view endpoint, std::string_view what, Reach reach) {
  const bool printable = endpoint.size() <= kMostBytes &&
                         std::all_of(endpoint.begin(), endpoint.end(),
                                     [](char c) { return static_cast<unsigned char>(c) >= 0x20; });
  if (!printable) {
    return Fail(Code::kInvalidArgument,
                "an endpoint has at most {} bytes and no control characters", kMostBytes);
  }
  if (endpoint.starts_with("tcp://")) return CheckTcp(endpoint, what, reach);
  if (reach == Reach::kEncrypted && endpoint.starts_with("inproc://")) {
    return Fail(
        Code::kInvalidArgument,
        "{}: CURVE keys cannot be used inside one process; give a tcp:// or ipc:// endpoint",
        endpoint);
  }
  for (const std::string_view scheme : {"inproc://", "ipc://"}) {
    if (endpoint.starts_with(scheme) && endpoint.size() > scheme.size())
      return std::string(endpoint);
  }
  return Fail(Code::kInvalidArgument,
              "'{}' is no endpoint; give ipc://PATH, tcp://127.0.0.1:PORT or inproc://NAME",
              endpoint);
}

Status CheckIpcIsFree(const std::string& endpoint) {
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

}  // namespace aha
