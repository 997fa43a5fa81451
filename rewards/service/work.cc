#include "rewards/service/work.h"

#include <sys/eventfd.h>
#include <unistd.h>

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <system_error>
#include <utility>

#include "base/log.h"

namespace aha::rewards {
namespace {

constexpr std::size_t kMostRewardsKept = 1024;

struct Unit {
  std::shared_ptr<Job> job;
  int item = 0;
};

// Rewards by name and config, made once and shared by the threads; or why one cannot be made.
struct Made {
  std::shared_ptr<const Reward> reward;
  Outcome failure;
};

class RewardCache {
 public:
  explicit RewardCache(const Registry& registry) : registry_(registry) {}

  Made Get(const proto::RewardSpec& spec) {
    const std::pair key(spec.name(), spec.config());
    {
      const std::lock_guard lock(mutex_);
      if (const auto found = made_.find(key); found != made_.end()) return found->second;
    }
    Made made = Make(spec);  // outside the lock: a plug-in's constructor may take its time
    const std::lock_guard lock(mutex_);
    if (made_.size() >= kMostRewardsKept) made_.clear();
    return made_.emplace(key, std::move(made)).first->second;
  }

 private:
  [[nodiscard]] Made Make(const proto::RewardSpec& spec) const {
    Made made;
    auto reward = registry_.Make(spec.name(), spec.config());
    if (reward) {
      made.reward = *std::move(reward);
    } else {
      const bool unknown = reward.error().code == Code::kNotFound;
      made.failure = Failed(unknown ? proto::Failure::NO_SUCH_REWARD : proto::Failure::BAD_CONFIG,
                            reward.error().message);
    }
    return made;
  }

  const Registry registry_;
  std::mutex mutex_;
  std::map<std::pair<std::string, std::string>, Made> made_;
};

proto::ItemOutcome ScoreItem(const Job& job, int index, RewardCache* cache) {
  const proto::ScoreItem& item = job.request().items(index);
  const ScoreInput input{.id = item.id(),
                         .prompt = item.prompt(),
                         .completion = item.completion(),
                         .reference = item.reference(),
                         .language = item.language(),
                         .tokens = item.tokens(),
                         .truncated = item.truncated()};
  proto::ItemOutcome out;
  out.set_id(item.id());
  for (int i = 0; i < job.request().rewards_size(); ++i) {
    if (job.deadline().passed()) {
      *out.add_outcomes() = job.TimedOut(i, false);
      continue;
    }
    const Made made = cache->Get(job.request().rewards(i));
    *out.add_outcomes() = made.reward ? ScoreSafely(*made.reward, input) : made.failure;
  }
  return out;
}

// For what escapes even ScoreSafely: no memory left, for one.
proto::ItemOutcome Crashed(const Job& job, int index, const std::string& what) {
  proto::ItemOutcome out;
  out.set_id(job.request().items(index).id());
  for (int i = 0; i < job.request().rewards_size(); ++i) {
    *out.add_outcomes() = Failed(proto::Failure::CRASH, what);
  }
  return out;
}

}  // namespace

Job::Job(proto::ScoreRequest request, Deadline deadline, std::chrono::milliseconds budget)
    : request_(std::move(request)),
      deadline_(deadline),
      budget_(budget),
      outcomes_(static_cast<std::size_t>(request_.items_size())),
      begun_(outcomes_.size(), 0),
      finished_(outcomes_.size(), 0),
      missing_(outcomes_.size()) {}

bool Job::Finish(int index, proto::ItemOutcome outcome) {
  const std::lock_guard lock(mutex_);
  const auto i = static_cast<std::size_t>(index);
  if (closed_ || finished_[i] != 0) return false;
  outcomes_[i] = std::move(outcome);
  finished_[i] = 1;
  return --missing_ == 0;
}

void Job::Begin(int index) {
  const std::lock_guard lock(mutex_);
  begun_[static_cast<std::size_t>(index)] = 1;
}

bool Job::closed() const {
  const std::lock_guard lock(mutex_);
  return closed_;
}

Outcome Job::TimedOut(int reward, bool begun) const {
  return Failed(
      proto::Failure::TIMEOUT,
      fmt::format("{}: {} the request's deadline of {} ms", request_.rewards(reward).name(),
                  begun ? "not finished at" : "not reached before", budget_.count()));
}

proto::ScoreReply Job::Close() {
  const std::lock_guard lock(mutex_);
  closed_ = true;
  proto::ScoreReply reply;
  reply.set_request_id(request_.request_id());
  for (std::size_t i = 0; i < outcomes_.size(); ++i) {
    auto* out = reply.add_items();
    if (finished_[i] != 0) {
      *out = std::move(outcomes_[i]);
      continue;
    }
    out->set_id(request_.items(static_cast<int>(i)).id());
    for (int r = 0; r < request_.rewards_size(); ++r) {
      *out->add_outcomes() = TimedOut(r, begun_[i] != 0);
    }
  }
  return reply;
}

struct ScoringPool::Worker {
  std::thread thread;
  bool exited = false;  // guarded by State::mutex
};

struct ScoringPool::State {
  State(const Registry& registry, int fd) : cache(registry), wake_fd(fd) {}
  ~State() { close(wake_fd); }

