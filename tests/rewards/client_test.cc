#include "rewards/service/client.h"

#include <pthread.h>
#include <signal.h>
#include <unistd.h>

#include <atomic>
#include <future>
#include <set>
#include <string>
#include <thread>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <zmq_addon.hpp>

#include "tests/rewards/service_fixture.h"

namespace aha::rewards {
namespace {

using std::chrono::milliseconds;
using testing::AllOf;
using testing::HasSubstr;

Deadline In(int ms) {
  return Deadline::After(milliseconds(ms));
}

std::vector<proto::RewardSpec> Specs(const std::vector<std::string>& names) {
  std::vector<proto::RewardSpec> specs;
  for (const auto& name : names)
    specs.emplace_back().set_name(name);
  return specs;
}

std::vector<proto::ScoreItem> Items(int count, const std::string& completion) {
  std::vector<proto::ScoreItem> items;
  for (int i = 0; i < count; ++i) {
    auto& item = items.emplace_back();
    item.set_id(fmt::format("item{}", i));
    item.set_completion(completion);
    item.set_reference(std::to_string(i % 2));
  }
  return items;
}

ClientOptions Quick() {
  ClientOptions options;
  options.heartbeat = milliseconds(20);
  options.silence = milliseconds(150);
  options.resend = milliseconds(200);
  return options;
}

class ClientTest : public ServiceFixture {
 protected:
  std::unique_ptr<Client> Connect(std::vector<std::string> endpoints,
                                  ClientOptions options = Quick()) {
    auto client = Client::Connect(context(), std::move(endpoints), options);
    if (!client) throw std::runtime_error(client.error().message);
    return *std::move(client);
  }
  static std::string Ipc(const std::string& name) {
    return "ipc://" + testing::TempDir() + "/aha_client_" + name + "." + std::to_string(getpid());
  }
};

TEST_F(ClientTest, ReturnsEveryItemInOrderOverEveryTransport) {
  const auto service = Start({"inproc://a", Ipc("order"), "tcp://localhost:*"});
  for (const auto& endpoint : service->endpoints()) {
    const auto client = Connect({endpoint});
    const auto out = client->Score(Specs({"math", "format"}), Items(300, "<answer>1"), In(5000));
    ASSERT_TRUE(out.has_value()) << out.error().message;
    ASSERT_EQ(out->size(), 300);
    for (int i = 0; i < 300; ++i) {
      const auto& item = (*out)[static_cast<std::size_t>(i)];
      EXPECT_EQ(item.id(), fmt::format("item{}", i));
      ASSERT_EQ(item.outcomes_size(), 2);
      EXPECT_EQ(item.outcomes(0).score(), i % 2);
      EXPECT_EQ(item.outcomes(1).score(), 0);
    }
  }
}

TEST_F(ClientTest, NothingToScoreNeedsNobody) {
  const auto out = Connect({"ipc:///nobody/here"})->Score(Specs({"math"}), {}, In(0));
  ASSERT_TRUE(out.has_value());
  EXPECT_TRUE(out->empty());
}

TEST_F(ClientTest, SpreadsOverServices) {
  const auto a = Start({"inproc://a"});
  const auto b = Start({"inproc://b"});
  const auto client = Connect({"inproc://a", "inproc://b"});
  auto out = std::async(std::launch::async,
                        [&] { return client->Score(Specs({"gate"}), Items(200, "a"), In(5000)); });
  WaitForGate(2);  // one thread each: both are at work, or never two
  OpenGate();
  ASSERT_TRUE(out.get().has_value());
  EXPECT_EQ(a->counters().scored + b->counters().scored, 200);
}

TEST_F(ClientTest, WorksAroundADeadEndpoint) {
  const auto service = Start({Ipc("alive")});
  const auto client = Connect({Ipc("dead"), Ipc("alive")});
  const auto out = client->Score(Specs({"count"}), Items(40, "a"), In(5000));
  ASSERT_TRUE(out.has_value());
  for (const auto& item : *out)
    EXPECT_TRUE(item.outcomes(0).has_score());
}

TEST_F(ClientTest, ErrsWhenNobodyEverAnswers) {
  const auto client = Connect({Ipc("dead1"), "tcp://127.0.0.1:9"});
  const auto out = client->Score(Specs({"count"}), Items(3, "a"), In(150));
  ASSERT_FALSE(out.has_value());
  EXPECT_EQ(out.error().code, Code::kTimeout);
  EXPECT_THAT(out.error().message, AllOf(HasSubstr(Ipc("dead1")), HasSubstr("tcp://127.0.0.1:9"),
                                         HasSubstr("aha rewards --bind")));
}

TEST_F(ClientTest, WaitsForAServiceThatStartsLate) {
  const auto client = Connect({Ipc("late")});
  auto out = std::async(std::launch::async,
                        [&] { return client->Score(Specs({"count"}), Items(3, "a"), In(5000)); });
  std::this_thread::sleep_for(milliseconds(100));
  const auto service = Start({Ipc("late")});
  EXPECT_TRUE(out.get().has_value());
}

TEST_F(ClientTest, MovesToAnotherServiceWhenOneDies) {
  ServiceOptions options;
  options.stop_grace = milliseconds(0);
  auto dying = Start({Ipc("dying")}, options);
  const auto client = Connect({Ipc("dying")});
  auto out = std::async(std::launch::async,
                        [&] { return client->Score(Specs({"gate"}), Items(3, "a"), In(8000)); });
  WaitForGate();
  dying.reset();
  OpenGate();
  const auto successor = Start({Ipc("dying")});
  const auto result = out.get();
  ASSERT_TRUE(result.has_value());
  for (const auto& item : *result)
    EXPECT_TRUE(item.outcomes(0).has_score());
}

// A service that takes requests and heartbeats as `answers` says, and never scores.
class Mute {
 public:
  Mute(zmq::context_t& context, const std::string& endpoint, int heartbeats)
      : socket_(context, zmq::socket_type::router) {
    socket_.set(zmq::sockopt::linger, 0);
    socket_.bind(endpoint);
    thread_ = std::thread([this, heartbeats] { Run(heartbeats); });
  }
  ~Mute() {
    stop_ = true;
    thread_.join();
  }
  int requests() const { return requests_; }
  std::size_t distinct() const { return distinct_; }

