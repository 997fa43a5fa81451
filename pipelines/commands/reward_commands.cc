// aha score, aha rewards.

#include <csignal>

#include <atomic>
#include <chrono>
#include <iostream>
#include <memory>
#include <thread>

#include <zmq.hpp>

#include "base/log.h"
#include "pipelines/commands/command.h"
#include "rewards/registry.h"
#include "rewards/sandbox/pool.h"
#include "rewards/service/server.h"

namespace aha::pipelines {
namespace {

Result<rewards::Registry> MakeRegistry(const std::vector<std::string>& plugins) {
  rewards::Registry registry = rewards::Registry::BuiltIns();
  for (const std::string& plugin : plugins) AHA_TRY(registry.LoadPlugin(plugin));
  return registry;
}

// --- score --------------------------------------------------------------------------------------

struct ScoreOptions {
  std::string reward, config;
  std::vector<std::string> plugins;
  bool explain = false;
};

constexpr int kDeepestLine = 500;

bool NestsTooDeep(std::string_view text) {
  int depth = 0;
  bool quoted = false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (quoted) {
      if (c == '\\') ++i;
      if (c == '"') quoted = false;
    } else if (c == '"') {
      quoted = true;
    } else if (c == '[' || c == '{') {
      if (++depth > kDeepestLine) return true;
    } else if (c == ']' || c == '}') {
      --depth;
    }
  }
  return false;
}

// A key's text; numbers and objects as their JSON, so that a reference may be 42 as well as "42".
std::string TextOf(const Json& object, const char* key) {
  const auto it = object.find(key);
  if (it == object.end() || it->is_null()) return {};
  return it->is_string() ? it->get<std::string>() : it->dump();
}

// What the verifier found, under "explain" in the line and in words on standard error.
Json Explained(const rewards::Reward& reward, const rewards::ScoreInput& input, const Json& scored) {
  Json out = Json::object();
  std::string words = scored["id"].dump(-1, ' ', false, Json::error_handler_t::replace) + ": " +
                      (scored.contains("score") ? fmt::format("score {}", scored["score"].get<double>())
                                                : scored["failure"].get<std::string>() + ", " + scored["detail"].get<std::string>());
  for (const rewards::Finding& finding : reward.Explain(input)) {
    out[finding.name] = finding.text;
    if (!finding.text.empty()) words += fmt::format("\n  {:<18}{}", finding.name, finding.text);
  }
  std::cerr << words << '\n';
  return out;
}

Json ScoreLine(const rewards::Reward& reward, const Json& line, bool explain) {
  const std::string completion = TextOf(line, "completion"), reference = TextOf(line, "reference");
  const std::string language = TextOf(line, "language"), prompt = TextOf(line, "prompt"), id = TextOf(line, "id");
  rewards::ScoreInput input;
  input.id = id;
  input.prompt = prompt;
  input.completion = completion;
  input.reference = reference;
  input.language = language;
  if (line.contains("tokens") && line["tokens"].is_number_unsigned()) input.tokens = line["tokens"].get<std::uint32_t>();
  if (line.contains("truncated") && line["truncated"].is_boolean()) input.truncated = line["truncated"].get<bool>();
  const rewards::Outcome outcome = rewards::ScoreSafely(reward, input);
  Json out = {{"id", line.contains("id") ? line["id"] : Json(nullptr)}};
  if (outcome.has_score()) {
    out["score"] = outcome.score();
  } else {
    out["failure"] = proto::Failure::Kind_Name(outcome.failure().kind());
    out["detail"] = outcome.failure().detail();
  }
  out["ms"] = outcome.ms();
  out["reason"] = outcome.reason();
  if (explain) out["explain"] = Explained(reward, input, out);
  for (const auto& note : outcome.notes()) out[note.name()] = note.value();
  return out;
}

Status RunScore(const ScoreOptions& o) {
  AHA_ASSIGN(const rewards::Registry registry, MakeRegistry(o.plugins));
  auto reward = registry.Make(o.reward, o.config);
  if (!reward) return Fail(Code::kInvalidArgument, "{}", reward.error().message);
  std::size_t number = 0;
  for (std::string text; std::getline(std::cin, text);) {
    ++number;
    if (text.find_first_not_of(" \t\r") == std::string::npos) continue;
    // What is nested without end is not parsed: writing it out again would take the whole stack.
    const Json line = NestsTooDeep(text) ? Json() : Json::parse(text, nullptr, /*allow_exceptions=*/false);
    if (!line.is_object() || !line.contains("completion")) {
      return Fail(Code::kInvalidArgument, "standard input:{}: must be a JSON object with \"completion\", nested at most {} deep", number, kDeepestLine);
    }
    PrintJson(ScoreLine(**reward, line, o.explain));
  }
  return {};
}

// --- rewards ------------------------------------------------------------------------------------

struct ServiceArguments {
  std::vector<std::string> bind, plugins;
  int threads = 1;
  bool list = false;
};

std::atomic<bool>& StopAsked() {
  static std::atomic<bool> asked{false};
  return asked;
}

Status ListRewards(const rewards::Registry& registry) {
  for (const rewards::RewardInfo& info : registry.List()) {
    PrintLine(fmt::format("{:<14} {}{}", info.name, info.doc, info.file.empty() ? "" : "  (" + info.file + ")"));
    for (const auto& key : info.keys) PrintLine(fmt::format("    {}: {}", key.name, key.doc));
  }
  PrintLine("sandbox of code: " + rewards::sandbox::DescribeSandbox());
  return {};
}

Status RunService(const ServiceArguments& o) {
  AHA_ASSIGN(const rewards::Registry registry, MakeRegistry(o.plugins));
  if (o.list) return ListRewards(registry);
  if (o.bind.empty()) return Fail(Code::kInvalidArgument, "give at least one --bind ENDPOINT (ipc:///tmp/rewards, tcp://127.0.0.1:5555), or --list");
  zmq::context_t context;
  AHA_ASSIGN(const std::unique_ptr<rewards::Service> service,
             rewards::Service::Start(context, registry, {.endpoints = o.bind, .threads = o.threads}));
  std::signal(SIGINT, [](int) { StopAsked() = true; });
  std::signal(SIGTERM, [](int) { StopAsked() = true; });
  for (const std::string& endpoint : service->endpoints()) spdlog::info("rewards are served at {}", endpoint);
  spdlog::info("sandbox of code: {}", rewards::sandbox::DescribeSandbox());
  // Lives until it is told to stop; each round of the wait is bounded.
  while (!StopAsked()) std::this_thread::sleep_for(std::chrono::milliseconds(100));
  const rewards::ServiceCounters counters = service->counters();
  service->Stop();
  spdlog::info("stops; {} items scored, {} verdicts failed", counters.scored, counters.failed);
  return {};
}

}  // namespace

