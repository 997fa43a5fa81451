// aha score, aha rewards, aha keygen.

#include <atomic>
#include <chrono>
#include <csignal>
#include <iostream>
#include <memory>
#include <optional>
#include <thread>

#include <zmq.hpp>

#include "base/log.h"
#include "pipelines/commands/command.h"
#include "rewards/registry.h"
#include "rewards/sandbox/pool.h"
#include "rewards/service/client.h"
#include "rewards/service/server.h"
#include "rewards/text.h"

namespace aha::pipelines {
namespace {

Result<rewards::Registry> MakeRegistry(const std::vector<std::string>& plugins) {
  rewards::Registry registry = rewards::Registry::BuiltIns();
  for (const std::string& plugin : plugins)
    AHA_TRY(registry.LoadPlugin(plugin));
  return registry;
}

// --- score --------------------------------------------------------------------------------------

struct ScoreOptions {
  std::string reward, config;
  std::vector<std::string> plugins;
  bool explain = false;
};

constexpr int kDeepestLine = 500;

// The first byte that is no UTF-8; the size where all is well.
std::size_t FirstInvalid(std::string_view text) {
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t start = at;
    if (!rewards::DecodeNext(text, &at).valid) return start;
  }
  return text.size();
}

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

// An object with a completion, or what is wrong with the line.
Result<Json> ParseLine(const std::string& text) {
  if (const std::size_t bad = FirstInvalid(text); bad < text.size()) {
    return Fail(Code::kInvalidArgument,
                "not UTF-8 at byte {}, as JSON must be; write U+FFFD (\\ufffd) for such bytes",
                bad + 1);
  }
  // What is nested without end is not parsed: writing it out again would take the whole stack.
  if (NestsTooDeep(text))
    return Fail(Code::kInvalidArgument, "nested more than {} deep", kDeepestLine);
  try {
    Json line = Json::parse(text);
    if (line.is_object() && line.contains("completion")) return line;
    return Fail(Code::kInvalidArgument,
                "must be a JSON object with \"completion\", as {{\"completion\": \"... 42\", "
                "\"reference\": \"42\"}}");
  } catch (const Json::parse_error& error) {
    // "[...] parse error at ...: syntax error ... - what is wrong; last read: ..."
    const std::string_view said = error.what();
    const auto from = said.find(" - "), to = said.find("; last read");
    const std::string_view what =
        from < to && to != std::string_view::npos ? said.substr(from, to - from) : "";
    return Fail(Code::kInvalidArgument, "not JSON at byte {}{}", error.byte, what.substr(0, 120));
  }
}

// A key's text; numbers and objects as their JSON, so that a reference may be 42 as well as "42".
std::string TextOf(const Json& object, const char* key) {
  const auto it = object.find(key);
  if (it == object.end() || it->is_null()) return {};
  return it->is_string() ? it->get<std::string>() : it->dump();
}

// A failure is no score: who has to act.
std::string ToDo(const std::string& failure) {
  if (failure == proto::Failure::Kind_Name(proto::Failure::BAD_REFERENCE))
    return "correct the item's reference, or leave the item out: no completion can be scored "
           "against it";
  if (failure == proto::Failure::Kind_Name(proto::Failure::TIMEOUT))
    return "give the reward more time, or the item less work; nothing is said about the completion";
  return "the verifier or the machine is at fault, not the completion: see the detail";
}

// What the verifier found, under "explain" in the line and in words on standard error.
Json Explained(const rewards::Reward& reward,
               const rewards::ScoreInput& input,
               const Json& scored) {
  Json out = Json::object();
  std::string words =
      scored["id"].dump(-1, ' ', false, Json::error_handler_t::replace) + ": " +
      (scored.contains("score")
           ? fmt::format("score {}", scored["score"].get<double>())
           : scored["failure"].get<std::string>() + ", " + scored["detail"].get<std::string>());
  const auto say = [&words](std::string_view name, const std::string& text) {
    if (!text.empty()) words += fmt::format("\n  {:<18}{}", name, text);
  };
  bool reasoned = false;
  for (const rewards::Finding& finding : reward.Explain(input)) {
    out[finding.name] = finding.text;
    reasoned = reasoned || finding.name == "reason" || finding.name == "why";
    // The first line has said it.
    if (finding.name != "fault" || scored.contains("score")) say(finding.name, finding.text);
  }
  if (!reasoned) say("reason", scored["reason"].get<std::string>());
  if (!scored.contains("score")) {
    out["to_do"] = ToDo(scored["failure"].get<std::string>());
    say("to_do", out["to_do"].get<std::string>());
  }
  std::cerr << words << '\n';
  return out;
}

Json ScoreLine(const rewards::Reward& reward, const Json& line, bool explain) {
  const std::string completion = TextOf(line, "completion"), reference = TextOf(line, "reference");
  const std::string language = TextOf(line, "language"), prompt = TextOf(line, "prompt"),
                    id = TextOf(line, "id");
  rewards::ScoreInput input;
  input.id = id;
  input.prompt = prompt;
  input.completion = completion;
  input.reference = reference;
  input.language = language;
  if (line.contains("tokens") && line["tokens"].is_number_unsigned())
    input.tokens = line["tokens"].get<std::uint32_t>();
  if (line.contains("truncated") && line["truncated"].is_boolean())
    input.truncated = line["truncated"].get<bool>();
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
  for (const auto& note : outcome.notes())
    out[note.name()] = note.value();
  for (const auto& step : outcome.steps())
    out["steps"].push_back({{"end", step.end()}, {"score", step.score()}});
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
    auto parsed = ParseLine(text);
    if (!parsed) {
      return Fail(Code::kInvalidArgument,
                  "standard input:{}: {}; it and what follows is not scored", number,
                  parsed.error().message);
    }
    const Json& line = *parsed;
    PrintJson(ScoreLine(**reward, line, o.explain));
  }
  return {};
}