 private:
  void Run(int heartbeats) {
    std::set<std::string> ids;
    socket_.set(zmq::sockopt::rcvtimeo, 10);
    while (!stop_) {
      std::vector<zmq::message_t> frames;
      if (!zmq::recv_multipart(socket_, std::back_inserter(frames))) continue;
      proto::Envelope envelope;
      envelope.ParseFromString(frames.back().to_string());
      if (envelope.has_score_request()) {
        ++requests_;
        ids.insert(envelope.score_request().request_id());
        distinct_ = ids.size();
      } else if (heartbeats-- > 0) {
        zmq::send_multipart(socket_, frames);  // an echo is an answer
      }
    }
  }
  zmq::socket_t socket_;
  std::atomic<bool> stop_ = false;
  std::atomic<int> requests_ = 0;
  std::atomic<std::size_t> distinct_ = 0;
  std::thread thread_;
};

TEST_F(ClientTest, ResendsElsewhereBySameIdWhenHeartbeatsStop) {
  Mute mute(context(), "inproc://mute", 2);
  const auto service = Start({"inproc://a"});
  const auto client = Connect({"inproc://mute", "inproc://a"});
  const auto out = client->Score(Specs({"count"}), Items(100, "a"), In(5000));
  ASSERT_TRUE(out.has_value());
  for (const auto& item : *out)
    EXPECT_TRUE(item.outcomes(0).has_score());
  EXPECT_EQ(service->counters().scored, 100);
}

TEST_F(ClientTest, ResendsToTheSameServiceBySameId) {
  Mute mute(context(), "inproc://mute", 1000000);
  const auto client = Connect({"inproc://mute"});
  const auto out = client->Score(Specs({"count"}), Items(1, "a"), In(700));
  ASSERT_TRUE(out.has_value());
  EXPECT_GE(mute.requests(), 2);
  EXPECT_EQ(mute.distinct(), 1);
  EXPECT_EQ((*out)[0].outcomes(0).failure().kind(), proto::Failure::TIMEOUT);
  EXPECT_THAT((*out)[0].outcomes(0).failure().detail(), HasSubstr("inproc://mute is alive"));
}

TEST_F(ClientTest, TypesWhatIsMissingWhenAServiceFellSilent) {
  Mute mute(context(), "inproc://mute", 2);
  const auto client = Connect({"inproc://mute"});
  const auto out = client->Score(Specs({"count", "math"}), Items(2, "a"), In(500));
  ASSERT_TRUE(out.has_value());
  ASSERT_EQ(out->size(), 2);
  EXPECT_EQ((*out)[1].id(), "item1");
  ASSERT_EQ((*out)[1].outcomes_size(), 2);
  EXPECT_EQ((*out)[1].outcomes(1).failure().kind(), proto::Failure::UNREACHABLE);
  EXPECT_THAT((*out)[1].outcomes(1).failure().detail(),
              AllOf(HasSubstr("inproc://mute"), HasSubstr("no answer for")));
}

TEST_F(ClientTest, GetsTheServicesOwnTimeoutBeforeItsDeadline) {
  const auto service = Start({"inproc://a"});
  const auto client = Connect({"inproc://a"});
  const auto out = client->Score(Specs({"gate"}), Items(1, "a"), In(300));
  ASSERT_TRUE(out.has_value());
  EXPECT_EQ((*out)[0].outcomes(0).failure().kind(), proto::Failure::TIMEOUT);
  EXPECT_THAT((*out)[0].outcomes(0).failure().detail(), HasSubstr("gate: not finished"));
  OpenGate();
}

TEST_F(ClientTest, RetriesARefusedRequest) {
  ServiceOptions options;
  options.most_requests = 1;
  const auto service = Start({"inproc://a"}, options);
  ClientOptions quick = Quick();
  quick.most_items = 5;
  const auto client = Connect({"inproc://a"}, quick);
  const auto out = client->Score(Specs({"count"}), Items(20, "a"), In(5000));
  ASSERT_TRUE(out.has_value());
  for (const auto& item : *out)
    EXPECT_TRUE(item.outcomes(0).has_score());
}

TEST_F(ClientTest, RefusesWhatCannotTravel) {
  const auto service = Start({"inproc://a"});
  const auto client = Connect({"inproc://a"});
  auto items = Items(2, "\xFF any bytes \0");
  items[1].set_reference("\xFF");
  const auto out = client->Score(Specs({"count"}), items, In(5000));
  ASSERT_TRUE(out.has_value());
  EXPECT_TRUE((*out)[0].outcomes(0).has_score());
  EXPECT_EQ((*out)[1].id(), "item1");
  EXPECT_EQ((*out)[1].outcomes(0).failure().kind(), proto::Failure::BAD_REFERENCE);
  items[0].set_id("\xFF");
  EXPECT_EQ(client->Score(Specs({"count"}), items, In(50)).error().code, Code::kInvalidArgument);
}

TEST_F(ClientTest, RefusesEndpointsBeyondThisMachine) {
  for (const char* endpoint : {"tcp://10.1.2.3:5", "tcp://example.com:5", "nonsense"}) {
    EXPECT_FALSE(Client::Connect(context(), {endpoint}).has_value()) << endpoint;
  }
  EXPECT_FALSE(Client::Connect(context(), {}).has_value());
}

TEST_F(ClientTest, SignalsDoNotDisturbIt) {
  struct sigaction action {};
  struct sigaction before {};
  action.sa_handler = [](int) {};
  ASSERT_EQ(sigaction(SIGUSR1, &action, &before), 0);
  const auto service = Start({"inproc://a"});
  const auto client = Connect({"inproc://a"});
  std::atomic<bool> stop = false;
  const pthread_t self = pthread_self();
  std::thread pest([&] {
    while (!stop) {
      pthread_kill(self, SIGUSR1);
      std::this_thread::sleep_for(std::chrono::microseconds(100));
    }
  });
  auto open = std::async(std::launch::async, [&] {
    std::this_thread::sleep_for(milliseconds(100));
    OpenGate();
  });
  const auto out = client->Score(Specs({"gate"}), Items(5, "a"), In(5000));
  stop = true;
  pest.join();
  sigaction(SIGUSR1, &before, nullptr);
  ASSERT_TRUE(out.has_value()) << out.error().message;
  for (const auto& item : *out)
    EXPECT_TRUE(item.outcomes(0).has_score());
}

TEST_F(ClientTest, ServesManyClientsAtOnce) {
  ServiceOptions options;
  options.threads = 2;
  const auto service = Start({Ipc("many")}, options);
  std::vector<std::future<bool>> done;
  for (int c = 0; c < 12; ++c) {
    done.push_back(std::async(std::launch::async, [&, c] {
      const auto client = Connect({Ipc("many")});
      for (int call = 0; call < 5; ++call) {
        const auto out = client->Score(Specs({"math"}), Items(10 + c, "<answer>1"), In(5000));
        if (!out || out->size() != static_cast<std::size_t>(10 + c)) return false;
        for (std::size_t i = 0; i < out->size(); ++i) {
          if ((*out)[i].outcomes(0).score() != static_cast<double>(i % 2)) return false;
        }
      }
      return true;
    }));
  }
  for (auto& client : done)
    EXPECT_TRUE(client.get());
}

}  // namespace
}  // namespace aha::rewards