  // The next item to score; nullopt when it is time to go. Waits without end for work: Stop ends
  // it.
  std::optional<Unit> Take() {
    std::unique_lock lock(mutex);
    while (true) {
      changed.wait(lock, [this] { return stopping || !queue.empty(); });
      if (stopping) return std::nullopt;
      auto& [job, next] = queue.front();
      const Unit unit{job, next++};
      const bool last = next >= job->request().items_size();
      const bool closed = unit.job->closed();
      if (last || closed) queue.pop_front();
      if (!closed) return unit;
    }
  }

  RewardCache cache;
  const int wake_fd;
  std::mutex mutex;  // guards all below
  std::condition_variable changed;
  std::deque<std::pair<std::shared_ptr<Job>, int>> queue;  // with the next item
  std::vector<std::shared_ptr<Job>> finished;
  bool stopping = false;
};

Result<std::unique_ptr<ScoringPool>> ScoringPool::Start(const Registry& registry, int threads) {
  const int fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
  if (fd < 0) return Fail(Code::kExhausted, "reward service: no descriptor left for an eventfd");
  std::unique_ptr<ScoringPool> pool(new ScoringPool(std::make_shared<State>(registry, fd)));
  return Guard(
      "reward service: starting its threads", [&]() -> Result<std::unique_ptr<ScoringPool>> {
        for (int i = 0; i < threads; ++i) {
          auto worker = std::make_shared<Worker>();
          worker->thread = std::thread([state = pool->state_, worker] { Work(state, worker); });
          pool->workers_.push_back(std::move(worker));
        }
        return std::move(pool);
      });
}

ScoringPool::~ScoringPool() {
  Stop(std::chrono::seconds(10));
}

void ScoringPool::Work(const std::shared_ptr<State>& state, const std::shared_ptr<Worker>& self) {
  while (const auto unit = state->Take()) {
    unit->job->Begin(unit->item);
    auto scored =
        Guard("scoring an item", [&] { return ScoreItem(*unit->job, unit->item, &state->cache); });
    if (!scored) scored = Crashed(*unit->job, unit->item, scored.error().message);
    if (!unit->job->Finish(unit->item, *std::move(scored))) continue;
    {
      const std::lock_guard lock(state->mutex);
      state->finished.push_back(unit->job);
    }
    eventfd_write(state->wake_fd, 1);
  }
  const std::lock_guard lock(state->mutex);
  self->exited = true;
  state->changed.notify_all();
}

void ScoringPool::Add(std::shared_ptr<Job> job) {
  {
    const std::lock_guard lock(state_->mutex);
    if (job->request().items_size() == 0) {
      state_->finished.push_back(std::move(job));
    } else {
      state_->queue.emplace_back(std::move(job), 0);
    }
  }
  state_->changed.notify_all();
  Wake();
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
  for (const auto& [job, next] : state_->queue)
    count += next == 0 ? 1 : 0;
  return count;
}

void ScoringPool::Stop(std::chrono::milliseconds grace) {
  std::unique_lock lock(state_->mutex);
  state_->stopping = true;
  state_->queue.clear();
  state_->changed.notify_all();
  state_->changed.wait_for(lock, grace, [this] {
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
