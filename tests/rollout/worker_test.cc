// Workers and coordinator over inproc, ipc and tcp, each in threads of this process.

#include "rollout/worker.h"

#include <unistd.h>

#include <filesystem>
#include <future>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <zmq_addon.hpp>

#include "base/content_hash.h"
#include "base/endpoint.h"
#include "base/whole_file.h"
#include "rollout/coordinator.h"
#include "rollout/engine.h"
#include "rollout/wire.h"
#include "tests/rollout/engine_fixture.h"

namespace aha::rollout {
namespace {

using std::chrono::milliseconds;
using testing::HasSubstr;
constexpr std::uint64_t kNumerics = 7;
constexpr char kTarget[] = "test";
constexpr milliseconds kPlenty{20000};
constexpr std::int32_t kStop = 3;

std::vector<proto::SampleRequest> Units(std::uint64_t count, std::uint64_t version = 1) {
  std::vector<proto::SampleRequest> units(count);
  for (std::uint64_t u = 0; u < count; ++u) {
    units[u].set_unit(u);
    units[u].set_seed(5);
    units[u].set_stage("test");
    units[u].set_weights_version(version);
    units[u].mutable_sampling()->set_temperature(1);
    units[u].mutable_sampling()->set_max_new_tokens(12);
    for (std::uint64_t g = 0; g < 2; ++g) {
      proto::GroupRequest& group = *units[u].add_groups();
      group.set_prompt_id(2 * u + g);
      group.set_visit(0);
      group.set_samples(3);
      for (std::uint32_t t = 0; t < 4 + g; ++t)
        group.add_prompt_ids((t + static_cast<std::uint32_t>(u)) % 16);
    }
  }
  return units;
}

policy::Weights TinyWeights() {
  return policy::Weights::Initial(TinyLatent(), KeyedRandom(3, "test"),
                                  policy::WeightsUse::kInference);
}

Result<WorkerPolicy> LoadTiny(const std::filesystem::path& /*folder*/) {
  return WorkerPolicy{TinyWeights(), {kStop}};
}

// A worker by hand: does what a test says and no more.
class FakeWorker {
 public:
  FakeWorker(zmq::context_t& context, const std::string& endpoint)
      : socket_(context, zmq::socket_type::dealer) {
    socket_.set(zmq::sockopt::linger, 0);
    socket_.set(zmq::sockopt::rcvtimeo, 5000);
    socket_.connect(endpoint);
  }
  void Hello(std::uint64_t numerics = kNumerics,
             const std::string& target = kTarget,
             std::uint32_t wire = kWorkerWireVersion) {
    proto::WorkerEnvelope envelope;
    envelope.mutable_hello()->set_worker("fake:1");
    envelope.mutable_hello()->set_wire_version(wire);
    envelope.mutable_hello()->set_numerics_version(numerics);
    envelope.mutable_hello()->set_kernel_target(target);
    Send(envelope.SerializeAsString());
  }
  void Send(const std::string& bytes) { socket_.send(zmq::buffer(bytes), zmq::send_flags::none); }
  void SendFrames(int count) {
    for (int i = 0; i < count; ++i) {
      socket_.send(zmq::str_buffer("x"),
                   i + 1 < count ? zmq::send_flags::sndmore : zmq::send_flags::none);
    }
  }
  // The next message of the kind that `has` asks for; an empty one when none comes in time.
  proto::WorkerEnvelope Await(bool (proto::WorkerEnvelope::*has)() const) {
    proto::WorkerEnvelope envelope;
    zmq::message_t message;
    while (socket_.recv(message)) {
      if (ParseWorkerEnvelope(message, &envelope) && (envelope.*has)()) return envelope;
    }
    return {};
  }

 private:
  zmq::socket_t socket_;
};

class WorkerTest : public testing::Test {
 protected:
  WorkerTest() {
    folder_ =
        std::filesystem::temp_directory_path() / fmt::format("aha-worker-test-{}", ::getpid());
    std::filesystem::create_directories(folder_);
    // The loader makes the tiny policy whatever the file holds; its hash is what is checked.
    EXPECT_TRUE(WriteWholeFile(folder_ / "model.safetensors", "weights").has_value());
  }
  ~WorkerTest() override {
    if (coordinator_) coordinator_->Stop("the test is over");
    for (auto& worker : workers_)
      worker.wait();
    std::filesystem::remove_all(folder_);
  }

  void Start(std::string endpoint = "inproc://learner", milliseconds silence = milliseconds(5000)) {
    CoordinatorOptions options;
    options.endpoint = std::move(endpoint);
    options.numerics_version = kNumerics;
    options.kernel_target = kTarget;
    options.silence = silence;
    auto started = Coordinator::Start(context_, options);
    ASSERT_TRUE(started.has_value()) << started.error().message;
    coordinator_ = *std::move(started);
  }

