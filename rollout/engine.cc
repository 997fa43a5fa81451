#include "rollout/engine.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <utility>

#include "rollout/diagnosis.h"

namespace aha::rollout {

Engine::Engine(const policy::Weights& weights,
               const policy::cpu::Cpu& cpu,
               const EngineOptions& options)
    : weights_(weights), cpu_(cpu), options_(options), pass_(weights, cpu), head_(weights, cpu) {
  hidden_.kind = weights.kind();
  hidden_.width = static_cast<std::size_t>(weights.config().hidden_size);
  if (!weights.mtp() && options_.speculation == Speculation::kModule)
    options_.speculation = Speculation::kOff;
}

Engine::~Engine() = default;

Status Engine::CheckOptions() const {
  if (options_.most_rows == 0 || options_.prefill_tokens == 0) {
    return Fail(Code::kInvalidArgument,
                "an engine of most_rows {} and prefill_tokens {} computes nothing: both must be at "
                "least 1",
                options_.most_rows, options_.prefill_tokens);
  }
  const std::size_t page = options_.page_tokens;
  if (page == 16 || page == 32 || page == 64 || page == 128) return {};
  return Fail(Code::kInvalidArgument, "page_tokens is {}, must be 16, 32, 64 or 128", page);
}

void Engine::MakeCache() {
  if (scheduler_) return;
  const policy::PolicyConfig& config = weights_.config();
  const std::size_t page = policy::KvPool::PageBytes(config, options_.page_tokens);
  const auto positions = static_cast<std::size_t>(config.max_position_embeddings);
  // A row and its copy of a shared prompt.
  const std::size_t a_row = 2 * (positions / options_.page_tokens + 1);
  SchedulerOptions options;
  options.pages = std::min(options_.cache_bytes / page, a_row * options_.most_rows);
  options.page_tokens = options_.page_tokens;
  options.most_rows = options_.most_rows;
  options.prefill_tokens = options_.prefill_tokens;
  options.module = options_.speculation == Speculation::kModule;
  scheduler_ = std::make_unique<Scheduler>(config, options);
  if (options.module) module_ = std::make_unique<ModuleDrafter>(pass_, head_, scheduler_->pages());
}

Status Engine::Add(Request request) {
  AHA_TRY(CheckOptions());
  AHA_TRY(Guard("the cache", [&] { MakeCache(); }));
  AHA_TRY(CheckRequest(request, weights_.config()));
  if (groups_.contains(request.id))
    return Fail(Code::kBusy, "request {} is under way already; ids must differ", request.id);
  const std::size_t needed = scheduler_->PagesToFinish(
      request.prompt.size(), request.sampling.max_new_tokens, request.samples > 1);
  if (needed > scheduler_->pages().total()) {
    return Fail(Code::kExhausted,
                "request {}: a sample of {} tokens and {} new ones needs {} pages of the cache, "
                "which has {}; raise cache_bytes",
                request.id, request.prompt.size(), request.sampling.max_new_tokens, needed,
                scheduler_->pages().total());
  }
  if (scheduler_->waiting() + request.samples > options_.most_queued) {
    return Fail(Code::kExhausted,
                "request {}: {} samples and the {} that wait exceed most_queued {}", request.id,
                request.samples, scheduler_->waiting(), options_.most_queued);
  }
  auto group = std::make_unique<Group>();
  group->request = std::move(request);
  group->rows.resize(group->request.samples);
  group->left = group->rows.size();
  if (group->shares()) group->prompt.last.reserve(StateRows::RowBytes(hidden_));
  for (std::uint32_t s = 0; s < group->request.samples; ++s) {
    Row& row = group->rows[s];
    row.group = group.get();
    row.sample = s;
    row.drafts.reserve(options_.drafts);
    if (!group->request.stop_strings.empty())
      row.stops.emplace(group->request.stop_strings, group->request.decoder());
  }
  scheduler_->Add(*group);
  const std::uint64_t id = group->request.id;
  groups_.emplace(id, std::move(group));
  return {};
}

bool Engine::Cancel(std::uint64_t id) {
  const auto found = groups_.find(id);
  if (found == groups_.end() || found->second->cancelled) return false;
  found->second->cancelled = true;
  cancelled_.push_back(found->second.get());
  return true;
}

void Engine::EndCancelled() {
  for (Group* group : std::exchange(cancelled_, {})) {
    for (Row& row : group->rows) {
      if (!row.finished()) row.out.finish = Finish::kCancelled;
    }
    scheduler_->Remove(*group, false);
    CloseGroup(*group);
  }
}

void Engine::SwapWeights(std::uint64_t version) {
  version_ = version;
  if (scheduler_) scheduler_->Forget();
}

std::vector<Outcome> Engine::TakeOutcomes() {
  return std::exchange(outcomes_, {});
}

EngineTotals Engine::totals() const {
  EngineTotals totals = totals_;
  if (!scheduler_) return totals;
  totals.preemptions = scheduler_->preemptions();
  totals.most_pages = scheduler_->pages().most_used();
  return totals;
}

bool Engine::Step() {
  EndCancelled();
  if (groups_.empty()) return false;
  const Plan& plan = scheduler_->Next();
  ++totals_.steps;
  const auto start = std::chrono::steady_clock::now();
  RunTrunk(plan);
  const auto trunk = std::chrono::steady_clock::now();
  NoteCached(plan);
  CatchNotFinite(plan);
  Draw(plan);
  const auto head = std::chrono::steady_clock::now();
  Take(plan);
  SpeculateNext(plan);
  const auto end = std::chrono::steady_clock::now();
  const auto seconds = [](auto from, auto to) {
    return std::chrono::duration<double>(to - from).count();
  };
  totals_.trunk_s += seconds(start, trunk);
  totals_.head_s += seconds(trunk, head);
  totals_.draft_s += seconds(head, end);
  Close(plan);
  return true;
}

void Engine::RunTrunk(const Plan& plan) {
  ids_.clear();
  starts_.clear();
  sequences_.clear();
  for (const Part& part : plan.parts) {
    starts_.push_back(ids_.size());
    for (std::size_t i = part.first; i < part.first + part.count - part.drafts; ++i) {
      ids_.push_back(part.row != nullptr ? part.row->token(i) : part.group->request.prompt[i]);
    }
    for (std::size_t d = 0; d < part.drafts; ++d)
      ids_.push_back(part.row->drafts[d]);
  }
  for (std::size_t p = 0; p < plan.parts.size(); ++p) {
    const Part& part = plan.parts[p];
    sequences_.push_back({std::span<const std::int32_t>(ids_).subspan(starts_[p], part.count),
                          part.first,
                          part.row != nullptr ? part.row->pages : part.group->prompt.pages});
  }
  if (sequences_.empty()) return;
  hidden_ = pass_.Forward({sequences_, &scheduler_->pages().pool()});
  totals_.forward_tokens += ids_.size();
}

// A prompt that is whole now: its samples start from its last state, those that run at once.
void Engine::FinishPrompt(Group& group, const std::byte* last) {
  group.prompt.last.assign(last, last + StateRows::RowBytes(hidden_));
  if (module_) return;  // its entries are still to come
  for (Row& row : group.rows) {
    if (!row.running || row.joined) continue;
    scheduler_->Join(row);
    if (row.pending() == 0) fresh_.push_back(&row);
  }
}

void Engine::NoteCached(const Plan& plan) {
  fresh_.assign(plan.fresh.begin(), plan.fresh.end());
  for (std::size_t p = 0; p < plan.parts.size(); ++p) {
    const Part& part = plan.parts[p];
    const std::size_t cached = part.first + part.count - part.drafts;
    (part.row != nullptr ? part.row->cached : part.group->prompt.cached) = cached;
    if (part.row != nullptr || !part.group->prompt_ready()) continue;
    FinishPrompt(*part.group, StateRows::RowOf(hidden_, starts_[p] + part.count - 1));
  }
}

// Attention reads whole tiles of keys, later ones with weight 0: what is not finite spreads
// backwards inside a part, and to whoever has its pages next. So it is met here, before anything is
// drawn. A known token that brings it fails its request; a guess does not.
void Engine::CatchNotFinite(const Plan& plan) {
  for (std::size_t p = 0; p < plan.parts.size(); ++p) {
    const Part& part = plan.parts[p];
    if (part.group->error || AreFinite(hidden_, starts_[p], part.count)) continue;
    if (part.drafts > 0) {
      scheduler_->Redo(*part.row);
    } else {
      const Row& row = part.row != nullptr ? *part.row : part.group->rows.front();
      part.group->error = DiagnoseRow(row, weights_, cpu_);
    }
  }
}

void Engine::AddDrawing(Row& row, std::size_t part, std::size_t offset, const std::byte* state) {
  rows_.push_back(static_cast<std::int32_t>(drawings_.size()));
  drawings_.push_back({&row, part, offset});
  draws_.push_back(DrawOf(row, row.out.ids.size() + offset));
  states_.AddSaved(hidden_, state);
}

void Engine::Draw(const Plan& plan) {
  drawings_.clear();
  draws_.clear();
  rows_.clear();
  states_.Clear();
  for (std::size_t p = 0; p < plan.parts.size(); ++p) {
    const Part& part = plan.parts[p];
    if (part.row == nullptr || part.row->pending() > 0) continue;
    for (std::size_t d = 0; d <= part.drafts; ++d) {
      AddDrawing(*part.row, p, d,
                 StateRows::RowOf(hidden_, starts_[p] + part.count - 1 - part.drafts + d));
    }
  }
  for (Row* row : fresh_)
    AddDrawing(*row, kNoPart, 0, row->group->prompt.last.data());
  drawn_.resize(drawings_.size());
  if (!drawings_.empty()) head_.Sample(states_.view(), rows_, draws_, drawn_);
}

// True: the row goes on.
bool Engine::TakeToken(Row& row, const policy::cpu::SampledToken& token) {
  row.guesses = true;
  ++totals_.drawn;
  AddToken(row.group->request, row.sample, token.token, token.logprob, version_, row.stops,
           row.out);
  return row.out.finish == Finish::kNone;
}

void Engine::Take(const Plan& plan) {
  for (std::size_t i = 0; i < drawings_.size(); ++i) {
    const Drawing& drawing = drawings_[i];
    Row& row = *drawing.row;
    const bool drafted =
        drawing.part != kNoPart && drawing.offset < plan.parts[drawing.part].drafts;
    if (row.group->error) continue;
    if (!std::isfinite(drawn_[i].logprob)) {
      row.group->error = DiagnoseRow(row, weights_, cpu_);
      continue;
    }
    const bool on = TakeToken(row, drawn_[i]);
    const bool right = on && drafted && row.drafts[drawing.offset] == drawn_[i].token;
    if (drafted && on) ++totals_.drafted;
    if (right) {
      ++row.cached;
      ++totals_.accepted;
      continue;
    }
    while (i + 1 < drawings_.size() && drawings_[i + 1].row == &row)
      ++i;  // draws after a wrong guess
  }
}

void Engine::SpeculateNext(const Plan& plan) {
  if (options_.speculation == Speculation::kOff) return;
  if (module_) {
    module_->Follow(plan, fresh_, {hidden_, starts_}, options_.drafts);
    return;
  }
  for (const Drawing& drawing : drawings_) {
    if (drawing.offset == 0 && !drawing.row->finished())
      DraftByLookup(*drawing.row, options_.drafts);
  }
}

void Engine::Close(const Plan& plan) {
  done_.clear();
  for (const Part& part : plan.parts) {
    if (part.group->error) done_.push_back(&part.group->rows.front());
  }
  for (const Drawing& drawing : drawings_) {
    if (drawing.offset == 0 && (drawing.row->finished() || drawing.row->group->error))
      done_.push_back(drawing.row);
  }
  for (Row* row : done_) {
    Group& group = *row->group;
    if (group.error) {
      if (group.left == 0) continue;
      scheduler_->Remove(group, true);
    } else {
      scheduler_->Finish(*row);
    }
  }
  // Groups go last: rows of one group may be done in one step.
  for (std::size_t i = 0; i < done_.size(); ++i) {
    Group* group = done_[i]->group;
    if (group->left > 0) continue;
    const auto again = std::find_if(done_.begin() + static_cast<std::ptrdiff_t>(i) + 1, done_.end(),
                                    [&](const Row* row) { return row->group == group; });
    if (again == done_.end()) CloseGroup(*group);
  }
}

void Engine::CloseGroup(Group& group) {
  Outcome outcome{group.request.id, {}, std::move(group.error)};
  outcome.samples.reserve(group.rows.size());
  for (Row& row : group.rows)
    outcome.samples.push_back(std::move(row.out));
  outcomes_.push_back(std::move(outcome));
  std::erase(cancelled_, &group);
  groups_.erase(group.request.id);
}

}  // namespace aha::rollout
