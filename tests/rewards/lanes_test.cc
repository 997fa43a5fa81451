// Slow rewards never starve quick ones; what is asked of a service that stops, is busy, or has a
// model.
#include <future>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "rewards/service/client.h"
#include "tests/rewards/service_fixture.h"

namespace aha::rewards {
namespace {

using std::chrono::milliseconds;
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

std::vector<proto::ScoreItem> Items(int count, const std::string& completion = "a") {
  std::vector<proto::ScoreItem> items;
  for (int i = 0; i < count; ++i) {
    items.emplace_back().set_id(std::to_string(i));
    items.back().set_completion(completion);
  }
  return items;
}

// The sizes of a model's batches.
class Sizes {
 public:
  void Add(std::size_t size) {
    const std::lock_guard lock(mutex_);
    sizes_.push_back(size);
  }
  [[nodiscard]] std::vector<std::size_t> all() const {
    const std::lock_guard lock(mutex_);
    return sizes_;
  }

 private:
  mutable std::mutex mutex_;
  std::vector<std::size_t> sizes_;
};

// A model: the length of each completion, after a while. Wrong in the way that the first one asks
// for.
class LengthModel : public BatchReward {
 public:
  explicit LengthModel(std::shared_ptr<Sizes> batches) : batches_(std::move(batches)) {}
  [[nodiscard]] std::vector<Outcome> ScoreBatch(std::span<const ScoreInput> inputs,
                                                Deadline deadline) const override {
    batches_->Add(inputs.size());
    if (inputs[0].completion == "slow")
      std::this_thread::sleep_for(deadline.left() + milliseconds(5));
    if (inputs[0].completion == "throw") throw std::runtime_error("no weights");
    std::vector<Outcome> outcomes;
    for (const auto& input : inputs)
      outcomes.push_back(Scored(static_cast<double>(input.completion.size())));
    if (inputs[0].completion == "short") outcomes.pop_back();
    return outcomes;
  }