  LinkOptions Link(const std::string& name) const {
    LinkOptions options;
    options.endpoint = coordinator_ ? coordinator_->endpoint() : "inproc://learner";
    options.name = name;
    options.numerics_version = kNumerics;
    options.kernel_target = kTarget;
    options.beat = milliseconds(20);
    options.patience = kPlenty;
    return options;
  }

  std::shared_future<Result<std::string>> AddWorker(const LinkOptions& options,
                                                    PolicyLoader load = LoadTiny) {
    workers_.push_back(std::async(std::launch::async, [this, options, load] {
                         return RunWorker(context_, options, load);
                       }).share());
    return workers_.back();
  }

  void Publish(std::uint64_t version = 1, const std::string& sha256 = HashText("weights")) {
    proto::WeightsUpdate update;
    update.set_version(version);
    update.set_folder(folder_.string());
    update.set_sha256(sha256);
    update.set_threads(1);
    coordinator_->Publish(update);
  }

  static std::vector<proto::SampleReply> InProcess(const std::vector<proto::SampleRequest>& units) {
    const policy::Weights weights = TinyWeights();
    Engine engine(weights, TestCpu(), {.stop_ids = {kStop}});
    std::vector<proto::SampleReply> replies;
    for (const auto& unit : units)
      replies.push_back(*engine.Run(unit));
    return replies;
  }

  void ExpectInProcessReplies(const std::vector<proto::SampleRequest>& units,
                              milliseconds timeout = kPlenty) {
    int heard = 0;
    const auto replies = coordinator_->Run(units, timeout, [&] { ++heard; });
    ASSERT_TRUE(replies.has_value()) << replies.error().message;
    const auto want = InProcess(units);
    ASSERT_EQ(replies->size(), want.size());
    EXPECT_EQ(heard, static_cast<int>(want.size()));
    for (std::size_t u = 0; u < want.size(); ++u) {
      EXPECT_EQ((*replies)[u].SerializeAsString(), want[u].SerializeAsString()) << "unit " << u;
    }
  }

