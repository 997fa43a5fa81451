#include "rewards/registry.h"

#include <utility>

#include <fmt/ranges.h>

#include "rewards/isolate/isolated_reward.h"
#include "rewards/plugin_loader.h"
#include "rewards/text.h"
#include "rewards/verifiers/code/verifier.h"
#include "rewards/verifiers/exact.h"
#include "rewards/verifiers/format.h"
#include "rewards/verifiers/instructions/instructions.h"
#include "rewards/verifiers/language.h"
#include "rewards/verifiers/math/verifier.h"
#include "rewards/verifiers/overlength.h"
#include "rewards/verifiers/repetition.h"
#include "rewards/verifiers/steps.h"

namespace aha::rewards {
namespace {

template <class T>
RewardFactory WithoutConfig() {
  return [](const Config&) -> Result<std::unique_ptr<Reward>> { return std::make_unique<T>(); };
}

Result<std::unique_ptr<Reward>> MakeLanguage(const Config& config) {
  const std::string& fallback = config.Text("target");
  if (!fallback.empty() && !LanguageReward::Knows(fallback)) {
    return Fail(Code::kInvalidArgument,
                "language: config key 'target': no script is known for the language code '{}'; "
                "give a code such as en, zh or fr",
                ToValidUtf8(fallback));
  }
  return std::make_unique<LanguageReward>(fallback, config.Real("no_words_score"));
}

Result<std::unique_ptr<Reward>> MakeOverlength(const Config& config) {
  const std::int64_t length = config.Integer("max_length");
  const std::int64_t cache = config.Integer("cache");
  if (cache > length) {
    return Fail(Code::kInvalidArgument,
                "overlength: config key 'cache' is {}, which is more than max_length, {}", cache,
                length);
  }
  return std::make_unique<OverlengthReward>(length, cache);
}

RewardInfo RepetitionInfo() {
  return {.name = "repetition",
          .doc = "-max_penalty * (1 - distinct / all n-grams of words): 0 where nothing repeats",
          .keys = {{.name = "ngram_size",
                    .doc = "words in an n-gram",
                    .default_value = std::int64_t{3},
                    .min = 1,
                    .max = 1000},
                   {.name = "max_penalty",
                    .doc = "what a completion that only repeats itself loses",
                    .default_value = 1.0,
                    .min = 0,
                    .max = 1000}},
          .file = {},
          .sha256 = {}};
}

RewardInfo OverlengthInfo() {
  return {.name = "overlength",
          .doc = "DAPO's soft punishment: 0 up to max_length - cache tokens, then down to -1",
          .keys = {{.name = "max_length",
                    .doc = "tokens at which the score is -1",
                    .default_value = std::int64_t{20480},
                    .min = 1,
                    .max = 1e9},
                   {.name = "cache",
                    .doc = "tokens before max_length at which the punishment begins",
                    .default_value = std::int64_t{4096},
                    .min = 0,
                    .max = 1e9}},
          .file = {},
          .sha256 = {}};
}

RewardInfo StepsInfo() {
  return {.name = "steps",
          .doc =
              "share of the worked equations (3 + 4 = 7) that hold; each is a step with a score "
              "of its own, for advantage: \"process\"",
          .keys = {{.name = "right",
                    .doc = "score of an equation that holds",
                    .default_value = 1.0,
                    .min = -1000,
                    .max = 1000},
                   {.name = "wrong",
                    .doc = "score of one that does not, and of a completion without any",
                    .default_value = 0.0,
                    .min = -1000,
                    .max = 1000}},
          .file = {},
          .sha256 = {}};
}

RewardInfo InstructionsInfo() {
  return {.name = "instructions",
          .doc = "share of the reference's instructions (IFEval's kinds) that the answer keeps",
          .keys = {{.name = "all_or_nothing",
                    .doc = "true: 1 when all are kept, else 0",
                    .default_value = false}},
          .file = {},
          .sha256 = {}};
}

}  // namespace

Registry Registry::BuiltIns() {
  Registry registry;
  const auto add = [&](RewardInfo info, RewardFactory factory) {
    auto name = info.name;
    registry.entries_.emplace(std::move(name), Entry{std::move(info), std::move(factory)});
  };
  add({.name = "format",
       .doc =
           "1 when the completion is <think>...</think> <answer>...</answer> and no more, else 0",
       .keys = {},
       .file = {},
       .sha256 = {}},
      WithoutConfig<FormatReward>());
  add({.name = "language",
       .doc = "share of the thinking's words that are in the question's language",
       .keys = {{.name = "no_words_score",
                 .doc = "score of a completion whose thinking has no words",
                 .default_value = 0.0,
                 .min = -1000,
                 .max = 1000},
                {.name = "target",
                 .doc = "language code for items that name none; empty: such items fail",
                 .default_value = std::string()}},
       .file = {},
       .sha256 = {}},
      MakeLanguage);
  add({.name = "exact",
       .doc = "1 when the answer's text is the reference (NFKC, blanks folded, Latin case folded)",
       .keys = {},
       .file = {},
       .sha256 = {}},
      WithoutConfig<ExactReward>());
  add({.name = "math",
       .doc = "1 when the answer is mathematically the reference, else 0; a decimal reference is "
              "met by what rounds to it, an exact one by its value or enough decimals of it",
       .keys = {{.name = "decimals",
                 .doc = "an exact reference without end (1/3, not 1/8) is met by a decimal with at "
                        "least so many decimals and significant digits, when it is the reference "
                        "rounded or cut at its last digit (0.333333); -1: never",
                 .default_value = std::int64_t{math::kDecimals},
                 .min = -1,
                 .max = 1000}},
       .file = {},
       .sha256 = {}},
      [](const Config& config) -> Result<std::unique_ptr<Reward>> {
        return std::make_unique<MathReward>(static_cast<int>(config.Integer("decimals")));
      });
  add(RepetitionInfo(), [](const Config& config) -> Result<std::unique_ptr<Reward>> {
    return std::make_unique<RepetitionReward>(
        static_cast<std::size_t>(config.Integer("ngram_size")), config.Real("max_penalty"));
  });
  add(OverlengthInfo(), MakeOverlength);
  add(InstructionsInfo(), [](const Config& config) -> Result<std::unique_ptr<Reward>> {
    return std::make_unique<InstructionsReward>(config.Bool("all_or_nothing"));
  });
  add(StepsInfo(), [](const Config& config) -> Result<std::unique_ptr<Reward>> {
    return std::make_unique<StepsReward>(config.Real("right"), config.Real("wrong"));
  });
  add({.name = "code",
       .doc = "1 when the program passes its test cases in a sandbox, else 0",
       .keys = CodeReward::Keys(),
       .file = {},
       .sha256 = {},
       .lane = Lane::kProcess},
      CodeReward::Make);
  return registry;
}

Status Registry::Add(RewardInfo info, RewardFactory factory) {
  if (info.name.empty() || !IsValidUtf8(info.name)) {
    return Fail(Code::kInvalidArgument, "{}: a reward needs a name in UTF-8",
                info.file.empty() ? "registry" : info.file);
  }
  if (const auto found = entries_.find(info.name); found != entries_.end()) {
    const auto& other = found->second.info;
    return Fail(Code::kInvalidArgument,
                "{}: the reward name '{}' is taken by {}; give this one another name",
                info.file.empty() ? "registry" : info.file, info.name,
                other.file.empty() ? "a built-in" : other.file);
  }
  // An empty text names no key, so this refuses only keys that cannot be declared at all.
  AHA_TRY(ParseConfig(info.file.empty() ? info.name : info.file, info.keys, ""));
  auto name = info.name;
  entries_.emplace(std::move(name), Entry{std::move(info), std::move(factory)});
  return {};
}

Status Registry::LoadPlugin(const std::filesystem::path& file) {
  AHA_ASSIGN(auto plugin, rewards::LoadPlugin(file));
  const auto found = entries_.find(plugin.info.name);
  if (found != entries_.end() && found->second.info.sha256 == plugin.info.sha256) return {};
  return Add(std::move(plugin.info), std::move(plugin.factory));
}

Result<std::unique_ptr<Reward>> Registry::Make(std::string_view name,
                                               std::string_view config_text) const {
  const auto found = entries_.find(name);
  if (found == entries_.end()) {
    std::vector<std::string> names;
    for (const auto& [known, entry] : entries_)
      names.push_back(known);
    const auto nearest = NearestNames(name, names);
    return Fail(Code::kNotFound, "no reward is named '{}'; {} {}", ToValidUtf8(name.substr(0, 256)),
                nearest.empty() ? "known:" : "did you mean",
                fmt::join(nearest.empty() ? names : nearest, ", "));
  }
  const Entry& entry = found->second;
  AHA_ASSIGN(const Config config, ParseConfig(name, entry.info.keys, config_text));
  return Guard(fmt::format("making the reward '{}'", name), [&] { return entry.factory(config); });
}

Result<std::unique_ptr<Reward>> Registry::Make(const proto::RewardSpec& spec) const {
  if (!spec.has_isolation()) return Make(spec.name(), spec.config());
  const auto found = entries_.find(spec.name());
  if (found == entries_.end()) return Make(spec.name(), spec.config());  // says that there is none
  const RewardInfo& info = found->second.info;
  if (info.file.empty()) {
    return Fail(Code::kInvalidArgument,
                "{}: only a plug-in can run in a process of its own, this reward is built in",
                info.name);
  }
  AHA_ASSIGN(const Config config, ParseConfig(info.name, info.keys, spec.config()));
  return MakeIsolated(info, config, spec.isolation());
}

const RewardInfo* Registry::Find(std::string_view name) const {
  const auto found = entries_.find(name);
  return found == entries_.end() ? nullptr : &found->second.info;
}

std::vector<RewardInfo> Registry::List() const {
  std::vector<RewardInfo> out;
  for (const auto& [name, entry] : entries_)
    out.push_back(entry.info);
  return out;
}

}  // namespace aha::rewards
