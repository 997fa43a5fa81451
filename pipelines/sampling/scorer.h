#pragma once
/// The way to the rewards: always over ZeroMQ, to a service in this process or to others.

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <zmq.hpp>

#include "base/deadline.h"
#include "base/result.h"
#include "proto/recipe.pb.h"
#include "proto/rewards.pb.h"
#include "rewards/registry.h"
#include "rewards/service/client.h"
#include "rewards/service/server.h"

namespace aha::pipelines {

class Scorer {
 public:
  /// Without endpoints, starts a service in this process on inproc; else connects to those
  /// services, encrypted with the keys of `curve` if there are any. `registry` is borrowed.
  static Result<std::unique_ptr<Scorer>> Start(
      const rewards::Registry& registry,
      const std::vector<std::string>& endpoints,
      const std::optional<rewards::ClientCurve>& curve = {});
  /// As the recipe says: its reward_endpoint, reward_key and reward_server_key, files relative to
  /// `folder`.
  static Result<std::unique_ptr<Scorer>> StartFor(const rewards::Registry& registry,
                                                  const proto::Recipe& recipe,
                                                  const std::filesystem::path& folder);
  ~Scorer();
  Scorer(const Scorer&) = delete;
  Scorer& operator=(const Scorer&) = delete;

  /// One outcome an item and reward, in order; what no service answered is a typed failure.
  Result<std::vector<proto::ItemOutcome>> Score(const std::vector<proto::RewardSpec>& rewards,
                                                const std::vector<proto::ScoreItem>& items,
                                                Deadline deadline);

 private:
  Scorer() = default;
  zmq::context_t context_;
  std::unique_ptr<rewards::Service> service_;
  std::unique_ptr<rewards::Client> client_;
};

}  // namespace aha::pipelines
