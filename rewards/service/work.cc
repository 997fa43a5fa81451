#include "rewards/service/work.h"

#include <sys/eventfd.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <span>
#include <thread>
#include <utility>

#include "base/log.h"
#include "rewards/service/reward_cache.h"
#include "rewards/service/socket.h"

namespace aha::rewards {
namespace {

using Clock = Deadline::Clock;
constexpr std::size_t kMostStuck = 64;
constexpr std::chrono::seconds kStuckAfter{1};

ScoreInput InputOf(const proto::ScoreItem& item) {
  return {.id = item.id(),
          .prompt = item.prompt(),
          .completion = item.completion(),
          .reference = item.reference(),
          .language = item.language(),
          .tokens = item.tokens(),
          .truncated = item.truncated()};
}

// One item with all rewards of its lane. True when the job has no empty cell left.
bool ScoreOne(Job* job, int item, Lane lane, std::span<const std::shared_ptr<const Made>> made) {
  const ScoreInput input = InputOf(job->request().items(item));
  bool last = false;
  const std::vector<int>& rewards = job->rewards(lane);
  for (std::size_t i = 0; i < rewards.size(); ++i) {
    Outcome outcome = job->deadline().passed() ? job->TimedOut(rewards[i], false)
                      : made[i]->reward        ? ScoreSafely(*made[i]->reward, input)
                                               : made[i]->failure;
    last = job->Finish(item, rewards[i], std::move(outcome));
  }
  return last;
}

// All items with one model, as many at a time as it takes.
bool ScoreBatches(Job* job, int reward, const Made& made, const RewardInfo* info) {
  const auto& all = job->request().items();
  const auto* model = dynamic_cast<const BatchReward*>(made.reward.get());
  const int most =
      info == nullptr ? 1 : static_cast<int>(std::max<std::size_t>(1, info->most_batch));
  bool last = false;
  for (int from = 0; from < all.size() && !job->closed(); from += most) {
    const int until = std::min(all.size(), from + most);
    std::vector<ScoreInput> inputs;
    for (int i = from; i < until; ++i)
      inputs.push_back(InputOf(all[i]));
    std::vector<Outcome> outcomes;
    if (job->deadline().passed()) {
      outcomes.assign(inputs.size(), job->TimedOut(reward, false));
    } else if (model == nullptr) {
      outcomes.assign(
          inputs.size(),
          made.reward ? Failed(proto::Failure::CRASH, "its lane is kBatch but it is no BatchReward")
                      : made.failure);
    } else {
      const auto own = Clock::now() + info->batch_deadline;
      const Deadline deadline =
          own < job->deadline().at() ? Deadline::After(info->batch_deadline) : job->deadline();
      outcomes = ScoreBatchSafely(*model, inputs, deadline);
      if (deadline.passed()) {
        outcomes.assign(
            inputs.size(),
            Failed(proto::Failure::TIMEOUT,
                   fmt::format("{}: the model had not scored {} completions by its deadline",
                               info->name, inputs.size())));
      }
    }
    for (int i = from; i < until; ++i)
      last = job->Finish(i, reward, std::move(outcomes[static_cast<std::size_t>(i - from)]));
  }
  return last;
}

}  // namespace

struct ScoringPool::Worker {
  Lane lane = Lane::kThread;
  std::thread thread;
  std::atomic<Clock::rep> overdue_at = 0;  // when its present job's deadline passes; 0: idle
  bool stuck = false;                      // guarded by State::mutex, as is the next
  bool exited = false;
};

struct ScoringPool::State {
  State(const Registry& registry, int fd, std::shared_ptr<Statistics> counted)
      : cache(registry), statistics(std::move(counted)), wake_fd(fd) {}
  ~State() { close(wake_fd); }

  // The next job with work in the lane; null when it is time to go. Waits without end for work:
  // Stop ends it.
  std::shared_ptr<Job> Take(const Worker& self) {
    auto& queue = queues[static_cast<std::size_t>(self.lane)];
    std::unique_lock lock(mutex);
    changed[static_cast<std::size_t>(self.lane)].wait(
        lock, [&] { return stopping || self.stuck || !queue.empty(); });
    if (stopping || self.stuck) return nullptr;
    return queue.front();
  }
  // Its last piece has been claimed.
  void Drop(const Job* job, Lane lane) {
    auto& queue = queues[static_cast<std::size_t>(lane)];
    const std::lock_guard lock(mutex);
    if (!queue.empty() && queue.front().get() == job) queue.pop_front();
  }
  void Finished(const std::shared_ptr<Job>& job) {
    auto bytes = job->Close(statistics.get());
    if (!bytes) return;
    job->reply = *std::move(bytes);
    bool first = false;
    {
      const std::lock_guard lock(mutex);
      first = finished.empty();
      finished.push_back(job);
    }
    if (first) eventfd_write(wake_fd, 1);
  }

