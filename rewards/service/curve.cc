#include "rewards/service/curve.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <string_view>
#include <utility>

#include <zmq_addon.hpp>

#include "base/log.h"
#include "base/whole_file.h"
#include "rewards/service/socket.h"

namespace aha::rewards {
namespace {

constexpr std::size_t kKeyCharacters = 40;
constexpr std::size_t kMostKeys = 100000;
constexpr const char* kZapEndpoint = "inproc://zeromq.zap.01";

bool IsKey(std::string_view text) {
  constexpr std::string_view kZ85 =
      "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.-:+=^!/*?&<>()[]{}@%$#";
  std::array<std::uint8_t, 32> raw{};
  return text.size() == kKeyCharacters && text.find_first_not_of(kZ85) == std::string_view::npos &&
         zmq_z85_decode(raw.data(), std::string(text).c_str()) != nullptr;
}

Result<std::vector<std::string>> KeysOf(const std::filesystem::path& file) {
  AHA_ASSIGN(const std::string text, ReadFile(file));
  std::vector<std::string> keys;
  std::size_t number = 0;
  for (std::size_t at = 0; at < text.size();) {
    ++number;
    const std::size_t end = std::min(text.find('\n', at), text.size());
    std::string_view line(text.data() + at, end - at);
    at = end + 1;
    if (line.ends_with('\r')) line.remove_suffix(1);
    if (line.find_first_not_of(" \t") == std::string_view::npos || line.starts_with("# ")) continue;
    const std::string_view key = line.substr(0, line.find_first_of(" \t"));
    if (!IsKey(key) || keys.size() >= kMostKeys) {
      return Fail(Code::kInvalidArgument,
                  "{}:{}: is no CURVE key; give one of 40 Z85 characters a line, as `aha keygen` "
                  "writes them",
                  file.string(), number);
    }
    keys.emplace_back(key);
  }
  return keys;
}

Result<std::string> OnlyKeyOf(const std::filesystem::path& file) {
  AHA_ASSIGN(auto keys, KeysOf(file));
  if (keys.size() == 1) return keys.front();
  return Fail(Code::kInvalidArgument, "{}: has {} keys where one is needed", file.string(),
              keys.size());
}

Status CheckPrivate(const std::filesystem::path& file) {
  struct stat info {};
  if (::stat(file.c_str(), &info) != 0) {
    return tl::unexpected<Error>(SystemError(file, "read"));
  }
  if ((info.st_mode & 077U) == 0) return {};
  return Fail(Code::kInvalidArgument,
              "{}: this secret key may be read by others (mode {:o}); run `chmod 600 {}`, or make "
              "a new key, if they could have",
              file.string(), info.st_mode & 0777U, file.string());
}

// Writes aside, syncs, and links to the name, which fails when it is taken: rename would overwrite.
Status WriteNewFile(const std::filesystem::path& file, std::string_view bytes, mode_t mode) {
  const std::filesystem::path aside = file.string() + fmt::format(".{}.aside", ::getpid());
  const int fd = ::open(aside.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, mode);
  if (fd < 0) return tl::unexpected<Error>(SystemError(aside, "write"));
  const bool written =
      ::write(fd, bytes.data(), bytes.size()) == static_cast<ssize_t>(bytes.size()) &&
      ::fchmod(fd, mode) == 0 && ::fsync(fd) == 0;
  Status status;
  if (!written) status = tl::unexpected<Error>(SystemError(aside, "write"));
  ::close(fd);
  if (status && ::link(aside.c_str(), file.c_str()) != 0) {
    status = errno == EEXIST
                 ? Status(Fail(Code::kBusy,
                               "{}: exists, and a key is never overwritten; give another --out",
                               file.string()))
                 : Status(tl::unexpected<Error>(SystemError(file, "write")));
  }
  ::unlink(aside.c_str());
  return status;
}

}  // namespace

bool HasCurve() {
  return zmq_has("curve") == 1;
}

Result<CurveKeys> MakeCurveKeys() {
  std::array<char, kKeyCharacters + 1> open{};
  std::array<char, kKeyCharacters + 1> secret{};
  if (zmq_curve_keypair(open.data(), secret.data()) != 0) {
    return Fail(Code::kInternal, "this ZeroMQ has no CURVE: {}; install a libzmq with libsodium",
                zmq_strerror(zmq_errno()));
  }
  return CurveKeys{open.data(), secret.data()};
}

Status WriteCurveKeys(const std::filesystem::path& prefix, const CurveKeys& keys) {
  const std::filesystem::path open = prefix.string() + ".public";
  const std::filesystem::path secret = prefix.string() + ".secret";
  for (const auto& file : {open, secret}) {
    if (std::error_code error;
        std::filesystem::exists(std::filesystem::symlink_status(file, error)))
      return Fail(Code::kBusy, "{}: exists, and a key is never overwritten; give another --out",
                  file.string());
  }
  AHA_TRY(WriteNewFile(secret, keys.secret_key + "\n", 0600));
  if (Status written = WriteNewFile(open, keys.public_key + "\n", 0644); !written) {
    ::unlink(secret.c_str());
    return written;
  }
  const auto folder = prefix.parent_path();
  return SyncPath(folder.empty() ? std::filesystem::path(".") : folder);
}

Result<CurveKeys> ReadSecretKey(const std::filesystem::path& file) {
  AHA_TRY(CheckPrivate(file));
  CurveKeys keys;
  AHA_ASSIGN(keys.secret_key, OnlyKeyOf(file));
  std::array<char, kKeyCharacters + 1> open{};
  if (zmq_curve_public(open.data(), keys.secret_key.c_str()) != 0) {
    return Fail(Code::kInternal, "{}: its public half cannot be computed: {}", file.string(),
                zmq_strerror(zmq_errno()));
  }
  keys.public_key = open.data();
  return keys;
}

Result<std::string> ReadPublicKey(const std::filesystem::path& file) {
  return OnlyKeyOf(file);
}

Result<std::vector<std::string>> ReadAllowList(const std::filesystem::path& file) {
  AHA_ASSIGN(auto keys, KeysOf(file));
  if (!keys.empty()) return keys;
  return Fail(Code::kInvalidArgument,
              "{}: holds no key, so nobody could connect; put the clients' public keys in it, one "
              "a line",
              file.string());
}

void Apply(const ServerCurve& curve, zmq::socket_t* socket) {
  socket->set(zmq::sockopt::zap_domain, "aha");
#ifdef ZMQ_ZAP_ENFORCE_DOMAIN
  // Without a doorkeeper nobody gets in, rather than everybody.
  const int enforce = 1;
  if (zmq_setsockopt(socket->handle(), ZMQ_ZAP_ENFORCE_DOMAIN, &enforce, sizeof(enforce)) != 0) {
    throw zmq::error_t();
  }
#endif
  socket->set(zmq::sockopt::curve_server, true);
  socket->set(zmq::sockopt::curve_secretkey, curve.keys.secret_key);
}

void Apply(const ClientCurve& curve, zmq::socket_t* socket) {
  socket->set(zmq::sockopt::curve_serverkey, curve.server_key);
  socket->set(zmq::sockopt::curve_publickey, curve.keys.public_key);
  socket->set(zmq::sockopt::curve_secretkey, curve.keys.secret_key);
}

Result<std::unique_ptr<Doorkeeper>> Doorkeeper::Start(zmq::context_t& context,
                                                      std::vector<std::string> allowed) {
  std::sort(allowed.begin(), allowed.end());
  zmq::socket_t socket(context, zmq::socket_type::router);
  socket.set(zmq::sockopt::linger, 0);
  try {
    socket.bind(kZapEndpoint);
  } catch (const zmq::error_t& e) {
    return Fail(Code::kBusy, "the ZeroMQ context has somebody who decides who may connect: {}",
                e.what());
  }
  const SignalsBlocked blocked;
  return std::unique_ptr<Doorkeeper>(new Doorkeeper(std::move(socket), std::move(allowed)));
}

Doorkeeper::Doorkeeper(zmq::socket_t socket, std::vector<std::string> allowed)
    : socket_(std::move(socket)), allowed_(std::move(allowed)), thread_([this] { Run(); }) {}

Doorkeeper::~Doorkeeper() {
  stopping_ = true;
  thread_.join();
}

void Doorkeeper::Run() {
  while (!stopping_) {
    const auto ran = Guard("who may connect", [this] {
      std::array<zmq::pollitem_t, 1> items = {zmq::pollitem_t{socket_.handle(), 0, ZMQ_POLLIN, 0}};
      Poll(items, std::chrono::milliseconds(50));
      if ((items[0].revents & ZMQ_POLLIN) != 0) Answer();
    });
    if (!ran) spdlog::error("{}", ran.error().message);
  }
  socket_.close();
}

// A question is: identity, empty, "1.0", request id, domain, address, identity, mechanism, then the
// mechanism's credentials: for CURVE the client's public key as 32 bytes.
void Doorkeeper::Answer() {
  std::vector<zmq::message_t> frames;
  if (!zmq::recv_multipart(socket_, std::back_inserter(frames), zmq::recv_flags::dontwait)) return;
  if (frames.size() < 8) return;
  const std::string address = frames[5].to_string();
  std::string key;
  if (frames.size() == 9 && frames[7].to_string_view() == "CURVE" && frames[8].size() == 32) {
    std::array<char, kKeyCharacters + 1> text{};
    zmq_z85_encode(text.data(), frames[8].data<std::uint8_t>(), 32);
    key = text.data();
  }
  const bool welcome = !key.empty() && std::binary_search(allowed_.begin(), allowed_.end(), key);
  if (!welcome) {
    spdlog::warn("reward service: refused a connection from {}: {}", address,
                 key.empty() ? std::string("no CURVE key")
                             : fmt::format("its public key {} is not in the allow-list", key));
  }
  std::vector<zmq::message_t> answer;
  answer.emplace_back(std::move(frames[0]));
  answer.emplace_back();
  answer.emplace_back(std::string_view("1.0"));
  answer.emplace_back(std::move(frames[3]));
  answer.emplace_back(std::string_view(welcome ? "200" : "400"));
  answer.emplace_back(std::string_view(welcome ? "OK" : "not in the allow-list"));
  answer.emplace_back(std::string_view(welcome ? key : std::string()));
  answer.emplace_back();
  zmq::send_multipart(socket_, answer, zmq::send_flags::dontwait);
}

}  // namespace aha::rewards
