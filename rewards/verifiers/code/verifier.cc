#include "rewards/verifiers/code/verifier.h"

#include <algorithm>
#include <cmath>
#include <mutex>
#include <set>
#include <string>
#include <utility>

#include "base/log.h"
#include "rewards/text.h"
#include "rewards/verifiers/code/program.h"

namespace aha::rewards {
namespace {

using code::Comparison;

ConfigKey Number(std::string name, std::string doc, double value, double min, double max) {
  return {std::move(name), std::move(doc), value, min, max};
}
ConfigKey Whole(std::string name, std::string doc, std::int64_t value, double min, double max) {
  return {std::move(name), std::move(doc), value, min, max};
}
ConfigKey Text(std::string name, std::string doc, std::string value) {
  return {std::move(name), std::move(doc), std::move(value)};
}

Status OneOf(const Config& config,
             std::string_view key,
             std::initializer_list<std::string_view> values) {
  const std::string& value = config.Text(key);
  if (std::find(values.begin(), values.end(), value) != values.end()) return {};
  return Fail(Code::kInvalidArgument, "code: config key '{}': '{}' is none of: {}", key, value,
              fmt::join(values, ", "));
}

std::uint64_t Milliseconds(double seconds) {
  return static_cast<std::uint64_t>(std::ceil(seconds * 1000));
}

sandbox::Limits RunLimits(const Config& config) {
  sandbox::Limits l;
  l.cpu_ms = Milliseconds(config.Real("time_limit"));
  l.wall_ms = Milliseconds(config.Real("wall_limit"));
  l.memory = static_cast<std::uint64_t>(config.Integer("memory_mb")) << 20;
  l.address_space = 2 * l.memory + (1ULL << 30);
  l.output = static_cast<std::uint64_t>(config.Integer("output_kb")) << 10;
  l.tmp = static_cast<std::uint64_t>(config.Integer("files_mb")) << 20;
  l.processes = static_cast<std::uint64_t>(config.Integer("processes"));
  return l;
}

sandbox::Limits CompileLimits(const Config& config) {
  sandbox::Limits l;
  l.cpu_ms = Milliseconds(config.Real("compile_limit"));
  l.wall_ms = 2 * l.cpu_ms;
  l.memory = static_cast<std::uint64_t>(config.Integer("compile_memory_mb")) << 20;
  l.address_space = 2 * l.memory + (1ULL << 30);
  l.output = 1ULL << 20;
  l.tmp = 256ULL << 20;
  return l;
}

Outcome WithVerdict(Outcome outcome, std::string_view verdict) {
  AddNote("verdict", verdict, &outcome);
  return outcome;
}

// Once a process for each thing there is to say.
void SayOnce(const std::string& standing) {
  static std::mutex mutex;
  static std::set<std::string> said;
  const std::lock_guard lock(mutex);
  if (said.insert(standing).second) spdlog::info("code: sandbox: {}", standing);
}

}  // namespace

std::vector<ConfigKey> CodeReward::Keys() {
  return {
      Number("time_limit", "processor seconds of one test case, all its processes together", 5,
             0.01, 3600),
      Number("wall_limit", "seconds that one test case may last", 10, 0.01, 3600),
      Number("item_limit", "seconds that all test cases of an item may last together", 60, 0.01,
             86400),
      Number("compile_limit", "processor seconds for compiling; twice that on the clock", 20, 0.1,
             3600),
      Number("wait_limit", "seconds to wait for a free sandbox; then the item fails", 60, 0, 86400),
      Whole("memory_mb", "MiB of one test case, all its processes together", 512, 16, 1 << 20),
      Whole("compile_memory_mb", "MiB for compiling", 1024, 64, 1 << 20),
      Whole("output_kb", "KiB of standard output, of standard error and of a returned value", 8192,
            1, 1 << 20),
      Whole("files_mb", "MiB of files that a program may write", 64, 1, 1 << 16),
      Whole("processes", "processes and threads of a program at once", 32, 1, 4096),
      Text("comparison",
           "of output: whitespace (words), exact (bytes), float (words, numbers near)",
           "whitespace"),
      Number("tolerance", "for comparison float: absolute or relative", 1e-6, 0, 1),
      Text("score", "all (1 when all test cases pass) or fraction (their share)", "all"),
      Text("language", "python or cpp, for references that name none; empty: such items fail", ""),
      Text("cpp_standard", "c++17, c++20 or c++23", "c++20"),
      Whole("slots", "sandboxes at once; 0: one for each processor", 0, 0, 256),
      {.name = "allow_unsafe",
       .doc = "run programs without namespaces where the kernel gives none: they see this "
              "machine's files",
       .default_value = false},
  };
}

Result<std::unique_ptr<Reward>> CodeReward::Make(const Config& config) {
  AHA_TRY(OneOf(config, "comparison", {"whitespace", "exact", "float"}));
  AHA_TRY(OneOf(config, "score", {"all", "fraction"}));
  AHA_TRY(OneOf(config, "language", {"", "python", "cpp"}));
  AHA_TRY(OneOf(config, "cpp_standard", {"c++17", "c++20", "c++23"}));
  sandbox::PoolOptions options;
  options.slots = static_cast<std::size_t>(config.Integer("slots"));
  for (const sandbox::Limits& l : {RunLimits(config), CompileLimits(config)}) {
    auto& group = options.group_limits;
    group.memory = std::max<std::uint64_t>(group.memory, l.memory + l.tmp + (64ULL << 20));
    group.processes = std::max(group.processes, l.processes + 16);
  }
  auto pool = sandbox::Pool::Start(options);
  if (!pool && config.Bool("allow_unsafe")) {
    spdlog::warn("code: {}; allow_unsafe: goes on without", pool.error().message);
    options.unsafe = true;
    pool = sandbox::Pool::Start(options);
  }
  if (!pool) {
    return Fail(
        Code::kInternal,
        "code: {}. Programs are not run outside a sandbox; install bubblewrap, allow "
        "unprivileged user namespaces, or set allow_unsafe: true on a machine that may be lost",
        pool.error().message);
  }
  SayOnce((*pool)->standing());
  return std::unique_ptr<Reward>(new CodeReward(config, *std::move(pool)));
}

CodeReward::CodeReward(const Config& config, std::unique_ptr<sandbox::Pool> pool)
    : pool_(std::move(pool)),
      fraction_(config.Text("score") == "fraction"),
      language_(config.Text("language")),
      wait_(Milliseconds(config.Real("wait_limit"))) {
  rules_.limits = RunLimits(config);
  rules_.compile_limits = CompileLimits(config);
  rules_.item_ms = Milliseconds(config.Real("item_limit"));
  const std::string& comparison = config.Text("comparison");
  rules_.comparison.how = comparison == "exact"   ? Comparison::How::kExact
                          : comparison == "float" ? Comparison::How::kFloat
                                                  : Comparison::How::kBlanks;
  rules_.comparison.tolerance = config.Real("tolerance");
  rules_.cpp_standard = config.Text("cpp_standard");
  rules_.stop_at_failure = !fraction_;
}

Result<code::Judgement> CodeReward::JudgeOnce(const code::Reference& reference,
                                              std::string_view program) const {
  AHA_ASSIGN(auto slot, pool_->Take(Deadline::After(wait_)));
  return code::Judge(rules_, reference, program, slot.get());
}

std::vector<Finding> CodeReward::Explain(const ScoreInput& input) const {
  const auto reference = code::ParseReference(input.reference, language_);
  if (!reference) return {{"fault", reference.error().message}};
  const std::string_view program = code::ExtractProgram(input.completion);
  const bool whole = program.size() == input.completion.size();
  std::vector<Finding> findings = {
      {"found", whole ? "the whole completion" : "the last fenced block, or the answer"},
      {"program", Excerpt(program)},
      {"language", reference->language == code::Language::kCpp ? "cpp" : "python"},
      {"cases", fmt::format("{} of input and output, {} calls{}", reference->tests.size(),
                            reference->calls.size(),
                            reference->calls.empty() ? "" : " of " + reference->function)}};
  const auto judged = JudgeOnce(*reference, program);
  if (!judged) {
    findings.push_back({"fault", judged.error().message});
    return findings;
  }
  findings.push_back({"verdict", std::string(code::Name(judged->verdict))});
  findings.push_back({"passed", fmt::format("{} of {}{}", judged->passed, judged->total,
                                            judged->passed + 1 < judged->total && !fraction_
                                                ? "; those behind the first that fails are not run"
                                                : "")});
  findings.push_back({"longest_ms", fmt::format("{:.1f}", judged->longest_ms)});
  if (!judged->reason.empty()) findings.push_back({"why", Excerpt(judged->reason, 800)});
  return findings;
}

Outcome CodeReward::Score(const ScoreInput& input) const {
  const auto reference = code::ParseReference(input.reference, language_);
  if (!reference) {
    return Failed(proto::Failure::BAD_REFERENCE, "code: reference: " + reference.error().message);
  }
  const bool cpp = reference->language == code::Language::kCpp;
  if (cpp ? !pool_->layout().compiler : !pool_->layout().python) {
    return WithVerdict(Failed(proto::Failure::CRASH, cpp ? "code: there is no /usr/bin/g++"
                                                         : "code: there is no /usr/bin/python3"),
                       "IE");
  }
  const std::string_view program = code::ExtractProgram(input.completion);
  auto judged = JudgeOnce(*reference, program);
  // Once more, so that a sandbox that broke by chance, or was broken, decides nothing.
  if (!judged && judged.error().code != Code::kTimeout) judged = JudgeOnce(*reference, program);
  if (!judged) {
    const bool late = judged.error().code == Code::kTimeout;
    return WithVerdict(Failed(late ? proto::Failure::TIMEOUT : proto::Failure::CRASH,
                              "code: " + judged.error().message),
                       "IE");
  }
  const double share = static_cast<double>(judged->passed) / static_cast<double>(judged->total);
  return WithVerdict(Scored(fraction_ ? share : std::floor(share), judged->reason),
                     code::Name(judged->verdict));
}

}  // namespace aha::rewards
