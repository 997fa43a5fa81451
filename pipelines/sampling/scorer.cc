#include "pipelines/sampling/scorer.h"

namespace aha::pipelines {

Result<std::unique_ptr<Scorer>> Scorer::Start(const rewards::Registry& registry, const std::vector<std::string>& endpoints) {
  std::unique_ptr<Scorer> scorer(new Scorer);
  std::vector<std::string> targets = endpoints;
  if (targets.empty()) {
    targets = {"inproc://rewards"};
    AHA_ASSIGN(scorer->service_, rewards::Service::Start(scorer->context_, registry, {.endpoints = targets}));
  }
  AHA_ASSIGN(scorer->client_, rewards::Client::Connect(scorer->context_, targets, {}));
  return scorer;
}

Scorer::~Scorer() {
  client_.reset();
  service_.reset();
}

Result<std::vector<proto::ItemOutcome>> Scorer::Score(const std::vector<proto::RewardSpec>& rewards,
                                                      const std::vector<proto::ScoreItem>& items, Deadline deadline) {
  return client_->Score(rewards, items, deadline);
}

}  // namespace aha::pipelines
