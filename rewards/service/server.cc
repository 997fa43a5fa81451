#include "rewards/service/server.h"

#include <thread>
#include <utility>

#include "base/deadline.h"
#include "base/endpoint.h"
#include "rewards/service/loop.h"
#include "rewards/service/socket.h"
#include "rewards/service/wire.h"

namespace aha::rewards {
namespace {

Status BindOnce(zmq::socket_t* socket, const std::string& endpoint) {
  AHA_TRY(CheckIpcIsFree(endpoint));
  try {
    socket->set(zmq::sockopt::ipv6, endpoint.starts_with("tcp://["));
    socket->bind(endpoint);
  } catch (const zmq::error_t& e) {
    return Fail(e.num() == EADDRINUSE ? Code::kBusy : Code::kInvalidArgument,
                "{}: cannot be bound: {}", endpoint, e.what());
  }
  return {};
}

// ZeroMQ closes listeners in the background: an endpoint that a service has just left may still be
// taken for a moment.
Result<std::string> Bind(zmq::socket_t* socket, const std::string& wanted, bool encrypted) {
  AHA_ASSIGN(const std::string endpoint,
             CheckEndpoint(wanted, "rewards", encrypted ? Reach::kEncrypted : Reach::kThisMachine));
  const Deadline freed = Deadline::After(std::chrono::milliseconds(300));
  Status bound = BindOnce(socket, endpoint);
  while (!bound && bound.error().code == Code::kBusy && !freed.passed()) {
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
    bound = BindOnce(socket, endpoint);
  }
  AHA_TRY(bound);
  return socket->get(zmq::sockopt::last_endpoint);
}

Status CheckOptions(const ServiceOptions& options) {
  if (options.endpoints.empty()) {
    return Fail(Code::kInvalidArgument, "reward service: no endpoint to bind was given");
  }
  if (options.threads < 1 || options.threads > 4096 || options.process_slots < 0 ||
      options.process_slots > 4096) {
    return Fail(Code::kInvalidArgument,
                "reward service: {} threads and {} process slots; give 1 to 4096", options.threads,
                options.process_slots);
  }
  if (options.curve && !HasCurve()) {
    return Fail(Code::kInvalidArgument,
                "this ZeroMQ has no CURVE; install a libzmq with libsodium");
  }
  return {};
}

}  // namespace

Result<std::unique_ptr<Service>> Service::Start(zmq::context_t& context,
                                                const Registry& registry,
                                                ServiceOptions options) {
  AHA_TRY(CheckOptions(options));
  if (options.process_slots == 0) options.process_slots = options.threads;
  return Guard("reward service", [&]() -> Result<std::unique_ptr<Service>> {
    Loop::Parts parts;
    if (options.curve) {
      parts.own_context = std::make_unique<zmq::context_t>();
      AHA_ASSIGN(parts.doorkeeper, Doorkeeper::Start(*parts.own_context, options.curve->allowed));
    }
    zmq::context_t& used = options.curve ? *parts.own_context : context;
    parts.socket = zmq::socket_t(used, zmq::socket_type::router);
    parts.socket.set(zmq::sockopt::linger, 200);
    parts.socket.set(zmq::sockopt::maxmsgsize, kMostMessageBytes);
    parts.socket.set(zmq::sockopt::sndhwm, 100000);
    // What a peer sends beyond this stays with it until the loop has read the rest.
    parts.socket.set(zmq::sockopt::rcvhwm, 256);
    if (options.curve) {
      Apply(*options.curve, &parts.socket);
      parts.monitor.emplace(used, parts.socket);
    }
    for (auto& endpoint : options.endpoints) {
      AHA_ASSIGN(endpoint, Bind(&parts.socket, endpoint, options.curve.has_value()));
    }
    const SignalsBlocked blocked;
    auto statistics = std::make_shared<Statistics>(registry);
    AHA_ASSIGN(
        parts.pool,
        ScoringPool::Start(registry, {.pure = options.threads, .processes = options.process_slots},
                           statistics));
    auto loop = std::make_unique<Loop>(std::move(parts), registry, std::move(statistics),
                                       std::move(options));
    loop->Start();
    return std::unique_ptr<Service>(new Service(std::move(loop)));
  });
}

Service::Service(std::unique_ptr<Loop> loop) : loop_(std::move(loop)) {}
Service::~Service() {
  Stop();
}
const std::vector<std::string>& Service::endpoints() const {
  return loop_->endpoints();
}
ServiceCounters Service::counters() const {
  return loop_->counters();
}
bool Service::Drain(std::chrono::milliseconds patience) {
  return loop_->Drain(patience);
}
void Service::Stop() {
  loop_->Stop();
}

}  // namespace aha::rewards
