#include <unistd.h>

#include <atomic>
#include <future>
#include <stdexcept>
#include <string>
#include <thread>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <zmq_addon.hpp>

#include "base/keyed_random.h"
#include "proto/rewards.pb.h"
#include "rewards/service/server.h"
#include "tests/rewards/service_fixture.h"

namespace aha::rewards {
namespace {

using std::chrono::milliseconds;
using testing::AllOf;
using testing::HasSubstr;

// A bare DEALER (or REQ), to say what the client never would.
class Raw {
 public:
  Raw(zmq::context_t& context,
      const std::string& endpoint,
      zmq::socket_type type = zmq::socket_type::dealer)
      : socket_(context, type) {
    socket_.set(zmq::sockopt::linger, 0);
    socket_.set(zmq::sockopt::rcvtimeo, 5000);
    socket_.connect(endpoint);
  }
  void Send(const std::string& bytes) { socket_.send(zmq::buffer(bytes), zmq::send_flags::none); }
  void Send(const proto::Envelope& envelope) { Send(envelope.SerializeAsString()); }
  void SendFrames(const std::vector<std::string>& frames) {
    for (std::size_t i = 0; i < frames.size(); ++i) {
      socket_.send(zmq::buffer(frames[i]),
                   i + 1 < frames.size() ? zmq::send_flags::sndmore : zmq::send_flags::none);
    }
  }
  proto::Envelope Receive() {
    zmq::message_t message;
    proto::Envelope envelope;
    EXPECT_TRUE(socket_.recv(message).has_value()) << "no answer within 5 s";
    EXPECT_TRUE(envelope.ParseFromArray(message.data(), static_cast<int>(message.size())));
    EXPECT_EQ(envelope.wire_version(), 1);
    return envelope;
  }
  bool HasNothingFor(milliseconds span) {
    std::vector<zmq::pollitem_t> items = {{socket_.handle(), 0, ZMQ_POLLIN, 0}};
    return zmq::poll(items, span) == 0;
  }

