#include <algorithm>
#include <set>
#include <string>
#include <vector>

#include <fmt/ranges.h>

#include "pipelines/recipes/nearest.h"
#include "pipelines/recipes/presets.h"
#include "pipelines/recipes/schema.h"
#include "pipelines/recipes/validate.h"

namespace aha::pipelines {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kLongestName = 64;
constexpr double kShareSlack = 1e-9;  // 0.7 + 0.2 + 0.1 is not 1 in binary

bool MadeOf(std::string_view name, std::string_view more) {
  return !name.empty() && std::all_of(name.begin(), name.end(), [&](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
           more.find(c) != std::string_view::npos;
  });
}

// Names become folders, so neither may leave its parent, hide, or look like an option.
void CheckRecipeName(const proto::Recipe& recipe, Problems& problems) {
  const std::string& name = recipe.name();
  if (name.empty()) return;  // refused as missing
  const bool legal = MadeOf(name, "_-.ABCDEFGHIJKLMNOPQRSTUVWXYZ") && name.size() <= kLongestName &&
                     name.front() != '.' && name.front() != '-';
  if (!legal) {
    problems.Add(
        "name",
        "`name` is \"{}\"; a run directory is named after it: letters, digits, _ - . only, at "
        "most {}, not beginning with . or -",
        name, kLongestName);
  }
}

void CheckStageName(const std::string& name, const std::string& path, Problems& problems) {
  if (name.empty()) return;  // refused as missing
  const std::string at = path + ".name";
  if (!MadeOf(name, "_-") || name.front() == '-' || name.size() > kLongestName) {
    problems.Add(
        at,
        "stage name \"{}\" is not legal; it names a folder: a-z, 0-9, _ and - only, at most {}, "
        "not beginning with -",
        name, kLongestName);
  } else if (name == "model" || name == "lock") {
    problems.Add(at, "stage name \"{}\" is taken: {}; choose another", name,
                 name == "model" ? "`init: \"model\"` means the recipe's model"
                                 : "the run directory has a file of that name");
  }
}

void CheckRewardKeys(const proto::Recipe& recipe, Problems& problems) {
  if (recipe.reward_key().empty()) return;
  if (recipe.reward_server_key().empty()) {
    problems.Add(
        "reward_key",
        "`reward_key` needs `reward_server_key` too: the file with the services' public key");
  }
  if (recipe.reward_endpoint().empty()) {
    problems.Add("reward_key",
                 "`reward_key` is for services elsewhere, and no `reward_endpoint` is set");
  }
}

bool LooksLikePath(const std::string& text) {
  return text.find('/') != std::string::npos || text.starts_with('.') || text.starts_with('~');
}

// Checks of one stage against those before it.
class StageChecker {
 public:
  StageChecker(const proto::Recipe& recipe, int index, const fs::path& folder, Problems& problems)
      : recipe_(recipe),
        index_(index),
        stage_(recipe.stage(index)),
        path_(JoinPath("", "stage", index)),
        folder_(folder),
        problems_(problems) {}

  void Check() {
    CheckStageName(stage_.name(), path_, problems_);
    for (int i = 0; i < index_; ++i) {
      if (!stage_.name().empty() && recipe_.stage(i).name() == stage_.name()) {
        problems_.Add(path_ + ".name", "stage name \"{}\" is given twice; names must differ",
                      stage_.name());
        break;
      }
    }
    CheckInit();
    switch (stage_.kind_case()) {
      case proto::Stage::kPretrain:
        return CheckPretrain(stage_.pretrain(), path_ + ".pretrain");
      case proto::Stage::kSft:
        return CheckSft(stage_.sft(), path_ + ".sft");
      case proto::Stage::kRl:
        return CheckRl(stage_.rl(), path_ + ".rl");
      case proto::Stage::kReject:
        return CheckReject(stage_.reject(), path_ + ".reject");
      case proto::Stage::KIND_NOT_SET:
        problems_.Add(
            path_, "stage \"{}\" says not what it does: give it one of pretrain, sft, rl, reject",
            stage_.name());
    }
  }