// --- rewards ------------------------------------------------------------------------------------

struct ServiceArguments {
  std::vector<std::string> bind, plugins;
  std::string status, key, allow, server_key;
  int threads = 1, slots = 0;
  double drain_s = 10, timeout_s = 5;
  bool list = false, json = false;
};

std::atomic<bool>& StopAsked() {
  static std::atomic<bool> asked{false};
  return asked;
}

std::string RangeText(const rewards::ConfigKey& key) {
  if (key.min && key.max) return fmt::format(", {} to {}", *key.min, *key.max);
  if (key.min) return fmt::format(", at least {}", *key.min);
  return key.max ? fmt::format(", at most {}", *key.max) : std::string();
}

Status ListRewards(const rewards::Registry& registry, bool as_json) {
  Json list = Json::array();
  for (const rewards::RewardInfo& info : registry.List()) {
    Json keys = Json::array();
    if (!as_json)
      PrintLine(fmt::format("{:<14} {}{}", info.name, info.doc,
                            info.file.empty() ? "" : "  (" + info.file + ")"));
    for (const auto& key : info.keys) {
      const std::string type(rewards::TypeName(key.default_value)),
          value = rewards::ValueText(key.default_value);
      keys.push_back({{"name", key.name}, {"type", type}, {"default", value}, {"doc", key.doc}});
      if (!as_json)
        PrintLine(fmt::format("    {} ({}, default {}{}): {}", key.name, type, value,
                              RangeText(key), key.doc));
    }
    list.push_back({{"name", info.name},
                    {"doc", info.doc},
                    {"file", info.file},
                    {"sha256", info.sha256},
                    {"keys", keys}});
  }
  if (as_json) PrintJson({{"rewards", list}});
  return {};
}

Json FailuresJson(const google::protobuf::RepeatedPtrField<proto::FailureCount>& failures) {
  Json json = Json::object();
  for (const auto& failure : failures)
    json[proto::Failure::Kind_Name(failure.kind())] = failure.count();
  return json;
}

Json StatusJson(const std::string& endpoint, const proto::ServiceStatus& s) {
  Json rewards = Json::object();
  for (const auto& reward : s.rewards()) {
    rewards[reward.name()] = {{"scored", reward.scored()},
                              {"failures", FailuresJson(reward.failures())},
                              {"p50_ms", reward.p50_ms()},
                              {"p99_ms", reward.p99_ms()}};
  }
  return {{"endpoint", endpoint},
          {"uptime_s", static_cast<double>(s.uptime_ms()) / 1000},
          {"threads", s.threads()},
          {"process_slots", s.process_slots()},
          {"stuck_threads", s.stuck_threads()},
          {"draining", s.draining()},
          {"queue_depth", s.queued()},
          {"open", s.open()},
          {"requests", s.requests()},
          {"items", s.items()},
          {"failed", s.failed()},
          {"failures", FailuresJson(s.failures())},
          {"retries", s.retries()},
          {"refused_busy", s.refused_busy()},
          {"refused_other", s.refused_other()},
          {"kept_replies", s.kept_replies()},
          {"kept_reply_bytes", s.kept_reply_bytes()},
          {"p50_ms", s.p50_ms()},
          {"p99_ms", s.p99_ms()},
          {"rewards", rewards}};
}

