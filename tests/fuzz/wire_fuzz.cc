// Any bytes as a message to a reward service, as a reply to a client, and as a completion: the
// service answers each message with a message, and the text rules keep their promises.

#include <chrono>
#include <memory>
#include <string>
#include <string_view>

#include <zmq.hpp>

#include "rewards/registry.h"
#include "rewards/service/call.h"
#include "rewards/service/server.h"
#include "rewards/service/wire.h"
#include "rewards/text.h"
#include "rewards/verifiers/format.h"
#include "rewards/verifiers/language.h"
#include "rewards/verifiers/markup.h"
#include "rewards/verifiers/math/extract.h"
#include "rewards/verifiers/repetition.h"
#include "tests/fuzz/fuzz_target.h"

namespace {

using namespace aha::rewards;

// One service for all inputs. A message may ask for a long deadline; nobody waits so long here.
class Peer {
 public:
  Peer() {
    const Registry all = Registry::BuiltIns();
    Registry pure;
    for (const char* name :
         {"format", "language", "exact", "repetition", "overlength", "instructions"}) {
      const auto factory = [all, name](const Config&) { return all.Make(name, ""); };
      aha::fuzz::Demand(
          pure.Add({.name = name, .doc = {}, .keys = {}, .file = {}, .sha256 = {}}, factory)
              .has_value());
    }
    ServiceOptions options;
    options.endpoints = {"inproc://fuzz"};
    options.longest_deadline = std::chrono::milliseconds(500);
    options.default_deadline = options.longest_deadline;
    auto service = Service::Start(context_, pure, options);
    aha::fuzz::Demand(service.has_value());
    service_ = *std::move(service);
    socket_ = zmq::socket_t(context_, zmq::socket_type::dealer);
    socket_.set(zmq::sockopt::rcvtimeo, 8000);
    socket_.set(zmq::sockopt::linger, 0);
    socket_.connect("inproc://fuzz");
  }

  void Ask(std::string_view bytes) {
    socket_.send(zmq::buffer(bytes), zmq::send_flags::none);
    zmq::message_t answer;
    aha::fuzz::Demand(socket_.recv(answer).has_value());
    aha::proto::Envelope envelope;
    aha::fuzz::Demand(ParseEnvelope(answer.data(), answer.size(), &envelope));
    aha::fuzz::Demand(envelope.wire_version() == kWireVersion);
    for (const auto& item : envelope.score_reply().items()) {
      for (const auto& outcome : item.outcomes()) {
        aha::fuzz::Demand(outcome.what_case() != aha::proto::Outcome::WHAT_NOT_SET);
      }
    }
  }

 private:
  zmq::context_t context_;
  std::unique_ptr<Service> service_;
  zmq::socket_t socket_;
};

// The client's way with a reply that a service in another language may have got wrong.
void TakeReply(std::string_view bytes) {
  aha::proto::Envelope envelope;
  if (!ParseEnvelope(bytes.data(), bytes.size(), &envelope) || !envelope.has_score_reply()) return;
  Batch batch;
  Call call(aha::Deadline::After(std::chrono::seconds(1)));
  call.rewards = 2;
  call.ids = {"7/0"};
  call.sizes = {8};
  call.outcomes.resize(1);
  batch.items = {0};
  if (!call.Fits(batch, envelope.score_reply())) return;
  call.Take(batch, envelope.mutable_score_reply());
  aha::fuzz::Demand(call.outcomes[0].outcomes_size() == 2);
}

void Judge(std::string_view text) {
  FormatFault(text);
  const std::u32string points = ToNfkc(text);
  aha::fuzz::Demand(Prose(points).size() <= points.size());
  for (const char* language : {"en", "zh", "ja", "fr"}) {
    const WordCount count = CountWords(text, language);
    aha::fuzz::Demand(count.target <= count.all);
  }
  const NGrams grams = CountNGrams(text, 3);
  aha::fuzz::Demand(grams.distinct <= grams.all);
  math::ExtractMarked(text);
}

}  // namespace

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static Peer peer;
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  peer.Ask(bytes);
  TakeReply(bytes);
  Judge(bytes);
  return 0;
}