 private:
  void CheckInit() {
    const std::string at = path_ + ".init";
    if (stage_.kind_case() == proto::Stage::kPretrain) {
      if (stage_.has_init()) {
        problems_.Add(
            at,
            "`init` is set but never read because pretrain starts from random weights; remove it");
      }
      return;
    }
    const std::string& init = stage_.init();
    if (init == "model" || LooksLikePath(init)) return;
    std::vector<std::string> makers = {"model"};
    for (int i = 0; i < recipe_.stage_size(); ++i) {
      const proto::Stage& other = recipe_.stage(i);
      const bool makes = !other.has_reject();
      if (i < index_ && makes) makers.push_back(other.name());
      if (other.name() != init) continue;
      if (i < index_ && makes) return;
      problems_.Add(at, "`init` is \"{}\", {}", init,
                    i == index_  ? "this stage itself; it needs an earlier one"
                    : i > index_ ? "which comes later; it needs an earlier stage"
                                 : "a reject stage, which makes samples and no checkpoint");
      return;
    }
    std::error_code ignored;
    if (fs::is_directory(folder_ / init, ignored)) return;
    problems_.Add(
        at,
        "`init` is \"{}\", which is no earlier stage and no folder; {} (a folder is written ./{})",
        init, Suggestion(init, makers), init);
  }

  // Every weight zero leaves nothing to draw from.
  template <class Mixes>
  void CheckMix(const Mixes& mixes, const std::string& path) {
    double sum = 0;
    for (const proto::TaskMix& mix : mixes)
      sum += mix.weight();
    if (!mixes.empty() && !(sum > 0))
      problems_.Add(path + "[0]", "all weights are 0: nothing could be drawn");
  }

  void CheckPrompts(const proto::Prompts& prompts, const std::string& path) {
    if ((prompts.task_size() > 0) == prompts.has_jsonl()) {
      problems_.Add(path, "`prompts` needs exactly one of task and jsonl; {}",
                    prompts.has_jsonl() ? "both are given" : "neither is given");
    }
    CheckMix(prompts.task(), path + ".task");
  }

  void CheckPretrain(const proto::Pretrain& pretrain, const std::string& path) {
    CheckOptimizer(pretrain.optimizer(), path + ".optimizer");
    CheckArchitecture(pretrain.architecture(), path + ".architecture");
    const proto::Corpus& corpus = pretrain.corpus();
    if (corpus.task_size() == 0) {
      problems_.Add(path + ".corpus",
                    "`corpus` needs at least one task: the problems its documents are about");
    }
    CheckMix(corpus.task(), path + ".corpus.task");
    const double shares =
        corpus.bare() + corpus.steps_same() + corpus.steps_other() + corpus.steps_mixed();
    if (shares > 1 + kShareSlack) {
      problems_.Add(path + ".corpus",
                    "bare + steps_same + steps_other + steps_mixed is {:.6g}; shares must not "
                    "add up to more than 1",
                    shares);
    }
  }

  void CheckArchitecture(const proto::Architecture& a, const std::string& path) {
    const auto at = [&](const char* key) { return path + "." + key; };
    const std::uint32_t experts = a.n_routed_experts(), chosen = a.num_experts_per_tok();
    if (chosen > experts) {
      problems_.Add(at("num_experts_per_tok"),
                    "`num_experts_per_tok` is {}, more than the {} of n_routed_experts", chosen,
                    experts);
    }
    if (a.n_group() > 0 && experts % a.n_group() != 0) {
      problems_.Add(at("n_group"), "`n_group` is {}, which does not divide n_routed_experts = {}",
                    a.n_group(), experts);
    } else if (a.topk_group() > a.n_group()) {
      problems_.Add(at("topk_group"), "`topk_group` is {}, more than the {} of n_group",
                    a.topk_group(), a.n_group());
    } else if (a.n_group() > 0 && chosen <= experts &&
               chosen > experts / a.n_group() * a.topk_group()) {
      problems_.Add(at("num_experts_per_tok"),
                    "`num_experts_per_tok` is {}, but the {} groups that are kept "
                    "(topk_group) hold only {} experts",
                    chosen, a.topk_group(), experts / a.n_group() * a.topk_group());
    }
    if (a.qk_rope_head_dim() % 2 != 0) {
      problems_.Add(at("qk_rope_head_dim"),
                    "`qk_rope_head_dim` is {}; rotation works on pairs: it must be even",
                    a.qk_rope_head_dim());
    }
    if (a.first_k_dense_replace() > a.num_hidden_layers()) {
      problems_.Add(at("first_k_dense_replace"),
                    "`first_k_dense_replace` is {}, more than the {} of "
                    "num_hidden_layers",
                    a.first_k_dense_replace(), a.num_hidden_layers());
    }
  }

