#pragma once
/// A service with rewards that a test can count, block and break.

#include <chrono>
#include <condition_variable>
#include <limits>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "rewards/registry.h"
#include "rewards/service/server.h"

namespace aha::rewards {

/// What the test rewards share. Outlives the test when a thread is left behind on purpose.
class Gate {
 public:
  void Pass(bool wait) {
    std::unique_lock lock(mutex_);
    ++calls_;
    if (!wait) return;
    ++waiting_;
    changed_.notify_all();
    changed_.wait_for(lock, std::chrono::seconds(10), [this] { return open_; });
    --waiting_;
  }
  void Open() {
    const std::lock_guard lock(mutex_);
    open_ = true;
    changed_.notify_all();
  }
  bool WaitFor(int count) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, std::chrono::seconds(5), [&] { return waiting_ >= count; });
  }
  int calls() {
    const std::lock_guard lock(mutex_);
    return calls_;
  }

 private:
  std::mutex mutex_;  // guards all below
  std::condition_variable changed_;
  bool open_ = false;
  int waiting_ = 0;
  int calls_ = 0;
};

/// "count": 1, counted. "gate": waits for OpenGate unless the completion is "pass". "throw", "nan".
class TestReward : public Reward {
 public:
  TestReward(std::string kind, std::shared_ptr<Gate> gate)
      : kind_(std::move(kind)), gate_(std::move(gate)) {}
  [[nodiscard]] Outcome Score(const ScoreInput& input) const override {
    if (kind_ == "throw") throw std::runtime_error("thrown");
    if (kind_ == "nan") return Scored(std::numeric_limits<double>::quiet_NaN());
    gate_->Pass(kind_ == "gate" && input.completion != "pass");
    return Scored(1);
  }

 private:
  std::string kind_;
  std::shared_ptr<Gate> gate_;
};

class ServiceFixture : public testing::Test {
 protected:
  ServiceFixture() {
    for (const std::string kind : {"count", "gate", "throw", "nan"}) {
      const RewardInfo info{.name = kind, .doc = kind, .keys = {}, .file = {}, .sha256 = {}};
      const auto gate = gate_;
      const auto added =
          registry_.Add(info, [kind, gate](const Config&) -> Result<std::unique_ptr<Reward>> {
            return std::make_unique<TestReward>(kind, gate);
          });
      EXPECT_TRUE(added.has_value());
    }
  }
  ~ServiceFixture() override { gate_->Open(); }

  std::unique_ptr<Service> Start(std::vector<std::string> endpoints, ServiceOptions options = {}) {
    options.endpoints = std::move(endpoints);
    auto service = Service::Start(context_, registry_, options);
    if (!service) throw std::runtime_error(service.error().message);
    return *std::move(service);
  }

  template <class RawSocket>
  proto::Heartbeat Heartbeat(RawSocket* raw, std::uint64_t sequence = 1) {
    proto::Envelope envelope;
    envelope.set_wire_version(1);
    envelope.mutable_heartbeat()->set_sequence(sequence);
    raw->Send(envelope);
    return raw->Receive().heartbeat();
  }

  void OpenGate() { gate_->Open(); }
  void WaitForGate(int count = 1) { ASSERT_TRUE(gate_->WaitFor(count)); }
  int calls() { return gate_->calls(); }
  zmq::context_t& context() { return context_; }
  const Registry& registry() const { return registry_; }

 private:
  std::shared_ptr<Gate> gate_ = std::make_shared<Gate>();
  zmq::context_t context_;
  Registry registry_ = Registry::BuiltIns();
};

}  // namespace aha::rewards