  zmq::context_t context_;
  std::filesystem::path folder_;
  std::unique_ptr<Coordinator> coordinator_;
  std::vector<std::shared_future<Result<std::string>>> workers_;
};

class TransportTest : public WorkerTest, public testing::WithParamInterface<std::string> {};
TEST_P(TransportTest, TwoWorkersGiveTheCompletionsOfTheEngine) {
  const std::string name = GetParam() == "ipc://"   ? (folder_ / "socket").string()
                           : GetParam() == "tcp://" ? "127.0.0.1:*"
                                                    : "x";
  Start(GetParam() + name);
  AddWorker(Link("a"));
  AddWorker(Link("b"));
  ASSERT_TRUE(coordinator_->WaitForWorkers(2, Deadline::After(kPlenty)).has_value());
  EXPECT_EQ(coordinator_->workers(), (std::vector<std::string>{"a", "b"}));
  Publish();
  ExpectInProcessReplies(Units(5));
  Publish(2);
  ExpectInProcessReplies(Units(2, 2));
  coordinator_->Stop("the run is over");
  for (auto& worker : workers_)
    EXPECT_EQ(worker.get().value_or(""), "the run is over");
}
INSTANTIATE_TEST_SUITE_P(Table,
                         TransportTest,
                         testing::Values("inproc://", "ipc://", "tcp://"),
                         [](const auto& p) { return p.param.substr(0, p.param.find(':')); });

TEST_F(WorkerTest, WorkerThatGoesSilentIsReplaced) {
  Start("inproc://learner", milliseconds(300));
  FakeWorker fake(context_, coordinator_->endpoint());
  fake.Hello();
  ASSERT_TRUE(coordinator_->WaitForWorkers(1, Deadline::After(kPlenty)).has_value());
  Publish();
  auto replaced = std::async(std::launch::async, [&] {
    const bool took = fake.Await(&proto::WorkerEnvelope::has_request).has_request();
    AddWorker(Link("late"));  // joins in the middle, gets the weights first
    return took;
  });
  ExpectInProcessReplies(Units(3));
  EXPECT_TRUE(replaced.get());
  EXPECT_EQ(coordinator_->workers(), std::vector<std::string>{"late"});
}

TEST_F(WorkerTest, WorkerThatBeatsButNeverRepliesIsNamedAtTheTimeout) {
  Start();
  FakeWorker fake(context_, coordinator_->endpoint());
  fake.Hello();
  ASSERT_TRUE(coordinator_->WaitForWorkers(1, Deadline::After(kPlenty)).has_value());
  Publish();
  const auto replies = coordinator_->Run(Units(2), milliseconds(150));
  ASSERT_FALSE(replies.has_value());
  EXPECT_EQ(replies.error().code, Code::kTimeout);
  EXPECT_THAT(replies.error().message, HasSubstr("worker fake:1 has had unit 0 for"));
}

TEST_F(WorkerTest, NobodyComesIsAnErrorWithinTheDeadline) {
  Start("ipc://" + (folder_ / "nobody").string());
  const auto start = Deadline::Clock::now();
  const Status waited = coordinator_->WaitForWorkers(2, Deadline::After(milliseconds(100)));
  ASSERT_FALSE(waited.has_value());
  EXPECT_EQ(waited.error().code, Code::kTimeout);
  EXPECT_THAT(waited.error().message, HasSubstr("0 of 2"));
  EXPECT_THAT(waited.error().message, HasSubstr(coordinator_->endpoint()));
  EXPECT_LT(Deadline::Clock::now() - start, milliseconds(2000));
}

struct HelloCase {
  std::string name;
  std::uint64_t numerics;
  std::string target;
  std::uint32_t wire;
  std::string why;
};
class RefusalTest : public WorkerTest, public testing::WithParamInterface<HelloCase> {};
TEST_P(RefusalTest, TellsTheWorkerWhy) {
  Start();
  FakeWorker fake(context_, coordinator_->endpoint());
  fake.Hello(GetParam().numerics, GetParam().target, GetParam().wire);
  const auto answer = fake.Await(&proto::WorkerEnvelope::has_stop);
  EXPECT_TRUE(answer.stop().refused());
  EXPECT_THAT(answer.stop().reason(), HasSubstr(GetParam().why));
  EXPECT_TRUE(coordinator_->workers().empty());
  const Status waited = coordinator_->WaitForWorkers(1, Deadline::After(milliseconds(10)));
  EXPECT_THAT(waited.error().message, HasSubstr(GetParam().why));
}
INSTANTIATE_TEST_SUITE_P(
    Table,
    RefusalTest,
    testing::Values(HelloCase{"Numerics", 8, kTarget, 1, "numerics version is 8, the learner's 7"},
                    HelloCase{"Kernels", kNumerics, "other", 1, "kernels are for 'other'"},
                    HelloCase{"Wire", kNumerics, kTarget, 2, "wire version 2"}),
    [](const auto& p) { return p.param.name; });

TEST_F(WorkerTest, RefusedWorkerEndsWithTheReason) {
  Start();
  LinkOptions options = Link("odd");
  options.numerics_version = 8;
  const auto ended = AddWorker(options).get();
  ASSERT_FALSE(ended.has_value());
  EXPECT_EQ(ended.error().code, Code::kInvalidArgument);
  EXPECT_THAT(ended.error().message, HasSubstr("numerics version is 8"));
}

TEST_F(WorkerTest, GarbageOnTheSocketChangesNothing) {
  Start();
  FakeWorker stranger(context_, coordinator_->endpoint());
  AddWorker(Link("a"));
  ASSERT_TRUE(coordinator_->WaitForWorkers(1, Deadline::After(kPlenty)).has_value());
  Publish();
  proto::WorkerEnvelope reply;
  reply.mutable_reply()->set_unit(0);
  reply.mutable_reply()->set_weights_version(1);
  for (int i = 0; i < 30; ++i) {
    stranger.Send(std::string(static_cast<std::size_t>(i), '\xff'));
    stranger.SendFrames(3);
    stranger.Send(reply.SerializeAsString());  // of a unit that it was never given
  }
  ExpectInProcessReplies(Units(3));
  EXPECT_EQ(coordinator_->workers(), std::vector<std::string>{"a"});
}

TEST_F(WorkerTest, ReplyThatDoesNotFitCostsTheWorkerItsPlace) {
  Start();
  FakeWorker fake(context_, coordinator_->endpoint());
  fake.Hello();
  ASSERT_TRUE(coordinator_->WaitForWorkers(1, Deadline::After(kPlenty)).has_value());
  Publish();
  auto cheated = std::async(std::launch::async, [&] {
    const auto request = fake.Await(&proto::WorkerEnvelope::has_request).request();
    proto::WorkerEnvelope envelope;
    envelope.mutable_reply()->set_unit(request.unit());
    envelope.mutable_reply()->set_weights_version(request.weights_version());
    fake.Send(envelope.SerializeAsString());  // no completions
    AddWorker(Link("honest"));
    return fake.Await(&proto::WorkerEnvelope::has_stop).stop().reason();
  });
  ExpectInProcessReplies(Units(2));
  EXPECT_THAT(cheated.get(), HasSubstr("0 completions instead of 6"));
}

TEST_F(WorkerTest, WorkerOutlivesARestartOfTheLearner) {
  const std::string endpoint = "ipc://" + (folder_ / "restart").string();
  // A learner that vanishes says no goodbye: here a bare socket that answers the hello and closes.
  LinkOptions options = Link("a");
  options.endpoint = endpoint;
  options.silence = milliseconds(150);
  {
    zmq::socket_t first(context_, zmq::socket_type::router);
    first.set(zmq::sockopt::linger, 0);
    first.set(zmq::sockopt::rcvtimeo, 5000);
    first.bind(endpoint);
    AddWorker(options);
    std::vector<zmq::message_t> frames;
    ASSERT_TRUE(zmq::recv_multipart(first, std::back_inserter(frames)).has_value());
    proto::WorkerEnvelope envelope;
    ASSERT_TRUE(ParseWorkerEnvelope(frames.back(), &envelope));
    ASSERT_TRUE(envelope.has_hello());
    envelope.mutable_beat();
    first.send(frames.front(), zmq::send_flags::sndmore);
    first.send(zmq::buffer(envelope.SerializeAsString()), zmq::send_flags::none);
    frames.clear();
    ASSERT_TRUE(
        zmq::recv_multipart(first, std::back_inserter(frames)).has_value());  // its first beat
  }
  for (const auto wait = Deadline::After(kPlenty); !CheckIpcIsFree(endpoint) && !wait.passed();) {
    std::this_thread::sleep_for(milliseconds(5));  // ZeroMQ closes on a thread of its own
  }
  Start(endpoint);
  ASSERT_TRUE(coordinator_->WaitForWorkers(1, Deadline::After(kPlenty)).has_value());
  Publish();
  ExpectInProcessReplies(Units(2));
}

TEST_F(WorkerTest, WorkerWithoutALearnerGivesUp) {
  LinkOptions options = Link("lonely");
  options.endpoint = "ipc://" + (folder_ / "none").string();
  options.silence = milliseconds(40);
  options.patience = milliseconds(150);
  const auto ended = AddWorker(options).get();
  ASSERT_FALSE(ended.has_value());
  EXPECT_EQ(ended.error().code, Code::kTimeout);
  EXPECT_THAT(ended.error().message, HasSubstr(options.endpoint));
}

TEST_F(WorkerTest, WorkerRefusesWeightsOfAnotherHash) {
  Start();
  const auto worker = AddWorker(Link("careful"));
  ASSERT_TRUE(coordinator_->WaitForWorkers(1, Deadline::After(kPlenty)).has_value());
  Publish(1, HashText("other weights"));
  const auto replies = coordinator_->Run(Units(1), milliseconds(300));
  ASSERT_FALSE(replies.has_value());
  EXPECT_THAT(replies.error().message, HasSubstr("the learner announced"));
  ASSERT_FALSE(worker.get().has_value());
  EXPECT_EQ(worker.get().error().code, Code::kCorrupt);
}

TEST_F(WorkerTest, UnitThatTheEngineRefusesFailsTheRoundWithItsReason) {
  Start();
  AddWorker(Link("a"));
  ASSERT_TRUE(coordinator_->WaitForWorkers(1, Deadline::After(kPlenty)).has_value());
  Publish();
  auto units = Units(1);
  units[0].mutable_groups(0)->set_prompt_ids(0, 99);
  const auto replies = coordinator_->Run(units, kPlenty);
  ASSERT_FALSE(replies.has_value());
  EXPECT_THAT(replies.error().message, HasSubstr("worker a, unit 0"));
  EXPECT_THAT(replies.error().message, HasSubstr("token 0 of the prompt is 99"));
  ExpectInProcessReplies(Units(1));  // the worker is as good as before
}

TEST_F(WorkerTest, UnitsOfUnpublishedWeightsAreRefused) {
  Start();
  const auto replies = coordinator_->Run(Units(1, 4), kPlenty);
  ASSERT_FALSE(replies.has_value());
  EXPECT_EQ(replies.error().code, Code::kInvalidArgument);
}

TEST_F(WorkerTest, PathInUseIsRefused) {
  Start("ipc://" + (folder_ / "taken").string());
  CoordinatorOptions options;
  options.endpoint = coordinator_->endpoint();
  const auto second = Coordinator::Start(context_, options);
  ASSERT_FALSE(second.has_value());
  EXPECT_EQ(second.error().code, Code::kBusy);
}

}  // namespace
}  // namespace aha::rollout
