#include "rollout/scheduler.h"

#include <algorithm>

namespace aha::rollout {

Scheduler::Scheduler(const policy::PolicyConfig& config, const SchedulerOptions& options)
    : options_(options), pages_(config, options.pages, options.page_tokens) {
  running_.reserve(options.most_rows);
  plan_.parts.reserve(options.most_rows * 2);
  plan_.fresh.reserve(options.most_rows);
}

// The module's last entry of a prompt is each sample's own, so then the prompt's last page is too.
std::size_t Scheduler::SharedPages(const Group& group) const {
  if (!group.shares()) return 0;
  const std::size_t prompt = group.request.prompt.size();
  return (options_.module ? prompt - 1 : prompt) / options_.page_tokens;
}

std::size_t Scheduler::PagesToFinish(std::size_t prompt,
                                     std::size_t new_tokens,
                                     bool shares) const {
  const std::size_t whole = pages_.PagesFor(prompt + new_tokens);
  if (!shares) return whole;
  const std::size_t shared = (options_.module ? prompt - 1 : prompt) / options_.page_tokens;
  return pages_.PagesFor(prompt) + whole - shared;
}

std::size_t Scheduler::PagesToStart(const Row& row) const {
  const Group& group = *row.group;
  const std::size_t own = pages_.PagesFor(row.known()) - SharedPages(group);
  const bool prompt_too = group.shares() && !group.prompt.held();
  return own + (prompt_too ? pages_.PagesFor(group.request.prompt.size()) : 0);
}

void Scheduler::Add(Group& group) {
  for (Row& row : group.rows)
    waiting_.push_back(&row);
}

void Scheduler::Start(Row& row) {
  Group& group = *row.group;
  const Request& request = group.request;
  // All that the row will ever hold: decoding asks for no memory.
  row.out.ids.reserve(request.sampling.max_new_tokens);
  row.out.logprobs.reserve(request.sampling.max_new_tokens);
  row.out.versions.reserve(4);
  row.pages.reserve(pages_.PagesFor(request.prompt.size() + request.sampling.max_new_tokens));
  if (group.shares() && !group.prompt.held()) {
    for (std::size_t i = pages_.PagesFor(request.prompt.size()); i > 0; --i) {
      group.prompt.pages.push_back(pages_.Take());
    }
  }
  const std::size_t shared = SharedPages(group);
  for (std::size_t i = 0; i < shared; ++i) {
    pages_.Share(group.prompt.pages[i]);
    row.pages.push_back(group.prompt.pages[i]);
  }
  while (row.pages.size() < pages_.PagesFor(row.known()))
    row.pages.push_back(pages_.Take());
  row.running = true;
  ++group.running;
  running_.push_back(&row);
}

void Scheduler::Admit() {
  while (!waiting_.empty() && running_.size() < options_.most_rows) {
    Row& row = *waiting_.front();
    // A page for each eight rows stays free, so that who joins is not thrown out at once.
    const std::size_t spare = running_.size() / 8;
    if (pages_.free() < PagesToStart(row) + spare) return;
    waiting_.pop_front();
    Start(row);
  }
}

void Scheduler::DropPrompt(Group& group) {
  pages_.ReleaseAll(group.prompt.pages);
  group.prompt.cached = group.prompt.module_cached = 0;
}

void Scheduler::Preempt() {
  Row& row = *running_.back();
  running_.pop_back();
  pages_.ReleaseAll(row.pages);
  row.cached = row.module_cached = 0;
  row.joined = row.running = false;
  row.drafts.clear();
  if (--row.group->running == 0) DropPrompt(*row.group);
  waiting_.push_front(&row);
  ++preemptions_;
}

// Pages for `tokens` tokens of a row that runs. False: it does not run any more.
bool Scheduler::Grow(Row& row, std::size_t tokens) {
  while (row.pages.size() < pages_.PagesFor(tokens)) {
    if (pages_.free() > 0) {
      row.pages.push_back(pages_.Take());
      continue;
    }
    // The next to join may have its prompt in the cache, while no row uses it.
    if (!waiting_.empty() && waiting_.front()->group->running == 0 &&
        waiting_.front()->group->prompt.held()) {
      DropPrompt(*waiting_.front()->group);
      continue;
    }
    const bool itself = running_.back() == &row;
    Preempt();
    if (itself) return false;
  }
  return true;
}

void Scheduler::Join(Row& row) {
  const Group& group = *row.group;
  const std::size_t shared = SharedPages(group);
  if (shared < group.prompt.pages.size())
    pages_.Copy(group.prompt.pages[shared], row.pages[shared]);
  row.cached = group.request.prompt.size();
  row.module_cached = group.prompt.module_cached;
  row.joined = true;
}

void Scheduler::PlanDecode() {
  for (std::size_t i = 0; i < running_.size(); ++i) {
    Row& row = *running_[i];
    row.group->planned = false;
    if (row.group->shares() && !row.joined) {
      if (!row.group->prompt_ready()) continue;
      Join(row);
    }
    if (row.pending() == 0) {
      plan_.fresh.push_back(&row);
      continue;
    }
    if (!Grow(row, row.known())) break;  // it was the last
    if (row.pending() > 1) continue;
    // Drafts take no page from anybody and draw no token beyond the last.
    const std::size_t left = row.group->request.sampling.max_new_tokens - row.out.ids.size();
    std::size_t drafts = row.guesses ? std::min(row.drafts.size(), left - 1) : 0;
    const std::size_t room = (row.pages.size() + pages_.free()) * options_.page_tokens;
    drafts = std::min(drafts, room - row.known());
    Grow(row, row.known() + drafts);
    plan_.parts.push_back({row.group, &row, row.cached, 1 + drafts, drafts});
  }
}

void Scheduler::PlanPrefill() {
  std::size_t budget = options_.prefill_tokens;
  for (Row* row : running_) {
    if (budget == 0) return;
    Group& group = *row->group;
    Part part{&group, row, row->cached, 0, 0};
    if (group.shares() && !row->joined) {
      if (group.planned) continue;
      group.planned = true;
      part.row = nullptr;
      part.first = group.prompt.cached;
      part.count = std::min(budget, group.request.prompt.size() - part.first);
    } else if (row->pending() > 1) {
      part.count = std::min(budget, row->pending());
    } else {
      continue;
    }
    budget -= part.count;
    plan_.parts.push_back(part);
  }
}

const Plan& Scheduler::Next() {
  plan_.parts.clear();
  plan_.fresh.clear();
  Admit();
  PlanDecode();
  PlanPrefill();
  return plan_;
}

void Scheduler::Finish(Row& row) {
  Group& group = *row.group;
  if (row.running) {
    pages_.ReleaseAll(row.pages);
    running_.erase(std::find(running_.begin(), running_.end(), &row));
    row.running = false;
    --group.running;
  } else {
    std::erase(waiting_, &row);
  }
  if (--group.left == 0) DropPrompt(group);
}

void Scheduler::Remove(Group& group, bool clear) {
  if (clear) {
    pages_.Clear(group.prompt.pages);
    for (const Row& row : group.rows)
      pages_.Clear(row.pages);
  }
  std::erase_if(running_, [&](const Row* row) { return row->group == &group; });
  std::erase_if(waiting_, [&](const Row* row) { return row->group == &group; });
  for (Row& row : group.rows) {
    pages_.ReleaseAll(row.pages);
    row.running = false;
  }
  group.running = group.left = 0;
  DropPrompt(group);
}

void Scheduler::Redo(Row& row) {
  const auto own = row.pages.begin() + static_cast<std::ptrdiff_t>(SharedPages(*row.group));
  pages_.Clear({own, row.pages.end()});
  row.cached = row.module_cached = 0;
  row.joined = row.guesses = false;
  row.drafts.clear();
}

void Scheduler::Forget() {
  const auto forget = [](Group& group) { group.prompt.cached = group.prompt.module_cached = 0; };
  for (Row* row : running_) {
    row->cached = row->module_cached = 0;
    row->joined = false;
    row->drafts.clear();
    forget(*row->group);
  }
  if (!waiting_.empty()) forget(*waiting_.front()->group);
}

}  // namespace aha::rollout