void PrintStatus(const std::string& endpoint, const proto::ServiceStatus& s) {
  PrintLine(fmt::format("{}: up {:.0f} s{}, {} threads, {} process slots, {} stuck", endpoint,
                        static_cast<double>(s.uptime_ms()) / 1000, s.draining() ? ", draining" : "",
                        s.threads(), s.process_slots(), s.stuck_threads()));
  PrintLine(
      fmt::format("requests: {} answered (p50 {:.2f} ms, p99 {:.2f} ms), {} open, {} queued; {} "
                  "retries, {} refused as busy, {} otherwise",
                  s.requests(), s.p50_ms(), s.p99_ms(), s.open(), s.queued(), s.retries(),
                  s.refused_busy(), s.refused_other()));
  PrintLine(fmt::format("items: {}; outcomes that failed: {} {}", s.items(), s.failed(),
                        FailuresJson(s.failures()).dump()));
  for (const auto& reward : s.rewards()) {
    PrintLine(fmt::format("  {:<14} {} scored, failures {}, p50 {:.3f} ms, p99 {:.3f} ms",
                          reward.name(), reward.scored(), FailuresJson(reward.failures()).dump(),
                          reward.p50_ms(), reward.p99_ms()));
  }
}

Status RunStatus(const ServiceArguments& o) {
  std::optional<rewards::ClientCurve> curve;
  if (!o.key.empty()) {
    if (o.server_key.empty())
      return Fail(Code::kInvalidArgument,
                  "--key needs --server-key, the file with the service's public key");
    curve.emplace();
    AHA_ASSIGN(curve->keys, rewards::ReadSecretKey(o.key));
    AHA_ASSIGN(curve->server_key, rewards::ReadPublicKey(o.server_key));
  }
  zmq::context_t context;
  const auto patience = std::chrono::milliseconds(static_cast<std::int64_t>(o.timeout_s * 1000));
  AHA_ASSIGN(const proto::ServiceStatus status,
             rewards::AskStatus(context, o.status, curve, Deadline::After(patience)));
  // What this machine would run programs in: the service's own, where it is here.
  const std::string sandbox = rewards::sandbox::DescribeSandbox();
  if (o.json) {
    Json json = StatusJson(o.status, status);
    json["sandbox_here"] = sandbox;
    PrintJson(json);
  } else {
    PrintStatus(o.status, status);
    PrintLine("sandbox of code on this machine: " + sandbox);
  }
  return {};
}

Result<std::optional<rewards::ServerCurve>> ServerKeys(const ServiceArguments& o) {
  if (o.key.empty() != o.allow.empty()) {
    return Fail(
        Code::kInvalidArgument,
        "--key (the service's secret key) and --allow (the clients' public keys) go together");
  }
  if (o.key.empty()) return std::nullopt;
  rewards::ServerCurve curve;
  AHA_ASSIGN(curve.keys, rewards::ReadSecretKey(o.key));
  AHA_ASSIGN(curve.allowed, rewards::ReadAllowList(o.allow));
  return curve;
}

Status RunService(const ServiceArguments& o) {
  if (!o.status.empty()) return RunStatus(o);
  AHA_ASSIGN(const rewards::Registry registry, MakeRegistry(o.plugins));
  if (o.list) return ListRewards(registry, o.json);
  if (o.bind.empty())
    return Fail(Code::kInvalidArgument,
                "give at least one --bind ENDPOINT (ipc:///tmp/rewards, tcp://127.0.0.1:5555), "
                "--status ENDPOINT or --list");
  AHA_ASSIGN(const auto curve, ServerKeys(o));
  zmq::context_t context;
  rewards::ServiceOptions options{
      .endpoints = o.bind, .threads = o.threads, .process_slots = o.slots, .curve = curve};
  AHA_ASSIGN(const std::unique_ptr<rewards::Service> service,
             rewards::Service::Start(context, registry, std::move(options)));
  std::signal(SIGINT, [](int) { StopAsked() = true; });
  std::signal(SIGTERM, [](int) { StopAsked() = true; });
  for (const std::string& endpoint : service->endpoints())
    spdlog::info("rewards are served at {}{}", endpoint, curve ? ", encrypted" : "");
  spdlog::info("sandbox of code: {}", rewards::sandbox::DescribeSandbox());
  // Lives until it is told to stop; each round of the wait is bounded.
  while (!StopAsked())
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
  spdlog::info("is told to stop: takes nothing new, finishes what it has within {} s", o.drain_s);
  const bool drained =
      service->Drain(std::chrono::milliseconds(static_cast<std::int64_t>(o.drain_s * 1000)));
  const rewards::ServiceCounters counters = service->counters();
  service->Stop();
  spdlog::info("stops{}; {} items scored, {} verdicts failed",
               drained ? "" : " with requests unanswered", counters.scored, counters.failed);
  return {};
}

