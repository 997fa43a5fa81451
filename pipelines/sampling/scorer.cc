#include "pipelines/sampling/scorer.h"

namespace aha::pipelines {

Result<std::unique_ptr<Scorer>> Scorer::StartFor(const rewards::Registry& registry,
                                                 const proto::Recipe& recipe,
                                                 const std::filesystem::path& folder) {
  const std::vector<std::string> endpoints(recipe.reward_endpoint().begin(),
                                           recipe.reward_endpoint().end());
  if (recipe.reward_key().empty()) return Start(registry, endpoints);
  rewards::ClientCurve curve;
  AHA_ASSIGN(curve.keys, rewards::ReadSecretKey(folder / recipe.reward_key()));
  AHA_ASSIGN(curve.server_key, rewards::ReadPublicKey(folder / recipe.reward_server_key()));
  return Start(registry, endpoints, curve);
}

Result<std::unique_ptr<Scorer>> Scorer::Start(const rewards::Registry& registry,
                                              const std::vector<std::string>& endpoints,
                                              const std::optional<rewards::ClientCurve>& curve) {
  std::unique_ptr<Scorer> scorer(new Scorer);
  std::vector<std::string> targets = endpoints;
  if (targets.empty()) {
    targets = {"inproc://rewards"};
    AHA_ASSIGN(scorer->service_,
               rewards::Service::Start(scorer->context_, registry, {.endpoints = targets}));
  }
  AHA_ASSIGN(scorer->client_,
             rewards::Client::Connect(scorer->context_, targets,
                                      {.curve = endpoints.empty() ? std::nullopt : curve}));
  return scorer;
}

Scorer::~Scorer() {
  client_.reset();
  service_.reset();
}

Result<std::vector<proto::ItemOutcome>> Scorer::Score(const std::vector<proto::RewardSpec>& rewards,
                                                      const std::vector<proto::ScoreItem>& items,
                                                      Deadline deadline) {
  return client_->Score(rewards, items, deadline);
}

}  // namespace aha::pipelines