 private:
  std::shared_ptr<Sizes> batches_;
};

class LanesTest : public ServiceFixture {
 protected:
  LanesTest() : registry_with_lanes_(registry()) {
    RewardInfo slow{
        .name = "sandboxed", .doc = "waits for a process", .keys = {}, .file = {}, .sha256 = {}};
    slow.lane = Lane::kProcess;
    EXPECT_TRUE(registry_with_lanes_
                    .Add(slow,
                         [this](const Config&) -> Result<std::unique_ptr<Reward>> {
                           auto made = registry().Make("gate", "");
                           return made;
                         })
                    .has_value());
    RewardInfo model{.name = "model", .doc = "a length", .keys = {}, .file = {}, .sha256 = {}};
    model.lane = Lane::kBatch;
    model.most_batch = 8;
    model.batch_deadline = milliseconds(60);
    EXPECT_TRUE(registry_with_lanes_
                    .Add(model,
                         [batches = batches_](const Config&) -> Result<std::unique_ptr<Reward>> {
                           return std::make_unique<LengthModel>(batches);
                         })
                    .has_value());
  }
  std::unique_ptr<Service> StartLanes(ServiceOptions options = {}) {
    options.endpoints = {"inproc://lanes"};
    auto service = Service::Start(context(), registry_with_lanes_, options);
    if (!service) throw std::runtime_error(service.error().message);
    return *std::move(service);
  }
  std::unique_ptr<Client> Connect() {
    auto client = Client::Connect(context(), {"inproc://lanes"});
    if (!client) throw std::runtime_error(client.error().message);
    return *std::move(client);
  }
  std::shared_ptr<Sizes> batches_ = std::make_shared<Sizes>();
  Registry registry_with_lanes_;
};

TEST_F(LanesTest, QuickRewardsPassSlowProcesses) {
  const auto service = StartLanes();
  const auto client = Connect();
  auto slow = client->Begin(Specs({"sandboxed"}), Items(20), In(8000));
  WaitForGate();
  for (int i = 0; i < 20; ++i) {
    const auto quick = client->Score(Specs({"count"}), Items(16), In(2000));
    ASSERT_TRUE(quick.has_value()) << quick.error().message;
    EXPECT_TRUE((*quick)[0].outcomes(0).has_score());
  }
  OpenGate();
  const auto done = slow.get();
  ASSERT_TRUE(done.has_value());
  for (const auto& item : *done)
    EXPECT_TRUE(item.outcomes(0).has_score());
}

TEST_F(LanesTest, OneRequestMayUseThemAll) {
  const auto service = StartLanes();
  OpenGate();
  const auto out =
      Connect()->Score(Specs({"model", "count", "sandboxed", "mth"}), Items(20, "four"), In(3000));
  ASSERT_TRUE(out.has_value()) << out.error().message;
  for (const auto& item : *out) {
    EXPECT_EQ(item.outcomes(0).score(), 4);
    EXPECT_EQ(item.outcomes(1).score(), 1);
    EXPECT_EQ(item.outcomes(2).score(), 1);
    EXPECT_EQ(item.outcomes(3).failure().kind(), proto::Failure::NO_SUCH_REWARD);
  }
}

TEST_F(LanesTest, AModelScoresInBatches) {
  const auto service = StartLanes();
  const auto client = Connect();
  ASSERT_TRUE(client->Score(Specs({"model"}), Items(30), In(3000)).has_value());
  for (const std::size_t size : batches_->all())
    EXPECT_LE(size, 8U);
  EXPECT_LT(batches_->all().size(), 30U);
}

TEST_F(LanesTest, AModelHasADeadlineOfItsOwn) {
  const auto service = StartLanes();
  const auto out = Connect()->Score(Specs({"model"}), Items(1, "slow"), In(3000));
  ASSERT_TRUE(out.has_value());
  EXPECT_EQ((*out)[0].outcomes(0).failure().kind(), proto::Failure::TIMEOUT);
  EXPECT_THAT((*out)[0].outcomes(0).failure().detail(), HasSubstr("model"));
}

TEST_F(LanesTest, AModelsFaultIsTyped) {
  const auto service = StartLanes();
  const auto client = Connect();
  for (const char* fault : {"throw", "short"}) {
    const auto out = client->Score(Specs({"model"}), Items(2, fault), In(3000));
    ASSERT_TRUE(out.has_value());
    EXPECT_EQ((*out)[1].outcomes(0).failure().kind(), proto::Failure::CRASH) << fault;
  }
  const auto made = registry_with_lanes_.Make("model", "");
  ASSERT_TRUE(made.has_value());
  EXPECT_EQ(
      ScoreSafely(**made,
                  {.id = {}, .prompt = {}, .completion = "abc", .reference = {}, .language = {}})
          .score(),
      3);
}

TEST_F(LanesTest, AVerifierThatHangsIsReplaced) {
  const auto service = StartLanes();
  const auto client = Connect();
  const auto hung = client->Score(Specs({"gate"}), Items(1), In(100));
  ASSERT_TRUE(hung.has_value());
  EXPECT_EQ((*hung)[0].outcomes(0).failure().kind(), proto::Failure::TIMEOUT);
  const auto next = client->Score(Specs({"count"}), Items(1), In(5000));
  ASSERT_TRUE(next.has_value());
  EXPECT_TRUE((*next)[0].outcomes(0).has_score()) << "the only thread hangs, another came";
  const auto status = AskStatus(context(), "inproc://lanes", std::nullopt, In(2000));
  ASSERT_TRUE(status.has_value());
  EXPECT_EQ(status->stuck_threads(), 1U);
  OpenGate();
}

TEST_F(LanesTest, DrainsBeforeItStops) {
  auto service = StartLanes();
  const auto client = Connect();
  auto open = client->Begin(Specs({"gate"}), Items(1), In(8000));
  WaitForGate();
  auto drained = std::async(std::launch::async, [&] { return service->Drain(milliseconds(5000)); });
  std::this_thread::sleep_for(milliseconds(50));
  const auto late = client->Score(Specs({"count"}), Items(1), In(300));
  ASSERT_TRUE(late.has_value());
  // TIMEOUT or UNREACHABLE, as the deadline meets the request on its way or between two tries.
  EXPECT_TRUE((*late)[0].outcomes(0).has_failure());
  EXPECT_EQ(calls(), 1) << "nothing new is scored";
  OpenGate();
  EXPECT_TRUE(drained.get());
  const auto out = open.get();
  ASSERT_TRUE(out.has_value());
  EXPECT_TRUE((*out)[0].outcomes(0).has_score()) << "what was there is finished";
}

TEST_F(LanesTest, TellsItsStatus) {
  const auto service = StartLanes();
  OpenGate();
  const auto client = Connect();
  ASSERT_TRUE(client->Score(Specs({"count", "throw", "mth"}), Items(10), In(3000)).has_value());
  const auto status = AskStatus(context(), "inproc://lanes", std::nullopt, In(2000));
  ASSERT_TRUE(status.has_value()) << status.error().message;
  EXPECT_EQ(status->items(), 10U);
  EXPECT_EQ(status->failed(), 20U);
  EXPECT_EQ(status->threads(), 1U);
  EXPECT_EQ(status->open(), 0U);
  EXPECT_GT(status->requests(), 0U);
  EXPECT_GT(status->p99_ms(), 0);
  ASSERT_EQ(status->rewards_size(), 3);
  EXPECT_EQ(status->rewards(0).name(), "(unknown)");
  EXPECT_EQ(status->rewards(1).name(), "count");
  EXPECT_EQ(status->rewards(1).scored(), 10U);
  ASSERT_EQ(status->rewards(2).failures_size(), 1);
  EXPECT_EQ(status->rewards(2).failures(0).kind(), proto::Failure::CRASH);
  EXPECT_EQ(status->rewards(2).failures(0).count(), 10U);
}

TEST_F(LanesTest, SaysThatNobodyTellsAStatus) {
  const auto status = AskStatus(context(), "ipc:///nobody/here", std::nullopt, In(100));
  ASSERT_FALSE(status.has_value());
  EXPECT_EQ(status.error().code, Code::kTimeout);
}

TEST_F(LanesTest, ManyClientsAtOnce) {
  const auto service = StartLanes();
  std::vector<std::unique_ptr<Client>> clients;
  std::vector<std::future<Result<Client::Outcomes>>> calls;
  for (int i = 0; i < 100; ++i) {
    clients.push_back(Connect());
    calls.push_back(clients.back()->Begin(Specs({"count"}), Items(16), In(10000)));
  }
  for (auto& call : calls) {
    const auto out = call.get();
    ASSERT_TRUE(out.has_value()) << out.error().message;
    for (const auto& item : *out)
      EXPECT_TRUE(item.outcomes(0).has_score());
  }
  EXPECT_EQ(service->counters().scored, 1600U);
  EXPECT_EQ(this->calls(), 1600) << "each once";
}

TEST_F(LanesTest, CallsOfOneClientDoNotWaitForEachOther) {
  const auto service = StartLanes();
  const auto client = Connect();
  auto slow = client->Begin(Specs({"sandboxed"}), Items(1), In(8000));
  WaitForGate();
  EXPECT_TRUE(client->Score(Specs({"count"}), Items(1), In(2000)).has_value());
  EXPECT_EQ(slow.wait_for(milliseconds(0)), std::future_status::timeout);
  OpenGate();
  EXPECT_TRUE(slow.get().has_value());
}

}  // namespace
}  // namespace aha::rewards