  RewardCache cache;
  const std::shared_ptr<Statistics> statistics;
  const int wake_fd;
  std::array<std::condition_variable, kLanes> changed;
  std::condition_variable exits;
  std::mutex mutex;  // guards all below
  std::array<std::deque<std::shared_ptr<Job>>, kLanes> queues;
  std::vector<std::shared_ptr<Job>> finished;
  bool stopping = false;
};

Result<std::unique_ptr<ScoringPool>> ScoringPool::Start(const Registry& registry,
                                                        PoolThreads threads,
                                                        std::shared_ptr<Statistics> statistics) {
  const int fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
  if (fd < 0) return Fail(Code::kExhausted, "reward service: no descriptor left for an eventfd");
  std::unique_ptr<ScoringPool> pool(
      new ScoringPool(std::make_shared<State>(registry, fd, std::move(statistics))));
  return Guard("reward service: starting its threads",
               [&]() -> Result<std::unique_ptr<ScoringPool>> {
                 for (int i = 0; i < threads.pure; ++i)
                   pool->StartWorker(Lane::kThread);
                 for (int i = 0; i < threads.processes; ++i)
                   pool->StartWorker(Lane::kProcess);
                 pool->StartWorker(Lane::kBatch);
                 return std::move(pool);
               });
}

ScoringPool::~ScoringPool() {
  Stop(std::chrono::seconds(10));
}

void ScoringPool::StartWorker(Lane lane) {
  const SignalsBlocked blocked;
  auto worker = std::make_shared<Worker>();
  worker->lane = lane;
  worker->thread = std::thread([state = state_, worker] { Work(state, worker); });
  workers_.push_back(std::move(worker));
}

void ScoringPool::Work(const std::shared_ptr<State>& state, const std::shared_ptr<Worker>& self) {
  const Lane lane = self->lane;
  while (const auto job = state->Take(*self)) {
    std::vector<std::shared_ptr<const Made>> made;
    self->overdue_at = job->deadline().at().time_since_epoch().count();
    while (const auto piece = job->Claim(lane)) {
      auto scored = Guard("scoring", [&] {
        for (std::size_t i = made.size(); i < job->rewards(lane).size(); ++i)
          made.push_back(state->cache.Get(job->request().rewards(job->rewards(lane)[i])));
        if (lane != Lane::kBatch) return ScoreOne(job.get(), *piece, lane, made);
        const auto which = static_cast<std::size_t>(*piece);
        const int reward = job->rewards(lane)[which];
        return ScoreBatches(job.get(), reward, *made[which],
                            state->cache.registry().Find(job->request().rewards(reward).name()));
      });
      // What escapes even ScoreSafely, no memory left for one, leaves cells empty: TIMEOUT.
      if (!scored) spdlog::error("reward service: {}", scored.error().message);
      if (scored && *scored) state->Finished(job);
    }
    self->overdue_at = 0;
    state->Drop(job.get(), lane);
  }
  const std::lock_guard lock(state->mutex);
  self->exited = true;
  state->exits.notify_all();
}

void ScoringPool::Add(std::shared_ptr<Job> job) {
  if (job->cells() == 0) return state_->Finished(job);
  for (std::size_t lane = 0; lane < kLanes; ++lane) {
    if (job->rewards(static_cast<Lane>(lane)).empty()) continue;
    {
      const std::lock_guard lock(state_->mutex);
      state_->queues[lane].push_back(job);
    }
    // All: one request is spread over the threads.
    if (job->request().items_size() > 1) {
      state_->changed[lane].notify_all();
    } else {
      state_->changed[lane].notify_one();
    }
  }
}

int ScoringPool::wake_fd() const {
  return state_->wake_fd;
}

void ScoringPool::Wake() const {
  eventfd_write(state_->wake_fd, 1);
}

std::vector<std::shared_ptr<Job>> ScoringPool::TakeFinished() {
  eventfd_t ignored = 0;
  eventfd_read(state_->wake_fd, &ignored);
  const std::lock_guard lock(state_->mutex);
  return std::exchange(state_->finished, {});
}

std::size_t ScoringPool::queued() const {
  const std::lock_guard lock(state_->mutex);
  std::size_t count = 0;
  for (const auto& queue : state_->queues) {
    for (const auto& job : queue)
      count += job->begun() ? 0 : 1;
  }
  return count;
}

void ScoringPool::ReplaceStuck() {
  const auto limit = (Clock::now() - kStuckAfter).time_since_epoch().count();
  std::vector<Lane> replace;
  {
    const std::lock_guard lock(state_->mutex);
    std::size_t stuck = 0;
    for (const auto& worker : workers_)
      stuck += worker->stuck ? 1 : 0;
    for (const auto& worker : workers_) {
      const auto overdue_at = worker->overdue_at.load();
      if (worker->stuck || overdue_at == 0 || overdue_at > limit || stuck >= kMostStuck) continue;
      worker->stuck = true;
      ++stuck;
      replace.push_back(worker->lane);
    }
  }
  for (const Lane lane : replace) {
    spdlog::error(
        "reward service: a verifier has not returned 1 s after its deadline; another thread takes "
        "over its work");
    StartWorker(lane);
  }
}

std::size_t ScoringPool::stuck() const {
  const std::lock_guard lock(state_->mutex);
  std::size_t count = 0;
  for (const auto& worker : workers_)
    count += worker->stuck && !worker->exited ? 1 : 0;
  return count;
}

void ScoringPool::Stop(std::chrono::milliseconds grace) {
  std::unique_lock lock(state_->mutex);
  state_->stopping = true;
  for (auto& queue : state_->queues)
    queue.clear();
  for (auto& changed : state_->changed)
    changed.notify_all();
  state_->exits.wait_for(lock, grace, [this] {
    for (const auto& worker : workers_) {
      if (!worker->exited) return false;
    }
    return true;
  });
  for (const auto& worker : workers_) {
    if (worker->exited) continue;
    spdlog::error(
        "reward service: a verifier has not returned {} ms after the stop; its thread is "
        "left behind",
        grace.count());
    worker->thread.detach();
  }
  lock.unlock();
  for (const auto& worker : workers_) {
    if (worker->thread.joinable()) worker->thread.join();
  }
  workers_.clear();
}

}  // namespace aha::rewards
