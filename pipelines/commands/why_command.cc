// aha why: where a sample came from (law 9).

#include <cmath>
#include <memory>
#include <optional>

#include "pipelines/commands/command.h"
#include "pipelines/run/why.h"
#include "policy/tokenizer/tokenizer.h"
#include "policy/tokenizer/utf8.h"

namespace aha::pipelines {
namespace {

namespace fs = std::filesystem;

std::string Printable(std::string_view bytes) {
  std::string pending(bytes);
  return policy::TakeUtf8(pending, /*last=*/true);
}

// A text as one line: what would break the table is written as in JSON.
std::string OneLine(std::string_view bytes) {
  const std::string quoted = Json(Printable(bytes)).dump();
  return quoted.substr(1, quoted.size() - 2);
}

// The tokenizer that the stage's checkpoint, or another of the run, holds.
std::optional<policy::Tokenizer> FindTokenizer(const fs::path& run, const std::string& stage) {
  std::vector<fs::path> folders = {run / stage / "checkpoint"};
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(run / stage / "state", error))
    folders.push_back(entry.path());
  for (const auto& entry : fs::directory_iterator(run, error))
    folders.push_back(entry.path() / "checkpoint");
  for (const fs::path& folder : folders) {
    if (!fs::exists(folder / "tokenizer.json", error)) continue;
    if (auto tokenizer = policy::Tokenizer::Load(folder / "tokenizer.json"))
      return std::move(*tokenizer);
  }
  return {};
}

std::string TotalText(const proto::SampleRecord& sample) {
  return sample.has_total() ? fmt::format("{:.4g}", sample.total()) : "failed";
}

std::string_view FinishText(const proto::Completion& completion) {
  switch (completion.finish()) {
    case proto::FINISH_STOP:
      return "stop";
    case proto::FINISH_LENGTH:
      return "length";
    default:
      return "unknown";
  }
}

// The weights that drew the token at `position`.
std::uint64_t VersionAt(const proto::Completion& completion, std::uint32_t position) {
  std::uint64_t version = completion.weights_version();
  for (const proto::VersionRun& run : completion.versions()) {
    if (run.first() <= position) version = run.version();
  }
  return version;
}

struct GroupFigures {
  double mean = NAN, deviation = NAN;  // over n - 1, as most trainers divide
  int scored = 0;
};

GroupFigures FiguresOf(const proto::GroupRecord& group) {
  GroupFigures figures;
  double sum = 0, squares = 0;
  for (const proto::SampleRecord& sample : group.sample()) {
    if (!sample.has_total()) continue;
    ++figures.scored;
    sum += sample.total();
  }
  if (figures.scored == 0) return figures;
  figures.mean = sum / figures.scored;
  for (const proto::SampleRecord& sample : group.sample()) {
    if (sample.has_total())
      squares += (sample.total() - figures.mean) * (sample.total() - figures.mean);
  }
  if (figures.scored > 1) figures.deviation = std::sqrt(squares / (figures.scored - 1));
  return figures;
}

Json OutcomeJson(const std::string& name, const proto::Outcome& outcome) {
  Json json = {{"reward", name}};
  if (outcome.has_score()) {
    json["score"] = outcome.score();
  } else {
    json["failure"] = proto::Failure::Kind_Name(outcome.failure().kind());
    json["detail"] = outcome.failure().detail();
  }
  if (outcome.has_reason()) json["reason"] = outcome.reason();
  for (const proto::Note& note : outcome.notes())
    json["notes"][note.name()] = note.value();
  for (const proto::StepScore& step : outcome.steps()) {
    json["steps"].push_back(
        {{"end", step.end()}, {"token_end", step.token_end()}, {"score", step.score()}});
  }
  return json;
}

Json TokensJson(const proto::SampleRecord& sample,
                const std::optional<policy::Tokenizer>& tokenizer) {
  const proto::Completion& completion = sample.completion();
  Json tokens = Json::array();
  for (int i = 0; i < completion.ids_size(); ++i) {
    const auto id = static_cast<std::int32_t>(completion.ids(i));
    Json token = {{"position", i}, {"id", id}};
    if (tokenizer) token["text"] = Printable(tokenizer->Decode(std::vector<std::int32_t>{id}));
    token["logprob"] = i < completion.logprobs_size() ? Json(completion.logprobs(i)) : Json();
    token["weights_version"] = VersionAt(completion, static_cast<std::uint32_t>(i));
    if (i < sample.token_advantage_size()) token["advantage"] = sample.token_advantage(i);
    tokens.push_back(std::move(token));
  }
  return tokens;
}

Json SampleJson(const SampleAddress& address,
                const proto::GroupRecord& group,
                const std::optional<policy::Tokenizer>& tokenizer) {
  const proto::SampleRecord& sample = group.sample(static_cast<int>(*address.sample));
  const proto::Completion& completion = sample.completion();
  const GroupFigures figures = FiguresOf(group);
  Json rewards = Json::array();
  for (int c = 0; c < sample.outcome_size(); ++c)
    rewards.push_back(
        OutcomeJson(c < group.reward_size() ? group.reward(c) : "?", sample.outcome(c)));
  return {{"stage", address.stage},
          {"step", group.step()},
          {"key",
           {{"seed", completion.key().seed()},
            {"stage", completion.key().stage()},
            {"visit", group.visit()},
            {"prompt_id", group.prompt_id()},
            {"sample", completion.key().sample()}}},
          {"family", group.family()},
          {"band", group.band()},
          {"language", group.language()},
          {"question", group.question()},
          {"reference", group.reference()},
          {"prompt_ids", group.prompt_ids()},
          {"completion", Printable(completion.text())},
          {"finish", FinishText(completion)},
          {"weights_version", completion.weights_version()},
          {"rewards", std::move(rewards)},
          {"total", sample.has_total() ? Json(sample.total()) : Json()},
          {"group_mean", figures.scored > 0 ? Json(figures.mean) : Json()},
          {"group_std", figures.scored > 1 ? Json(figures.deviation) : Json()},
          {"advantage", sample.has_advantage() ? Json(sample.advantage()) : Json()},
          {"tokens", TokensJson(sample, tokenizer)}};
}

void PrintRewards(const Json& sample) {
  for (const Json& reward : sample["rewards"]) {
    const std::string value = reward.contains("score")
                                  ? fmt::format("{:.4g}", reward["score"].get<double>())
                                  : fmt::format("{}: {}", reward["failure"].get<std::string>(),
                                                OneLine(reward["detail"].get<std::string>()));
    std::string line = fmt::format("  {:<12} {}", reward["reward"].get<std::string>(), value);
    if (reward.contains("reason")) line += "   " + OneLine(reward["reason"].get<std::string>());
    if (reward.contains("notes")) {
      for (const auto& [name, note] : reward["notes"].items())
        line += fmt::format("   {}={}", name, OneLine(note.get<std::string>()));
    }
    PrintLine(line);
    if (!reward.contains("steps")) continue;
    for (const Json& step : reward["steps"]) {
      PrintLine(fmt::format("    step to token {:<4} {:.4g}",
                            step["token_end"].get<std::uint64_t>(), step["score"].get<double>()));
    }
  }
}

std::string NumberOr(const Json& value, std::string_view otherwise) {
  return value.is_null() ? std::string(otherwise) : fmt::format("{:.4g}", value.get<double>());
}

void PrintSample(const Json& s) {
  const Json& key = s["key"];
  PrintLine(fmt::format("stage {}, step {}, prompt {} (visit {}), sample {}; seed {}",
                        s["stage"].get<std::string>(), s["step"].get<std::uint64_t>(),
                        key["prompt_id"].get<std::uint64_t>(), key["visit"].get<std::uint64_t>(),
                        key["sample"].get<std::uint32_t>(), key["seed"].get<std::uint64_t>()));
  PrintLine(fmt::format("family {}, band {}, language {}", s["family"].get<std::string>(),
                        s["band"].get<std::uint32_t>(), s["language"].get<std::string>()));
  PrintLine(fmt::format("question   {}", OneLine(s["question"].get<std::string>())));
  PrintLine(fmt::format("reference  {}", OneLine(s["reference"].get<std::string>())));
  PrintLine(
      fmt::format("completion, {} tokens of weights version {}, ended by {}:", s["tokens"].size(),
                  s["weights_version"].get<std::uint64_t>(), s["finish"].get<std::string>()));
  PrintLine(s["completion"].get<std::string>());
  PrintLine("rewards");
  PrintRewards(s);
  PrintLine(fmt::format("  {:<12} {}   (group's mean {}, standard deviation {})", "total",
                        NumberOr(s["total"], "none: a component that counts failed"),
                        NumberOr(s["group_mean"], "none"), NumberOr(s["group_std"], "none")));
  PrintLine(fmt::format("  {:<12} {}", "advantage",
                        NumberOr(s["advantage"], "none: the sample was left out")));
  const bool own = !s["tokens"].empty() && s["tokens"][0].contains("advantage");
  PrintLine(fmt::format("tokens: position, id, log-probability, weights version,{} text",
                        own ? " advantage," : ""));
  for (const Json& token : s["tokens"]) {
    PrintLine(fmt::format(
        "  {:>4} {:>7} {:>10} {:>5}{}  {}", token["position"].get<int>(), token["id"].get<int>(),
        token["logprob"].is_null() ? "none" : fmt::format("{:.5f}", token["logprob"].get<double>()),
        token["weights_version"].get<std::uint64_t>(),
        own ? fmt::format(" {:>8.4f}", token["advantage"].get<double>()) : "",
        token.contains("text") ? OneLine(token["text"].get<std::string>()) : ""));
  }
}

Status ListStages(const fs::path& run, bool json) {
  AHA_ASSIGN(const std::vector<std::string> stages, StagesWithGroups(run));
  if (json) {
    PrintJson({{"stages", stages}});
    return {};
  }
  if (stages.empty()) PrintLine("no stage has sampled yet");
  for (const std::string& stage : stages)
    PrintLine(stage);
  return {};
}

Status ListSteps(const fs::path& run, const SampleAddress& address, bool json) {
  AHA_ASSIGN(const std::vector<StepOfGroups> steps, StepsOfGroups(run, address.stage));
  Json list = Json::array();
  for (const StepOfGroups& s : steps) {
    if (!json) {
      PrintLine(fmt::format("{}/{}: {} groups, {} samples, mean total {:.4g}, {} failed",
                            address.stage, s.step, s.groups, s.samples, s.mean_total, s.failed));
    }
    list.push_back({{"step", s.step},
                    {"groups", s.groups},
                    {"samples", s.samples},
                    {"failed", s.failed},
                    {"mean_total", std::isnan(s.mean_total) ? Json() : Json(s.mean_total)}});
  }
  if (json) PrintJson({{"stage", address.stage}, {"steps", std::move(list)}});
  return {};
}

Json GroupJson(const proto::GroupRecord& group, std::size_t index) {
  Json totals = Json::array(), advantages = Json::array();
  for (const proto::SampleRecord& sample : group.sample()) {
    totals.push_back(sample.has_total() ? Json(sample.total()) : Json());
    advantages.push_back(sample.has_advantage() ? Json(sample.advantage()) : Json());
  }
  return {{"group", index},
          {"prompt_id", group.prompt_id()},
          {"question", group.question()},
          {"reference", group.reference()},
          {"totals", std::move(totals)},
          {"advantages", std::move(advantages)}};
}

void PrintGroup(const SampleAddress& address, const proto::GroupRecord& group, std::size_t index) {
  PrintLine(fmt::format("{}/{}/{}: {}   (reference {})", address.stage, group.step(), index,
                        OneLine(group.question()), OneLine(group.reference())));
  for (int s = 0; s < group.sample_size(); ++s) {
    const proto::SampleRecord& sample = group.sample(s);
    PrintLine(
        fmt::format("  {:>3} total {}, advantage {}: {}", s, TotalText(sample),
                    sample.has_advantage() ? fmt::format("{:.3f}", sample.advantage()) : "none",
                    OneLine(sample.completion().text())));
  }
}

Status OutOfRange(const char* what, std::uint64_t index, std::size_t count) {
  return Fail(Code::kNotFound, "no {} {}: there are {} (0 to {})", what, index, count, count - 1);
}

Status RunWhy(const fs::path& run, const std::string& text, bool json) {
  if (text.empty()) return ListStages(run, json);
  AHA_ASSIGN(const SampleAddress address, ParseSampleAddress(text));
  if (!address.step) return ListSteps(run, address, json);
  AHA_ASSIGN(const std::vector<proto::GroupRecord> groups,
             GroupsOfStep(run, address.stage, *address.step));
  if (address.group && *address.group >= groups.size())
    return OutOfRange("group", *address.group, groups.size());
  if (!address.sample) {
    Json list = Json::array();
    for (std::size_t g = address.group.value_or(0);
         g < (address.group ? *address.group + 1 : groups.size()); ++g) {
      if (!json) PrintGroup(address, groups[g], g);
      list.push_back(GroupJson(groups[g], g));
    }
    if (json)
      PrintJson({{"stage", address.stage}, {"step", *address.step}, {"groups", std::move(list)}});
    return {};
  }
  const proto::GroupRecord& group = groups[*address.group];
  const auto samples = static_cast<std::size_t>(group.sample_size());
  if (*address.sample >= samples) return OutOfRange("sample", *address.sample, samples);
  const Json sample = SampleJson(address, group, FindTokenizer(run, address.stage));
  if (json) {
    PrintJson(sample);
  } else {
    PrintSample(sample);
  }
  return {};
}

}  // namespace

void AddWhyCommand(CLI::App& app, Action& action) {
  auto run = std::make_shared<std::string>();
  auto sample = std::make_shared<std::string>();
  auto json = std::make_shared<bool>(false);
  CLI::App* command = app.add_subcommand(
      "why",
      "Where a sample came from: prompt, tokens, log-probabilities, weights, rewards and why");
  command->add_option("run", *run, "Run directory")->required();
  command->add_option("sample", *sample,
                      "STAGE/STEP/GROUP/SAMPLE, such as r1-zero/12/3/0; parts left off at the end "
                      "list what there is");
  command->add_flag("--json", *json, "Print one line of JSON");
  command->callback([&action, run, sample, json] {
    action = [run, sample, json] { return RunWhy(*run, *sample, *json); };
  });
}

}  // namespace aha::pipelines