// --- keygen -------------------------------------------------------------------------------------

Status RunKeygen(const std::string& prefix, bool as_json) {
  AHA_ASSIGN(const rewards::CurveKeys keys, rewards::MakeCurveKeys());
  AHA_TRY(rewards::WriteCurveKeys(prefix, keys));
  if (as_json) {
    PrintJson({{"public", prefix + ".public"},
               {"secret", prefix + ".secret"},
               {"public_key", keys.public_key}});
  } else {
    PrintLine(fmt::format("{}.public {}", prefix, keys.public_key));
    PrintLine(fmt::format("{}.secret keep it to yourself", prefix));
  }
  return {};
}

}  // namespace

void AddRewardCommands(CLI::App& app, Action& action) {
  auto s = std::make_shared<ScoreOptions>();
  CLI::App* score =
      app.add_subcommand("score", "Score completions: JSONL on standard input, JSONL out");
  score->add_option("--reward", s->reward, "Name of a reward; aha rewards --list shows them")
      ->required();
  score->add_option("--config", s->config, "Protobuf text of the reward's own keys");
  score->add_option("--plugin", s->plugins, "Shared object with rewards of your own")
      ->allow_extra_args(false);
  score->add_flag("--explain", s->explain,
                  "Say what was read and why it is right or wrong: \"explain\" in each line, words "
                  "on standard error");
  score->callback([&action, s] { action = [s] { return RunScore(*s); }; });

  auto r = std::make_shared<ServiceArguments>();
  CLI::App* service = app.add_subcommand("rewards", "Serve rewards over ZeroMQ until stopped");
  service
      ->add_option("--bind", r->bind,
                   "ipc://PATH or tcp://127.0.0.1:PORT; with --key any tcp://HOST:PORT")
      ->allow_extra_args(false);
  service->add_option("--plugin", r->plugins, "Shared object with rewards of your own")
      ->allow_extra_args(false);
  service->add_option("--threads", r->threads, "Threads that score")->check(CLI::Range(1, 256));
  service
      ->add_option("--slots", r->slots,
                   "Threads for rewards that run processes (sandboxes, isolated plug-ins); 0: as "
                   "many as --threads")
      ->check(CLI::Range(0, 256));
  service->add_option(
      "--key", r->key,
      "File with the secret key of this end, made by aha keygen: every connection is encrypted");
  service->add_option("--allow", r->allow,
                      "File with the public keys of those who may connect, one a line");
  service->add_option("--drain", r->drain_s, "Seconds to finish what is at hand when told to stop")
      ->check(CLI::Range(0.0, 86400.0));
  service->add_option("--status", r->status, "Ask the service at this endpoint how it is doing");
  service->add_option("--server-key", r->server_key,
                      "With --status: file with the service's public key");
  service->add_option("--timeout", r->timeout_s, "With --status: seconds to wait for it")
      ->check(CLI::Range(0.001, 86400.0));
  service->add_flag("--json", r->json, "With --status or --list: one line of JSON");
  service->add_flag("--list", r->list, "List the rewards and their keys");
  service->callback([&action, r] { action = [r] { return RunService(*r); }; });

  auto prefix = std::make_shared<std::string>("aha");
  auto as_json = std::make_shared<bool>(false);
  CLI::App* keygen = app.add_subcommand(
      "keygen", "Make a key pair for encrypted connections: PREFIX.public and PREFIX.secret");
  keygen->add_option("--out", *prefix, "Where to write: a path without its ending")
      ->capture_default_str();
  keygen->add_flag("--json", *as_json, "One line of JSON");
  keygen->callback([&action, prefix, as_json] {
    action = [prefix, as_json] { return RunKeygen(*prefix, *as_json); };
  });
}

}  // namespace aha::pipelines
