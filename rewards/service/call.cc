#include "rewards/service/call.h"

#include <cmath>

#include "rewards/reward.h"
#include "rewards/text.h"

namespace aha::rewards {
namespace {

void Sanitize(std::uint64_t bytes, proto::Outcome* outcome) {
  if (outcome->has_score() && !std::isfinite(outcome->score())) {
    *outcome = Failed(proto::Failure::NOT_FINITE,
                      fmt::format("the service returned {}", outcome->score()));
  } else if (outcome->what_case() == proto::Outcome::WHAT_NOT_SET) {
    *outcome = Failed(proto::Failure::CRASH, "the service returned neither a score nor a failure");
  } else if (const std::string fault = FaultOfSteps(*outcome, bytes); !fault.empty()) {
    *outcome = Failed(proto::Failure::CRASH, "the service returned " + fault);
  }
}

}  // namespace

Status CheckSendable(const std::vector<proto::RewardSpec>& rewards,
                     const std::vector<proto::ScoreItem>& items) {
  if (rewards.size() > static_cast<std::size_t>(kMostRewards)) {
    return Fail(Code::kInvalidArgument, "{} rewards, at most {} can be asked for at once",
                rewards.size(), kMostRewards);
  }
  for (const auto& spec : rewards) {
    if (!IsValidUtf8(spec.name()) || !IsValidUtf8(spec.config())) {
      return Fail(Code::kInvalidArgument, "reward '{}': its name and config must be UTF-8",
                  ToValidUtf8(spec.name()));
    }
  }
  for (std::size_t i = 0; i < items.size(); ++i) {
    if (!IsValidUtf8(items[i].id()) || !IsValidUtf8(items[i].language())) {
      return Fail(Code::kInvalidArgument, "item {}: its id and language must be UTF-8", i);
    }
    if (items[i].ByteSizeLong() > static_cast<std::size_t>(kMostMessageBytes) - (1 << 20)) {
      return Fail(Code::kInvalidArgument, "item {} ('{}') has {} bytes, a message holds {}", i,
                  items[i].id(), items[i].ByteSizeLong(), kMostMessageBytes);
    }
  }
  return {};
}

std::vector<std::unique_ptr<Batch>> Split(const std::shared_ptr<Call>& call,
                                          std::span<const proto::RewardSpec> rewards,
                                          std::span<const proto::ScoreItem> items,
                                          std::size_t most_items,
                                          std::size_t most_bytes,
                                          const std::string& ids) {
  call->rewards = rewards.size();
  call->outcomes.resize(items.size());
  std::vector<std::unique_ptr<Batch>> batches;
  std::size_t bytes = 0;
  for (std::size_t i = 0; i < items.size(); ++i) {
    call->ids.push_back(items[i].id());
    call->sizes.push_back(items[i].completion().size());
    if (!IsValidUtf8(items[i].reference())) {
      call->Fill(i, proto::Failure::BAD_REFERENCE, "the reference is not UTF-8");
      continue;
    }
    const std::size_t size = items[i].ByteSizeLong();
    if (batches.empty() || batches.back()->items.size() >= most_items ||
        bytes + size > most_bytes) {
      batches.push_back(std::make_unique<Batch>());
      batches.back()->call = call;
      batches.back()->request_id = fmt::format("{}-{}", ids, batches.size());
      bytes = 0;
    }
    batches.back()->items.push_back(static_cast<std::uint32_t>(i));
    bytes += size;
  }
  for (auto& batch : batches)
    batch->message = RequestBytes(batch->request_id, rewards, items, batch->items);
  call->open = batches.size();
  return batches;
}

void Call::Fill(std::size_t item, proto::Failure::Kind kind, const std::string& detail) {
  outcomes[item].set_id(ids[item]);
  outcomes[item].clear_outcomes();
  for (std::size_t r = 0; r < rewards; ++r)
    *outcomes[item].add_outcomes() = Failed(kind, detail);
}

bool Call::Fits(const Batch& batch, const proto::ScoreReply& reply) const {
  if (static_cast<std::size_t>(reply.items_size()) != batch.items.size()) return false;
  for (int i = 0; i < reply.items_size(); ++i) {
    if (reply.items(i).id() != ids[batch.items[static_cast<std::size_t>(i)]]) return false;
    if (static_cast<std::size_t>(reply.items(i).outcomes_size()) != rewards) return false;
  }
  return true;
}

void Call::Take(const Batch& batch, proto::ScoreReply* reply) {
  for (int i = 0; i < reply->items_size(); ++i) {
    const std::size_t item = batch.items[static_cast<std::size_t>(i)];
    for (auto& outcome : *reply->mutable_items(i)->mutable_outcomes())
      Sanitize(sizes[item], &outcome);
    outcomes[item].Swap(reply->mutable_items(i));
  }
}

}  // namespace aha::rewards
