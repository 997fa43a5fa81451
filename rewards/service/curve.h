#pragma once
/// CURVE: encryption and authentication of ZeroMQ connections by public keys (RFC 26/CurveZMQ), and
/// the list of those that may connect (RFC 27/ZAP).
///
/// Key files hold one key a line in Z85 (40 characters); behind a key may stand a blank and a note;
/// lines that begin with "# " and empty lines are skipped. So public files can be concatenated into
/// an allow-list. A secret file must be readable by its owner alone.

#include <atomic>
#include <filesystem>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include <zmq.hpp>

#include "base/result.h"

namespace aha::rewards {

/// A key pair in Z85.
struct CurveKeys {
  std::string public_key;
  std::string secret_key;
};

/// What a service needs to listen beyond this machine.
struct ServerCurve {
  CurveKeys keys;
  std::vector<std::string> allowed;  ///< public keys that may connect
};

/// What a client needs to talk to one.
struct ClientCurve {
  CurveKeys keys;
  std::string server_key;  ///< the service's public key
};

/// Whether this libzmq can do it.
bool HasCurve();

/// A new pair. kInternal without CURVE in libzmq.
Result<CurveKeys> MakeCurveKeys();

/// Writes PREFIX.public (0644) and PREFIX.secret (0600), each whole or not at all, and neither when
/// one of them exists: kBusy then. Keys are never overwritten.
Status WriteCurveKeys(const std::filesystem::path& prefix, const CurveKeys& keys);

/// The pair whose secret half the file holds. kInvalidArgument: no key, several, or a file that
/// others may read.
Result<CurveKeys> ReadSecretKey(const std::filesystem::path& file);
/// The only key of a public file.
Result<std::string> ReadPublicKey(const std::filesystem::path& file);
/// All keys of an allow-list; kInvalidArgument names the line that is none. An empty list is
/// refused: nobody could connect.
Result<std::vector<std::string>> ReadAllowList(const std::filesystem::path& file);

/// Makes a socket the server or the client of CURVE connections; before bind or connect.
void Apply(const ServerCurve& curve, zmq::socket_t* socket);
void Apply(const ClientCurve& curve, zmq::socket_t* socket);

/// Answers libzmq's question who may connect to the CURVE servers of one context, in a thread of
/// its own that the destructor joins. One a context; destroy it after the sockets that it guards.
class Doorkeeper {
 public:
  /// kBusy when the context has one already.
  static Result<std::unique_ptr<Doorkeeper>> Start(zmq::context_t& context,
                                                   std::vector<std::string> allowed);
  ~Doorkeeper();
  Doorkeeper(const Doorkeeper&) = delete;
  Doorkeeper& operator=(const Doorkeeper&) = delete;

 private:
  Doorkeeper(zmq::socket_t socket, std::vector<std::string> allowed);
  void Run();
  void Answer();

  zmq::socket_t socket_;
  std::vector<std::string> allowed_;  // sorted
  std::atomic<bool> stopping_ = false;
  std::thread thread_;
};

}  // namespace aha::rewards
