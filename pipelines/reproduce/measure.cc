#include "pipelines/reproduce/measure.h"

#include <cmath>
#include <limits>

#include <nlohmann/json.hpp>

#include "base/content_hash.h"
#include "base/log.h"
#include "base/whole_file.h"
#include "pipelines/stages/run_recipe.h"
#include "policy/checkpoint/checkpoint.h"

namespace aha::pipelines {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::size_t kTranscripts = 6;

Json ToJson(const EvalReport& r) {
  Json families = Json::array();
  for (const FamilyScore& f : r.families)
    families.push_back({f.family, f.band, f.n, f.pass_at_1});
  return {{"n", r.n},
          {"pass_at_1", r.pass_at_1},
          {"ci95", r.ci95},
          {"pass_at_k", r.pass_at_k},
          {"cons_at_k", r.cons_at_k},
          {"well_formed", r.well_formed},
          {"language", r.language},
          {"thinking_tokens", r.thinking_tokens},
          {"completion_tokens", r.completion_tokens},
          {"failures", r.failures},
          {"families", families}};
}

double NumberOf(const Json& value) {
  return value.is_number() ? value.get<double>() : std::nan("");
}

EvalReport EvalFromJson(const Json& j) {
  EvalReport r;
  r.n = j.at("n").get<std::uint64_t>();
  r.pass_at_1 = NumberOf(j.at("pass_at_1"));
  r.ci95 = NumberOf(j.at("ci95"));
  r.pass_at_k = NumberOf(j.at("pass_at_k"));
  r.cons_at_k = NumberOf(j.at("cons_at_k"));
  r.well_formed = NumberOf(j.at("well_formed"));
  r.language = NumberOf(j.at("language"));
  r.thinking_tokens = NumberOf(j.at("thinking_tokens"));
  r.completion_tokens = NumberOf(j.at("completion_tokens"));
  r.failures = j.at("failures").get<std::uint64_t>();
  for (const Json& f : j.at("families")) {
    r.families.push_back({f.at(0).get<std::string>(), f.at(1).get<std::uint32_t>(),
                          f.at(2).get<std::uint64_t>(), NumberOf(f.at(3))});
  }
  return r;
}

Json ToJson(const SampleView& s) {
  return {{"question", s.question},       {"reference", s.reference},
          {"language", s.language},       {"text", s.text},
          {"failure", s.failure},         {"score", s.score},
          {"well_formed", s.well_formed}, {"language_share", s.language_share}};
}

SampleView SampleFromJson(const Json& j) {
  return {j.at("question").get<std::string>(), j.at("reference").get<std::string>(),
          j.at("language").get<std::string>(), j.at("text").get<std::string>(),
          j.at("failure").get<std::string>(),  NumberOf(j.at("score")),
          j.at("well_formed").get<bool>(),     NumberOf(j.at("language_share"))};
}

SampleView ViewOf(const ScoredGroup& group) {
  const proto::SampleRecord& sample = group.record.sample(0);
  SampleView view{group.question.question,
                  group.question.reference,
                  group.question.language,
                  sample.completion().text(),
                  "",
                  0,
                  false,
                  std::numeric_limits<double>::quiet_NaN()};
  if (sample.outcome(0).has_score()) view.score = sample.outcome(0).score();
  if (sample.outcome(0).has_failure())
    view.failure = proto::Failure::Kind_Name(sample.outcome(0).failure().kind());
  view.well_formed = sample.outcome(1).has_score() && sample.outcome(1).score() >= 1;
  if (sample.outcome(2).has_score()) view.language_share = sample.outcome(2).score();
  return view;
}

std::string PlanKey(const MeasurePlan& p, const std::string& weights) {
  return HashText(fmt::format("{} {} {} {} {} {} {} {} {} {}", weights, p.trained_problems,
                              p.hardest_problems, p.general_problems, p.samples, p.max_new_tokens,
                              p.seed, SplitName(p.split), kNumericsVersion, KernelTarget()));
}

// The cached measurement, of that key if one is given; nothing when there is none or the file is of
// another shape.
std::optional<Measured> FromCache(const std::filesystem::path& cache,
                                  const std::optional<std::string>& key) {
  const auto text = ReadFile(cache);
  if (!text) return {};
  const Json j = Json::parse(*text, nullptr, /*allow_exceptions=*/false);
  if (!j.is_object() || (key && j.value("key", "") != *key)) return {};
  auto read = Guard(cache.string(), [&] {
    Measured m{j.at("name").get<std::string>(),
               EvalFromJson(j.at("trained")),
               EvalFromJson(j.at("hardest")),
               EvalFromJson(j.at("general")),
               {}};
    for (const Json& s : j.at("samples"))
      m.samples.push_back(SampleFromJson(s));
    return m;
  });
  if (!read) return {};
  return std::move(*read);
}

Status ToCache(const Measured& m, const std::string& key, const std::filesystem::path& cache) {
  Json samples = Json::array();
  for (const SampleView& s : m.samples)
    samples.push_back(ToJson(s));
  const Json j = {{"key", key},
                  {"name", m.name},
                  {"trained", ToJson(m.trained)},
                  {"hardest", ToJson(m.hardest)},
                  {"general", ToJson(m.general)},
                  {"samples", samples}};
  std::error_code ignored;
  std::filesystem::create_directories(cache.parent_path(), ignored);
  return WriteWholeFile(cache, j.dump(1, ' ', false, Json::error_handler_t::replace) + "\n");
}

}  // namespace

std::optional<Measured> ReadMeasured(const std::filesystem::path& cache) {
  return FromCache(cache, {});
}

Result<Measured> MeasureStage(const std::string& name,
                              const std::filesystem::path& checkpoint,
                              const MeasurePlan& plan,
                              const rewards::Registry& registry,
                              const std::filesystem::path& cache) {
  AHA_ASSIGN(const std::string weights, policy::WeightsHash(checkpoint));
  const std::string key = PlanKey(plan, weights);
  if (auto known = FromCache(cache, key)) return std::move(*known);
  spdlog::info("{}: measured on held-out problems", name);
  Measured measured;
  measured.name = name;
  std::vector<ScoredGroup> groups;
  const auto run = [&](const std::string& task, std::uint64_t problems, EvalReport& into,
                       std::vector<ScoredGroup>* keep) -> Status {
    EvalSpec spec;
    AHA_ASSIGN(spec.prompts, TaskPrompts(task));
    spec.split = plan.split;
    spec.count = problems;
    spec.samples = plan.samples;
    spec.max_new_tokens = plan.max_new_tokens;
    spec.seed = plan.seed;
    spec.threads = plan.threads;
    AHA_ASSIGN(into, Evaluate(checkpoint, spec, registry, keep));
    return {};
  };
  AHA_TRY(run("reasoning", plan.trained_problems, measured.trained, &groups));
  for (std::size_t g = 0; g < std::min(kTranscripts, groups.size()); ++g)
    measured.samples.push_back(ViewOf(groups[g]));
  AHA_TRY(run("hardest", plan.hardest_problems, measured.hardest, nullptr));
  AHA_TRY(run("general", plan.general_problems, measured.general, nullptr));
  AHA_TRY(ToCache(measured, key, cache));
  return measured;
}

}  // namespace aha::pipelines
