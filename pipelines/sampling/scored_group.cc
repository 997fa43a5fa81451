#include "pipelines/sampling/scored_group.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "pipelines/sampling/step_ends.h"
#include "rewards/weighted_sum.h"

namespace aha::pipelines {
namespace {

proto::SampleRequest MakeUnit(const SamplePlan& plan, std::uint64_t unit) {
  proto::SampleRequest request;
  request.set_unit(unit);
  request.set_seed(plan.seed);
  request.set_stage(plan.stage);
  request.set_weights_version(plan.weights_version);
  *request.mutable_sampling() = plan.sampling;
  return request;
}

// Tokens inside the first think block; with `opened` the prompt has begun it.
std::int64_t ThinkingTokens(const proto::Completion& completion,
                            const policy::Tokenizer& tokenizer,
                            bool opened) {
  const auto open = tokenizer.IdOf("<think>");
  const auto close = tokenizer.IdOf("</think>");
  if (!open || !close) return 0;
  const auto& ids = completion.ids();
  auto begin = ids.begin();
  if (!opened) {
    begin = std::find(ids.begin(), ids.end(), static_cast<std::uint32_t>(*open));
    if (begin == ids.end()) return 0;
    ++begin;
  }
  return std::distance(begin, std::find(begin, ids.end(), static_cast<std::uint32_t>(*close)));
}

// The completion's text without the end-of-sequence token.
std::string TextOf(const proto::Completion& completion, const Experience& experience) {
  std::vector<std::int32_t> ids(completion.ids().begin(), completion.ids().end());
  const auto& stops = experience.stop_ids;
  if (!ids.empty() && std::find(stops.begin(), stops.end(), ids.back()) != stops.end())
    ids.pop_back();
  return experience.tokenizer->Decode(ids);
}

proto::ScoreItem ItemOf(const Question& question,
                        const proto::Completion& completion,
                        const sft::ChatTemplate& prompt_template,
                        std::size_t index) {
  proto::ScoreItem item;
  item.set_id(std::to_string(index));
  item.set_prompt(question.question);
  item.set_completion(prompt_template.ForScoring(completion.text()));
  item.set_reference(question.reference);
  item.set_language(question.language);
  item.set_tokens(static_cast<std::uint32_t>(completion.ids_size()));
  item.set_truncated(completion.finish() == proto::FINISH_LENGTH);
  return item;
}

ScoredGroup MakeGroup(const Question& question,
                      std::vector<std::int32_t> prompt_ids,
                      const RewardPlan& rewards) {
  ScoredGroup group;
  group.question = question;
  proto::GroupRecord& record = group.record;
  record.set_prompt_id(question.id);
  record.set_visit(question.visit);
  record.set_family(question.family);
  record.set_band(question.band);
  record.set_language(question.language);
  record.set_question(question.question);
  record.set_reference(question.reference);
  for (const std::int32_t id : prompt_ids)
    record.add_prompt_ids(static_cast<std::uint32_t>(id));
  for (const proto::RewardSpec& spec : rewards.specs)
    record.add_reward(spec.name());
  return group;
}

void TakeOutcomes(const proto::ItemOutcome& scored,
                  const RewardPlan& plan,
                  std::size_t scored_bytes,
                  const policy::Tokenizer& tokenizer,
                  proto::SampleRecord& sample) {
  for (const proto::Outcome& outcome : scored.outcomes()) {
    proto::Outcome& recorded = *sample.add_outcome();
    recorded = outcome;
    SetTokenEnds(sample.completion(), scored_bytes, tokenizer, recorded);
    recorded.clear_ms();  // what a clock measured would make every run's groups.bin another file
  }
  if (const auto total = rewards::WeightedSum(scored, plan.weights)) sample.set_total(*total);
}

}  // namespace

void RewardPlan::Add(const std::string& name, double weight, const std::string& config) {
  proto::RewardSpec& spec = specs.emplace_back();
  spec.set_name(name);
  spec.set_config(config);
  weights.push_back(weight);
}

std::optional<std::size_t> RewardPlan::Find(std::string_view name) const {
  for (std::size_t i = 0; i < specs.size(); ++i) {
    if (specs[i].name() == name) return i;
  }
  return {};
}

std::size_t RewardPlan::accuracy() const {
  if (const auto math = Find("math")) return *math;
  return Find("exact").value_or(0);
}

std::uint64_t UnitCount(std::uint64_t questions, std::uint64_t prompts_per_unit) {
  return (questions + prompts_per_unit - 1) / prompts_per_unit;
}

Result<std::vector<ScoredGroup>> SampleAndScore(const Experience& experience,
                                                const std::vector<Question>& questions,
                                                const SamplePlan& plan,
                                                const RewardPlan& rewards,
                                                const std::function<void()>& on_unit) {
  std::vector<ScoredGroup> groups;
  std::vector<proto::SampleRequest> units;
  for (std::size_t q = 0; q < questions.size(); ++q) {
    const Question& question = questions[q];
    AHA_ASSIGN(std::vector<std::int32_t> prompt_ids,
               experience.tokenizer->Encode(experience.prompt_template->Apply(question.question)));
    if (q % plan.prompts_per_unit == 0) units.push_back(MakeUnit(plan, units.size()));
    proto::GroupRequest& request = *units.back().add_groups();
    request.set_prompt_id(question.id);
    request.set_visit(question.visit);
    request.set_samples(plan.samples);
    for (const std::int32_t id : prompt_ids)
      request.add_prompt_ids(static_cast<std::uint32_t>(id));
    groups.push_back(MakeGroup(question, std::move(prompt_ids), rewards));
  }
  AHA_ASSIGN(std::vector<proto::SampleReply> replies, experience.sampler->Run(units, on_unit));

  std::vector<proto::ScoreItem> items;
  std::size_t group = 0;
  for (proto::SampleReply& reply : replies) {
    for (int i = 0; i < reply.completions_size(); ++i) {
      if (i > 0 && i % static_cast<int>(plan.samples) == 0) ++group;
      proto::Completion& completion = *reply.mutable_completions(i);
      completion.set_text(TextOf(completion, experience));
      items.push_back(
          ItemOf(questions[group], completion, *experience.prompt_template, items.size()));
      groups[group].thinking_tokens.push_back(ThinkingTokens(
          completion, *experience.tokenizer, !experience.prompt_template->opens_answer.empty()));
      groups[group].record.add_sample()->mutable_completion()->Swap(&completion);
    }
    ++group;
  }
  AHA_ASSIGN(const std::vector<proto::ItemOutcome> scored,
             experience.scorer->Score(rewards.specs, items, Deadline::After(plan.reward_timeout)));
  std::size_t at = 0;
  for (ScoredGroup& g : groups) {
    for (proto::SampleRecord& sample : *g.record.mutable_sample()) {
      TakeOutcomes(scored[at], rewards, items[at].completion().size(), *experience.tokenizer,
                   sample);
      ++at;
    }
  }
  return groups;
}

std::vector<Metric> Summarise(const std::vector<ScoredGroup>& groups, const RewardPlan& rewards) {
  double samples = 0, tokens = 0, thinking = 0, cut = 0, total = 0, totals = 0, even = 0;
  std::vector<double> sum(rewards.specs.size(), 0), count(rewards.specs.size(), 0),
      failed(rewards.specs.size(), 0);
  for (const ScoredGroup& group : groups) {
    std::vector<double> seen;
    for (int s = 0; s < group.record.sample_size(); ++s) {
      const proto::SampleRecord& sample = group.record.sample(s);
      ++samples;
      tokens += sample.completion().ids_size();
      thinking += static_cast<double>(group.thinking_tokens[static_cast<std::size_t>(s)]);
      cut += sample.completion().finish() == proto::FINISH_LENGTH ? 1 : 0;
      if (sample.has_total()) {
        seen.push_back(sample.total());
        total += sample.total();
        ++totals;
      }
      for (int c = 0; c < sample.outcome_size(); ++c) {
        const auto component = static_cast<std::size_t>(c);
        if (sample.outcome(c).has_score()) {
          sum[component] += sample.outcome(c).score();
          ++count[component];
        } else {
          ++failed[component];
        }
      }
    }
    even +=
        std::all_of(seen.begin(), seen.end(), [&](double v) { return v == seen.front(); }) ? 1 : 0;
  }
  const auto mean = [](double value, double n) {
    return n > 0 ? value / n : std::numeric_limits<double>::quiet_NaN();
  };
  std::vector<Metric> metrics = {{"reward", mean(total, totals)}};
  for (std::size_t c = 0; c < rewards.specs.size(); ++c) {
    metrics.push_back({"reward/" + rewards.specs[c].name(), mean(sum[c], count[c])});
    metrics.push_back({"reward_failures/" + rewards.specs[c].name(), failed[c]});
  }
  metrics.push_back({"reward_failure_share", mean(samples - totals, samples)});
  metrics.push_back({"completion_tokens", mean(tokens, samples)});
  metrics.push_back({"thinking_tokens", mean(thinking, samples)});
  metrics.push_back({"cut_by_length", mean(cut, samples)});
  metrics.push_back({"groups_without_signal", mean(even, static_cast<double>(groups.size()))});
  return metrics;
}

double ValueOf(const std::vector<Metric>& metrics, std::string_view name) {
  for (const Metric& metric : metrics) {
    if (metric.name == name) return metric.value;
  }
  return std::numeric_limits<double>::quiet_NaN();
}

}  // namespace aha::pipelines