 private:
  zmq::socket_t socket_;
};

proto::Envelope Request(const std::string& id,
                        const std::string& reward,
                        const std::vector<std::string>& completions,
                        std::uint32_t deadline_ms = 0) {
  proto::Envelope envelope;
  envelope.set_wire_version(1);
  auto* request = envelope.mutable_score_request();
  request->set_request_id(id);
  request->add_rewards()->set_name(reward);
  if (deadline_ms > 0) request->set_deadline_ms(deadline_ms);
  for (const auto& completion : completions) {
    auto* item = request->add_items();
    item->set_id(fmt::format("i{}", request->items_size()));
    item->set_completion(completion);
    item->set_reference("42");
  }
  return envelope;
}

class ServiceTest : public ServiceFixture {};

TEST_F(ServiceTest, ScoresOverEveryTransport) {
  const std::string path = testing::TempDir() + "/aha_service_test." + std::to_string(getpid());
  const auto service = Start({"inproc://a", "ipc://" + path, "tcp://127.0.0.1:*"});
  for (const auto& endpoint : service->endpoints()) {
    Raw raw(context(), endpoint);
    raw.Send(Request(fmt::format("r{}", endpoint), "math",
                     {"<answer>42</answer>", "<answer>41</answer>"}));
    const auto reply = raw.Receive().score_reply();
    EXPECT_EQ(reply.request_id(), fmt::format("r{}", endpoint));
    ASSERT_EQ(reply.items_size(), 2);
    EXPECT_EQ(reply.items(0).id(), "i1");
    EXPECT_EQ(reply.items(0).outcomes(0).score(), 1);
    EXPECT_EQ(reply.items(1).outcomes(0).score(), 0);
  }
  EXPECT_EQ(service->counters().scored, 6);
}

TEST_F(ServiceTest, AnswersARetryOnceFromTheCache) {
  const auto service = Start({"inproc://a"});
  Raw raw(context(), "inproc://a");
  raw.Send(Request("same", "count", {"a"}));
  const auto first = raw.Receive();
  raw.Send(Request("same", "count", {"a"}, 1234));  // the deadline may differ
  EXPECT_EQ(raw.Receive().SerializeAsString(), first.SerializeAsString());
  EXPECT_EQ(calls(), 1) << "scored once";
}

TEST_F(ServiceTest, JoinsARetryToTheRequestInFlight) {
  const auto service = Start({"inproc://a"});
  Raw first(context(), "inproc://a");
  Raw second(context(), "inproc://a");
  first.Send(Request("same", "gate", {"a"}));
  WaitForGate();
  first.Send(Request("same", "gate", {"a"}));
  second.Send(Request("same", "gate", {"a"}));
  Heartbeat(&second);  // now both have arrived
  OpenGate();
  EXPECT_EQ(first.Receive().score_reply().items_size(), 1);
  EXPECT_EQ(second.Receive().score_reply().items_size(), 1);
  EXPECT_TRUE(first.HasNothingFor(milliseconds(50))) << "one answer a peer";
  EXPECT_EQ(calls(), 1);
}

TEST_F(ServiceTest, RefusesAnIdUsedForAnotherRequest) {
  const auto service = Start({"inproc://a"});
  Raw raw(context(), "inproc://a");
  raw.Send(Request("same", "count", {"a"}));
  raw.Receive();
  raw.Send(Request("same", "count", {"b"}));
  const auto answer = raw.Receive();
  EXPECT_EQ(answer.error().request_id(), "same");
  EXPECT_THAT(answer.error().detail(), HasSubstr("another request"));
  EXPECT_EQ(answer.error().kind(), proto::ServiceError::REUSED_ID);
}

TEST_F(ServiceTest, ForgetsOldRepliesBeyondItsBound) {
  ServiceOptions options;
  options.recent_replies = 1;
  const auto service = Start({"inproc://a"}, options);
  Raw raw(context(), "inproc://a");
  for (const char* id : {"one", "two", "one"}) {
    raw.Send(Request(id, "count", {"a"}));
    raw.Receive();
  }
  EXPECT_EQ(calls(), 3);
}

TEST_F(ServiceTest, AnswersAtTheDeadlineWithWhatThereIs) {
  const auto service = Start({"inproc://a"});
  Raw raw(context(), "inproc://a");
  raw.Send(Request("late", "gate", {"pass", "wait", "wait"}, 100));
  const auto reply = raw.Receive().score_reply();
  ASSERT_EQ(reply.items_size(), 3);
  EXPECT_TRUE(reply.items(0).outcomes(0).has_score());
  EXPECT_EQ(reply.items(1).outcomes(0).failure().kind(), proto::Failure::TIMEOUT);
  EXPECT_THAT(reply.items(1).outcomes(0).failure().detail(),
              AllOf(HasSubstr("gate"), HasSubstr("not finished"), HasSubstr("100 ms")));
  EXPECT_THAT(reply.items(2).outcomes(0).failure().detail(), HasSubstr("not reached"));
  EXPECT_EQ(reply.items(2).id(), "i3");
  OpenGate();
  Raw after(context(), "inproc://a");
  after.Send(Request("next", "count", {"a"}));
  EXPECT_TRUE(after.Receive().score_reply().items(0).outcomes(0).has_score()) << "it goes on";
}

TEST_F(ServiceTest, TypesEveryFailure) {
  const auto service = Start({"inproc://a"});
  Raw raw(context(), "inproc://a");
  auto envelope = Request("r", "throw", {"a"});
  envelope.mutable_score_request()->add_rewards()->set_name("nan");
  envelope.mutable_score_request()->add_rewards()->set_name("mth");
  auto* bad = envelope.mutable_score_request()->add_rewards();
  bad->set_name("language");
  bad->set_config("no_word_score: 1");
  raw.Send(envelope);
  const auto item = raw.Receive().score_reply().items(0);
  ASSERT_EQ(item.outcomes_size(), 4);
  EXPECT_EQ(item.outcomes(0).failure().kind(), proto::Failure::CRASH);
  EXPECT_EQ(item.outcomes(1).failure().kind(), proto::Failure::NOT_FINITE);
  EXPECT_EQ(item.outcomes(2).failure().kind(), proto::Failure::NO_SUCH_REWARD);
  EXPECT_THAT(item.outcomes(2).failure().detail(), HasSubstr("did you mean math"));
  EXPECT_EQ(item.outcomes(3).failure().kind(), proto::Failure::BAD_CONFIG);
  EXPECT_EQ(service->counters().failed, 4);
}

TEST_F(ServiceTest, AnswersHeartbeatsWhileItScores) {
  const auto service = Start({"inproc://a"});
  Raw raw(context(), "inproc://a");
  raw.Send(Request("busy", "gate", {"wait"}));
  WaitForGate();
  raw.Send(Request("waits", "count", {"a"}));
  const auto beat = Heartbeat(&raw, 77);
  EXPECT_EQ(beat.sequence(), 77);
  EXPECT_EQ(beat.queued(), 1);
  EXPECT_EQ(beat.scored(), 0);
  OpenGate();
  raw.Receive();
  raw.Receive();
  EXPECT_EQ(Heartbeat(&raw).scored(), 2);
}

TEST_F(ServiceTest, RefusesWhatItCannotUnderstand) {
  const auto service = Start({"inproc://a"});
  Raw raw(context(), "inproc://a");
  const auto refused = [&] {
    const auto envelope = raw.Receive();
    EXPECT_TRUE(envelope.has_error()) << envelope.ShortDebugString();
    return envelope.error().detail();
  };
  raw.Send(std::string("\xFF\xFF\xFF garbage"));
  EXPECT_THAT(refused(), HasSubstr("no Envelope"));
  raw.Send(std::string());
  EXPECT_THAT(refused(), HasSubstr("wire version 0"));
  auto envelope = Request("v", "count", {"a"});
  envelope.set_wire_version(2);
  raw.Send(envelope);
  EXPECT_THAT(refused(), AllOf(HasSubstr("version 2"), HasSubstr("version 1")));
  raw.Send(Request("", "count", {"a"}));
  EXPECT_THAT(refused(), HasSubstr("request_id is missing"));
  raw.Send(Request(std::string(257, 'x'), "count", {"a"}));
  EXPECT_THAT(refused(), HasSubstr("257 bytes"));
  raw.SendFrames({"a", "b", "c"});
  EXPECT_THAT(refused(), HasSubstr("3 frames"));
  proto::Envelope empty;
  empty.set_wire_version(1);
  raw.Send(empty);
  EXPECT_THAT(refused(), HasSubstr("only a score_request or a heartbeat"));
  auto crowded = Request("c", "count", {"a"});
  for (int i = 0; i < 64; ++i)
    crowded.mutable_score_request()->add_rewards()->set_name("count");
  raw.Send(crowded);
  EXPECT_THAT(refused(), HasSubstr("65 rewards"));
}

TEST_F(ServiceTest, DropsAPeerThatSendsMoreThanAMessageHolds) {
  const auto service = Start({"tcp://127.0.0.1:*"});
  Raw raw(context(), service->endpoints()[0]);
  raw.Send(std::string(static_cast<std::size_t>(256) << 20, 'x') + "x");
  EXPECT_TRUE(raw.HasNothingFor(milliseconds(100)));
  Raw next(context(), service->endpoints()[0]);
  next.Send(Request("r", "count", {"a"}));
  EXPECT_TRUE(next.Receive().has_score_reply()) << "the others go on";
}

TEST_F(ServiceTest, SurvivesRandomBytes) {
  const auto service = Start({"inproc://a"});
  Raw raw(context(), "inproc://a");
  const std::string good = Request("r", "format", {"a", "b"}).SerializeAsString();
  DrawSequence draw(KeyedRandom(3, "service"));
  for (int round = 0; round < 2000; ++round) {
    std::string bytes = good;
    for (std::int64_t flips = draw.Integer(1, 4); flips > 0; --flips) {
      bytes[static_cast<std::size_t>(
          draw.Integer(0, static_cast<std::int64_t>(bytes.size()) - 1))] =
          static_cast<char>(draw.Integer(0, 255));
    }
    if (draw.Chance(0.2)) bytes.resize(static_cast<std::size_t>(draw.Integer(0, 20)));
    raw.Send(bytes);
    raw.Receive();
  }
}

TEST_F(ServiceTest, AnswersAReqSocketToo) {
  const auto service = Start({"inproc://a"});
  Raw raw(context(), "inproc://a", zmq::socket_type::req);
  raw.Send(Request("r", "count", {"a"}));
  EXPECT_EQ(raw.Receive().score_reply().request_id(), "r");
}

TEST_F(ServiceTest, AnswersARequestWithoutItems) {
  const auto service = Start({"inproc://a"});
  Raw raw(context(), "inproc://a");
  raw.Send(Request("r", "count", {}));
  EXPECT_TRUE(raw.Receive().has_score_reply());
}

TEST_F(ServiceTest, RefusesBeyondItsQueue) {
  ServiceOptions options;
  options.most_requests = 2;
  const auto service = Start({"inproc://a"}, options);
  Raw raw(context(), "inproc://a");
  raw.Send(Request("one", "gate", {"wait"}));
  raw.Send(Request("two", "gate", {"wait"}));
  raw.Send(Request("three", "count", {"a"}));
  const auto answer = raw.Receive();
  EXPECT_EQ(answer.error().request_id(), "three");
  EXPECT_THAT(answer.error().detail(), HasSubstr("queue is full"));
  EXPECT_EQ(answer.error().kind(), proto::ServiceError::BUSY);
  OpenGate();
  raw.Receive();
  raw.Receive();
  raw.Send(Request("three", "count", {"a"}));
  EXPECT_TRUE(raw.Receive().has_score_reply());
}

TEST_F(ServiceTest, SpreadsOneRequestOverItsThreads) {
  ServiceOptions options;
  options.threads = 3;
  const auto service = Start({"inproc://a"}, options);
  Raw raw(context(), "inproc://a");
  raw.Send(Request("r", "gate", {"wait", "wait", "wait"}));
  WaitForGate(3);  // all three at once, or never
  OpenGate();
  EXPECT_EQ(raw.Receive().score_reply().items_size(), 3);
}

TEST_F(ServiceTest, StopsCleanlyWithWorkInHand) {
  ServiceOptions options;
  options.stop_grace = milliseconds(2000);
  auto service = Start({"inproc://a"}, options);
  Raw raw(context(), "inproc://a");
  raw.Send(Request("r", "gate", {"wait", "wait"}));
  WaitForGate();
  auto stopped = std::async(std::launch::async, [&] { service->Stop(); });
  EXPECT_THAT(raw.Receive().error().detail(), HasSubstr("stopping"));
  OpenGate();
  stopped.get();
  service->Stop();  // again: nothing
}

TEST_F(ServiceTest, LeavesAThreadBehindWhoseVerifierHangs) {
  ServiceOptions options;
  options.stop_grace = milliseconds(20);
  auto service = Start({"inproc://a"}, options);
  Raw raw(context(), "inproc://a");
  raw.Send(Request("r", "gate", {"wait"}));
  WaitForGate();
  const auto start = std::chrono::steady_clock::now();
  service.reset();
  EXPECT_LT(std::chrono::steady_clock::now() - start, milliseconds(1000));
  OpenGate();
}

TEST_F(ServiceTest, RefusesToListenBeyondThisMachine) {
  for (const char* endpoint :
       {"tcp://0.0.0.0:5555", "tcp://*:5555", "tcp://192.168.1.2:5555", "tcp://eth0:5555",
        "tcp://127.0.0.1.example.com:5555", "tcp://[::]:5555", "tcp://10.0.0.1;127.0.0.1:5555"}) {
    const auto service = Service::Start(context(), registry(), {.endpoints = {endpoint}});
    ASSERT_FALSE(service.has_value()) << endpoint;
    EXPECT_EQ(service.error().code, Code::kInvalidArgument);
    EXPECT_THAT(service.error().message, AllOf(HasSubstr(endpoint), HasSubstr("CURVE")));
  }
  for (const char* endpoint : {"", "here", "udp://127.0.0.1:1", "tcp://127.0.0.1",
                               "tcp://127.0.0.1:99999", "tcp://127.0.0.1:x", "ipc://"}) {
    EXPECT_FALSE(Service::Start(context(), registry(), {.endpoints = {endpoint}}).has_value())
        << endpoint;
  }
  EXPECT_FALSE(Service::Start(context(), registry(), {.endpoints = {}}).has_value());
  EXPECT_FALSE(Service::Start(context(), registry(), {.endpoints = {"inproc://a"}, .threads = 0})
                   .has_value());
}

TEST_F(ServiceTest, SaysWhenAnEndpointIsTaken) {
  const std::string ipc =
      "ipc://" + testing::TempDir() + "/aha_service_taken." + std::to_string(getpid());
  const auto service = Start({"tcp://127.0.0.1:*", ipc});
  for (const auto& endpoint : service->endpoints()) {
    const auto second = Service::Start(context(), registry(), {.endpoints = {endpoint}});
    ASSERT_FALSE(second.has_value()) << endpoint;
    EXPECT_EQ(second.error().code, Code::kBusy);
    EXPECT_THAT(second.error().message, HasSubstr(endpoint));
  }
}

}  // namespace
}  // namespace aha::rewards
