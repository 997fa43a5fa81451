#pragma once
/// Which rows hold pages, and what the next step computes.
///
/// Rows stand in one order: requests as they came, samples inside. Those that run are the first of
/// them, always: rows join at the back as pages allow, and when pages run out the last to come goes
/// back to waiting. Its tokens stay; their keys and values are computed again, to the same bits.

#include <cstddef>
#include <deque>
#include <span>
#include <vector>

#include "rollout/group.h"
#include "rollout/kv_pages.h"

namespace aha::rollout {

struct SchedulerOptions {
  std::size_t pages = 0;
  std::size_t page_tokens = policy::KvPool::kPageTokens;
  std::size_t most_rows = 256;  ///< that run at once
  std::size_t prefill_tokens =
      512;              ///< of prompts in one step, beside one token for each decoding row
  bool module = false;  ///< the MTP module's entries are kept too
};

/// New tokens of one row in a step, or of a group's shared prompt.
struct Part {
  Group* group = nullptr;
  Row* row = nullptr;      ///< null: the shared prompt
  std::size_t first = 0;   ///< position of the first
  std::size_t count = 0;   ///< with drafts
  std::size_t drafts = 0;  ///< of them
};

struct Plan {
  std::vector<Part> parts;  ///< decoding rows first
  std::vector<Row*> fresh;  ///< rows whose first token comes from their prompt's last state
  [[nodiscard]] bool empty() const { return parts.empty() && fresh.empty(); }
};

class Scheduler {
 public:
  /// Throws std::bad_alloc.
  Scheduler(const policy::PolicyConfig& config, const SchedulerOptions& options);

  /// Pages that a sample of a group needs for itself alone to come to its end.
  [[nodiscard]] std::size_t PagesToFinish(std::size_t prompt,
                                          std::size_t new_tokens,
                                          bool shares) const;

  /// Queues all rows of a group, which stays where it is until each is finished or removed.
  void Add(Group& group);
  /// What to compute now; valid until the next call.
  const Plan& Next();
  /// Gives a row its prompt's keys and values, which are ready.
  void Join(Row& row);
  /// The row needs no pages any more.
  void Finish(Row& row);
  /// Takes out whatever is left of a group. `clear`: its pages may hold what is not finite.
  void Remove(Group& group, bool clear);
  /// A guess left what is not finite in the row's own pages: they are cleared and its keys and
  /// values computed again.
  void Redo(Row& row);
  /// All keys and values are of old weights: compute them again.
  void Forget();

  [[nodiscard]] std::span<Row* const> running() const { return running_; }
  [[nodiscard]] std::size_t waiting() const { return waiting_.size(); }
  [[nodiscard]] std::size_t preemptions() const { return preemptions_; }
  KvPages& pages() { return pages_; }

 private:
  [[nodiscard]] std::size_t SharedPages(const Group& group) const;
  [[nodiscard]] std::size_t PagesToStart(const Row& row) const;
  void Admit();
  void Start(Row& row);
  bool Grow(Row& row, std::size_t tokens);
  void Preempt();
  void DropPrompt(Group& group);
  void PlanDecode();
  void PlanPrefill();

  SchedulerOptions options_;
  KvPages pages_;
  std::vector<Row*> running_;
  std::deque<Row*> waiting_;
  std::size_t preemptions_ = 0;
  Plan plan_;
};

}  // namespace aha::rollout