  void CheckSft(const proto::Sft& sft, const std::string& path) {
    CheckOptimizer(sft.optimizer(), path + ".optimizer");
    if ((sft.from_size() > 0) == sft.has_jsonl()) {
      problems_.Add(path, "`sft` needs exactly one of from and jsonl; {}",
                    sft.has_jsonl() ? "both are given" : "neither is given");
    }
    std::vector<std::string> rejects;
    for (int i = 0; i < index_; ++i) {
      if (recipe_.stage(i).has_reject()) rejects.push_back(recipe_.stage(i).name());
    }
    std::set<std::string> seen;
    for (int i = 0; i < sft.from_size(); ++i) {
      const std::string& from = sft.from(i);
      const std::string at = JoinPath(path, "from", i);
      if (std::find(rejects.begin(), rejects.end(), from) == rejects.end()) {
        problems_.Add(at, "`from` names \"{}\", which is no earlier reject stage; {}", from,
                      Suggestion(from, rejects));
      } else if (!seen.insert(from).second) {
        problems_.Add(at, "`from` names \"{}\" twice", from);
      }
    }
  }

  void CheckRl(const proto::Rl& rl, const std::string& path) {
    CheckPrompts(rl.prompts(), path + ".prompts");
    if (rl.reward_size() == 0) problems_.Add(path, "`rl` needs at least one reward");
    const proto::Rl effective = dynamic_cast<const proto::Rl&>(*WithPreset(rl));
    CheckObjective(effective, path);
    const std::uint64_t samples = std::uint64_t{rl.prompts_per_step()} * rl.group_size();
    if (rl.updates_per_step() > rl.prompts_per_step() && samples % rl.updates_per_step() != 0) {
      problems_.Add(path + ".updates_per_step",
                    "`updates_per_step` is {}; it must divide the {} samples of a step "
                    "(prompts_per_step * group_size) or be at most prompts_per_step = {}",
                    rl.updates_per_step(), samples, rl.prompts_per_step());
    }
  }

  // `rl` with its algorithm's defaults.
  void CheckObjective(const proto::Rl& rl, const std::string& path) {
    if (rl.dual_clip() > 0 && rl.dual_clip() < 1) {
      problems_.Add(
          path + ".dual_clip",
          "`dual_clip` is {}; a cap below 1 would cut what was not changed: 0 or at least 1",
          rl.dual_clip());
    }
    if (rl.off_policy() == "mask" && rl.off_policy_min() > rl.off_policy_max()) {
      problems_.Add(
          path + ".off_policy_min",
          "`off_policy_min` is {}, more than the {} of off_policy_max: nothing would be left",
          rl.off_policy_min(), rl.off_policy_max());
    }
    CheckOptimizer(rl.optimizer(), path + ".optimizer");
  }

  void CheckOptimizer(const proto::Optimizer& o, const std::string& path) {
    if (o.schedule() == "multi_step" && o.first_drop() > o.second_drop()) {
      problems_.Add(path + ".first_drop", "`first_drop` is {}, after the {} of second_drop",
                    o.first_drop(), o.second_drop());
    }
    if (o.moments() == "bf16" && o.beta2() > 0.99) {
      problems_.Add(path + ".moments",
                    "`moments` in bf16 would lose the decay of a beta2 of {}: fp32, or a beta2 of "
                    "at most 0.99",
                    o.beta2());
    }
  }

  void CheckReject(const proto::Reject& reject, const std::string& path) {
    CheckPrompts(reject.prompts(), path + ".prompts");
    if (reject.keep_size() == 0) {
      problems_.Add(path, "`reject` needs at least one keep: what a sample must pass");
    }
    if (reject.general_size() == 0 && reject.general_count() > 0) {
      problems_.Add(path + ".general_count",
                    "`general_count` is set but never read because no general entry is "
                    "given; remove it or add general {{ family: ... }}");
    }
    if (reject.general_size() > 0 && reject.general_count() == 0) {
      problems_.Add(path + ".general[0]",
                    "`general` is set but never read because general_count is 0; remove it or "
                    "set general_count above 0");
    }
  }

  const proto::Recipe& recipe_;
  int index_;
  const proto::Stage& stage_;
  std::string path_;
  const fs::path& folder_;
  Problems& problems_;
};

}  // namespace

bool ReadsModel(const proto::Recipe& recipe) {
  return std::any_of(recipe.stage().begin(), recipe.stage().end(), [](const proto::Stage& stage) {
    return !stage.has_pretrain() && stage.init() == "model";
  });
}

void CheckStages(const proto::Recipe& recipe, const fs::path& folder, Problems& problems) {
  CheckRecipeName(recipe, problems);
  CheckRewardKeys(recipe, problems);
  if (recipe.stage_size() == 0) problems.Add("", "the recipe has no stage: it would do nothing");
  for (int i = 0; i < recipe.stage_size(); ++i)
    StageChecker(recipe, i, folder, problems).Check();
  if (recipe.has_model() && recipe.stage_size() > 0 && !ReadsModel(recipe)) {
    problems.Add("model",
                 "`model` is set but never read because no stage starts from it; remove it or set "
                 "init: \"model\" in a stage");
  }
}

}  // namespace aha::pipelines