void AddRewardCommands(CLI::App& app, Action& action) {
  auto s = std::make_shared<ScoreOptions>();
  CLI::App* score = app.add_subcommand("score", "Score completions: JSONL on standard input, JSONL out");
  score->add_option("--reward", s->reward, "Name of a reward; aha rewards --list shows them")->required();
  score->add_option("--config", s->config, "Protobuf text of the reward's own keys");
  score->add_option("--plugin", s->plugins, "Shared object with rewards of your own")->allow_extra_args(false);
  score->add_flag("--explain", s->explain, "Say what was read and why it is right or wrong: \"explain\" in each line, words on standard error");
  score->callback([&action, s] { action = [s] { return RunScore(*s); }; });

  auto r = std::make_shared<ServiceArguments>();
  CLI::App* service = app.add_subcommand("rewards", "Serve rewards over ZeroMQ until stopped");
  service->add_option("--bind", r->bind, "ipc://PATH or tcp://127.0.0.1:PORT")->allow_extra_args(false);
  service->add_option("--plugin", r->plugins, "Shared object with rewards of your own")->allow_extra_args(false);
  service->add_option("--threads", r->threads, "Threads that score")->check(CLI::Range(1, 256));
  service->add_flag("--list", r->list, "List the rewards and their keys");
  service->callback([&action, r] { action = [r] { return RunService(*r); }; });
}

}  // namespace aha::pipelines
