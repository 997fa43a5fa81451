#pragma once
/// The client's own thread: keeps the endpoints, sends requests and takes replies.

#include <atomic>
#include <chrono>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <unordered_map>
#include <vector>

#include "rewards/service/call.h"
#include "rewards/service/client.h"
#include "rewards/service/peer.h"

namespace aha::rewards {

/// All of it runs on the exchange's own thread, but for the constructor, Add and the destructor.
class Client::Exchange {
 public:
  Exchange(std::vector<std::unique_ptr<Peer>> peers, ClientOptions options, int wake_fd);
  /// Ends what is open.
  ~Exchange();

  [[nodiscard]] std::size_t peers() const { return peers_.size(); }
  /// From any thread.
  void Add(std::vector<std::unique_ptr<Batch>> batches);

 private:
  using Clock = Deadline::Clock;

  void Run();
  void Round();
  void TakeNew();
  void Ping(Clock::time_point now);
  void Dispatch(Clock::time_point now);
  void Resend(Clock::time_point now);
  [[nodiscard]] std::optional<std::size_t> Choose(std::optional<std::size_t> avoid);
  bool SendBatch(Batch* batch, std::size_t peer);
  void Wait();
  [[nodiscard]] std::chrono::milliseconds Longest(Clock::time_point now) const;

  void Receive(std::size_t index);
  void Take(proto::ScoreReply* reply, std::size_t index);
  void Refused(const proto::ServiceError& error, std::size_t index);
  void Watch(std::size_t index);
  void Lose(std::size_t index, std::string_view why);
  void BurySilent(Clock::time_point now);
  void GiveUpRefused(Clock::time_point now);
  void GiveUpOverdue(Clock::time_point now);
  void GiveUp(const std::shared_ptr<Call>& call);
  void EndAll(const Error& error);

  void Release(Batch* batch);
  void End(Batch* batch);

  std::vector<std::unique_ptr<Peer>> peers_;
  const ClientOptions options_;
  const int wake_fd_;
  const Clock::time_point start_ = Clock::now();
  std::unordered_map<std::string, std::unique_ptr<Batch>> batches_;
  std::deque<std::string> waiting_;  // ids of batches that no endpoint has; may name ended ones
  std::multimap<Clock::time_point, std::weak_ptr<Call>> due_;
  Clock::time_point next_resend_check_ = start_;
  std::size_t turn_ = 0;
  std::string last_refusal_;

  std::mutex mutex_;  // guards inbox_
  std::vector<std::unique_ptr<Batch>> inbox_;
  std::atomic<bool> stopping_ = false;
  std::thread thread_;
};

}  // namespace aha::rewards
