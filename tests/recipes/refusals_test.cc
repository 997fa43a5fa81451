// Every refusal of law 7, with the whole of its message.
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/recipes/sample_recipe.h"

namespace aha::pipelines {
namespace {

using testing::HasSubstr;

// Puts a stage's lines 3, 4, ... between a head and a foot that are valid.
std::string Rl(std::string_view lines) {
  return fmt::format("name: \"r\"\nstage {{ name: \"zero\" rl {{\n{}\n}} }}\n", lines);
}
constexpr std::string_view kPrompts = "prompts { task { family: \"chain\" } }";
std::string RlWith(std::string_view lines) {
  return Rl(fmt::format("{} reward {{ name: \"math\" }}\n{}", kPrompts, lines));
}
std::string Pretrain(std::string_view lines) {
  return fmt::format(
      "name: \"r\"\nstage {{ name: \"base\" pretrain {{\n corpus {{ task {{ family: \"chain\" }} "
      "}}\n{}\n}} }}\n",
      lines);
}
std::string Stages(std::string_view lines) {
  return fmt::format("name: \"r\"\n{}\n", lines);
}
std::string RlStage(std::string_view head) {
  return fmt::format("stage {{ {} rl {{ {} reward {{ name: \"math\" }} }} }}\n", head, kPrompts);
}
std::string RejectStage(std::string_view head) {
  return fmt::format("stage {{ {} reject {{ {} keep {{ reward: \"math\" }} }} }}\n", head,
                     kPrompts);
}

struct RefusalCase {
  std::string name, text, want;
};
void PrintTo(const RefusalCase& c, std::ostream* os) {
  *os << c.text;
}

const std::vector<RefusalCase>& Cases() {
  static const std::vector<RefusalCase> cases = {
      // Text.
      {"UnknownKey", RlWith("optimizer { lerning_rate: 1 }"),
       "r.textproto:4:13: unknown key `lerning_rate` in stage.rl.optimizer; did you mean "
       "`learning_rate`?"},
      {"UnknownKeyOfAListElement", Rl("prompts { task: [{ family: \"a\" }, { famly: \"b\" }] }"),
       "r.textproto:3:37: unknown key `famly` in stage.rl.prompts.task; did you mean `family`?"},
      {"UnknownTopKey", "nmae: \"r\"",
       "r.textproto:1:1: unknown key `nmae` in the recipe; did you mean `name`?"},
      {"UnknownKeyListsAll", "name: \"r\" stage { whatever: 3 }",
       "r.textproto:1:19: unknown key `whatever` in stage; valid here: name, init, pretrain, sft, "
       "rl, reject"},
      {"KeyOfAnotherMessage", "name: \"r\" stage { clip_low: 3 }",
       "r.textproto:1:19: unknown key `clip_low` in stage; it belongs in stage.rl; valid here: "
       "name, init, "
       "pretrain, sft, rl, reject"},
      {"WrongType", RlWith("steps: \"ten\""),
       "r.textproto:4:8: `steps` in stage.rl: Expected integer, got: \"ten\""},
      {"NegativeCount", RlWith("steps: -3"),
       "r.textproto:4:8: `steps` in stage.rl: Expected integer, got: -"},
      {"FractionForCount", RlWith("steps: 1.5"),
       "r.textproto:4:8: `steps` in stage.rl: Expected integer, got: 1.5"},
      {"CountTooLarge", RlWith("steps: 4294967296"),
       "r.textproto:4:8: `steps` in stage.rl: Integer out of range (4294967296)"},
      {"GivenTwice", RlWith("steps: 3\nsteps: 4"),
       "r.textproto:5:6: `steps` in stage.rl: Non-repeated field \"steps\" is specified multiple "
       "times"},
      {"MessageGivenTwice", RlWith("moe { }\nmoe { }"),
       "r.textproto:5:5: `moe` in stage.rl: Non-repeated field \"moe\" is specified multiple "
       "times"},
      {"TwoKinds", "name: \"r\" stage { name: \"a\"\nrl { }\nsft { } }",
       "r.textproto:3:5: `sft` in stage: Field \"sft\" is specified along with field \"rl\", "
       "another member of "
       "oneof \"kind\""},
      {"Unclosed", "name: \"r\" stage {", "r.textproto:1:18: in stage: Expected identifier, got: "},
      // Options.
      {"MissingName", RlStage("name: \"zero\""),
       "r.textproto: `name` is missing in Recipe; it has no default"},
      {"MissingInner", Rl(fmt::format("{}\nreward {{ weight: 2 }}", kPrompts)),
       "r.textproto:4:1: `name` is missing in RewardTerm; it has no default"},
      {"EmptyRequired", Rl(fmt::format("{}\nreward {{ name: \"\" }}", kPrompts)),
       "r.textproto:4:10: `name` is empty; it must name something"},
      {"AboveRange", RlWith("temperature: 20"),
       "r.textproto:4:1: `temperature` is 20; it must be from 0.05 to 10"},
      {"BelowRange", RlWith("group_size: 1"),
       "r.textproto:4:1: `group_size` is 1; it must be from 2 to 4096"},
      {"AboveMaximum", "threads: 5000\n" + Stages(RlStage("name: \"zero\"")),
       "r.textproto:1:1: `threads` is 5000; it must be at most 1024"},
      {"RepeatedNumber",
       Rl("reward { name: \"math\" } prompts { task { family: \"chain\"\nband: 1\nband: 7 } }"),
       "r.textproto:5:1: `band` is 7; it must be from 1 to 3"},
      {"NotANumber", RlWith("kl: nan"),
       "r.textproto:4:1: `kl` is nan, which is not a number to compute with"},
      {"Infinite", RlWith("clip_high: inf"),
       "r.textproto:4:1: `clip_high` is inf, which is not a number to compute with"},
      {"OneOf", RlWith("advantage_std: \"sampel\""),
       "r.textproto:4:1: `advantage_std` is \"sampel\"; it must be one of \"sample\", "
       "\"population\", \"none\"; did "
       "you mean \"sample\"?"},
      {"RepeatedOneOf",
       Rl("reward { name: \"math\" } prompts { task { family: \"chain\" language: "
          "\"en\"\nlanguage: \"fr\" } }"),
       "r.textproto:4:1: `language` is \"fr\"; it must be one of \"en\", \"zh\""},
      {"NeverReadText", RlWith("optimizer {\nfinal_ratio: 0.5 }"),
       "r.textproto:5:1: `final_ratio` is set but never read because schedule is \"constant\"; "
       "remove it or set "
       "schedule to something other than \"constant\""},
      {"NeverReadNumber", RlWith("kl: 0\nreference_every: 50"),
       "r.textproto:5:1: `reference_every` is set but never read because kl is 0; remove it or set "
       "kl above 0"},
      {"NeverReadUnlessDifferent", "rollout_workers: 3\n" + Stages(RlStage("name: \"zero\"")),
       "r.textproto:1:1: `rollout_workers` is set but never read because rollout_endpoint is \"\"; "
       "remove it or set "
       "rollout_endpoint to something other than \"\""},
      {"NeverReadWithoutIsolation",
       Rl(fmt::format("{}\nreward {{ name: \"math\" isolate_memory_mb: 64 }}", kPrompts)),
       "r.textproto:4:23: `isolate_memory_mb` is set but never read because isolate is false; "
       "remove it or set isolate: true"},
      {"ServerKeyWithoutAKey",
       "reward_server_key: \"s.public\"\n" + Stages(RlStage("name: \"zero\"")),
       "r.textproto:1:1: `reward_server_key` is set but never read because reward_key is \"\"; "
       "remove it or set reward_key to something other than \"\""},
      {"KeyWithoutTheServers",
       "reward_endpoint: \"tcp://scorer:1\"\nreward_key: \"k.secret\"\n" +
           Stages(RlStage("name: \"zero\"")),
       "r.textproto:2:1: `reward_key` needs `reward_server_key` too: the file with the services' "
       "public key"},
      {"KeyWithoutAnEndpoint",
       "reward_key: \"k.secret\" reward_server_key: \"s.public\"\n" +
           Stages(RlStage("name: \"zero\"")),
       "r.textproto:1:1: `reward_key` is for services elsewhere, and no `reward_endpoint` is set"},
      // Names.
      {"RecipeNameIsAPath", "name: \"../x\"\n" + RlStage("name: \"zero\""),
       "r.textproto:1:1: `name` is \"../x\"; a run directory is named after it: letters, digits, _ "
       "- . only, at most "
       "64, not beginning with . or -"},
      {"IllegalStageName", Stages(RlStage("name: \"report.html\"")),
       "r.textproto:2:9: stage name \"report.html\" is not legal; it names a folder: a-z, 0-9, _ "
       "and - only, at most "
       "64, not beginning with -"},
      {"StageNamedModel", Stages(RlStage("name: \"model\"")),
       "r.textproto:2:9: stage name \"model\" is taken: `init: \"model\"` means the recipe's "
       "model; choose another"},
      {"StageNamedLock", Stages(RlStage("name: \"lock\"")),
       "r.textproto:2:9: stage name \"lock\" is taken: the run directory has a file of that name; "
       "choose another"},
      {"StageNameTwice", Stages(RlStage("name: \"a\"") + RlStage("name: \"a\"")),
       "r.textproto:3:9: stage name \"a\" is given twice; names must differ"},
      {"NoStage", "name: \"r\"", "r.textproto: the recipe has no stage: it would do nothing"},
      {"NoKind", Stages("stage { name: \"a\" }"),
       "r.textproto:2:1: stage \"a\" says not what it does: give it one of pretrain, sft, rl, "
       "reject"},
      // References.
      {"InitUnknown", Stages(RlStage("name: \"first\"") + RlStage("name: \"b\" init: \"frist\"")),
       "r.textproto:3:19: `init` is \"frist\", which is no earlier stage and no folder; did you "
       "mean `first`? (a "
       "folder is written ./frist)"},
      {"InitLater", Stages(RlStage("name: \"a\" init: \"b\"") + RlStage("name: \"b\"")),
       "r.textproto:2:19: `init` is \"b\", which comes later; it needs an earlier stage"},
      {"InitSelf", Stages(RlStage("name: \"a\" init: \"a\"")),
       "r.textproto:2:19: `init` is \"a\", this stage itself; it needs an earlier one"},
      {"InitReject", Stages(RejectStage("name: \"a\"") + RlStage("name: \"b\" init: \"a\"")),
       "r.textproto:3:19: `init` is \"a\", a reject stage, which makes samples and no checkpoint"},
      {"InitOfPretrain",
       Stages("stage { name: \"a\" init: \"model\"\npretrain { corpus { task { family: \"chain\" } "
              "} } }"),
       "r.textproto:2:19: `init` is set but never read because pretrain starts from random "
       "weights; remove it"},
      {"ModelNeverRead", "model: \"/m\"\n" + Stages(RlStage("name: \"a\" init: \"./b\"")),
       "r.textproto:1:1: `model` is set but never read because no stage starts from it; remove it "
       "or set init: "
       "\"model\" in a stage"},
      {"FromNoReject", Stages(RlStage("name: \"a\"") + "stage { name: \"b\" sft { from: \"a\" } }"),
       "r.textproto:3:25: `from` names \"a\", which is no earlier reject stage; there are none"},
      {"FromLater",
       Stages("stage { name: \"b\" sft { from: \"a\" } }\n" + RejectStage("name: \"a\"")),
       "r.textproto:2:25: `from` names \"a\", which is no earlier reject stage; there are none"},
      {"FromTwice",
       Stages(RejectStage("name: \"a\"") + "stage { name: \"b\" sft { from: \"a\" from: \"a\" } }"),
       "r.textproto:3:35: `from` names \"a\" twice"},
      // Choices.
      {"SftNeither", Stages("stage { name: \"b\" sft { } }"),
       "r.textproto:2:19: `sft` needs exactly one of from and jsonl; neither is given"},
      {"SftBoth",
       Stages(RejectStage("name: \"a\"") +
              "stage { name: \"b\" sft { from: \"a\" jsonl { path: \"x\" } } }"),
       "r.textproto:3:19: `sft` needs exactly one of from and jsonl; both are given"},
      {"PromptsNeither", Rl("reward { name: \"math\" }\nprompts { }"),
       "r.textproto:4:1: `prompts` needs exactly one of task and jsonl; neither is given"},
      {"PromptsAbsent", Rl("reward { name: \"math\" }"),
       "r.textproto:2:22: `prompts` needs exactly one of task and jsonl; neither is given"},
      {"PromptsBoth",
       Rl("reward { name: \"math\" }\nprompts { task { family: \"a\" } jsonl { path: \"x\" } }"),
       "r.textproto:4:1: `prompts` needs exactly one of task and jsonl; both are given"},
      {"NoWeight", Rl("reward { name: \"math\" }\nprompts { task { family: \"a\" weight: 0 } }"),
       "r.textproto:4:11: all weights are 0: nothing could be drawn"},
      {"NoReward", Rl(kPrompts), "r.textproto:2:22: `rl` needs at least one reward"},
      {"NoKeep", Stages(fmt::format("stage {{ name: \"a\" reject {{ {} }} }}", kPrompts)),
       "r.textproto:2:19: `reject` needs at least one keep: what a sample must pass"},
      {"GeneralCountAlone",
       Stages(fmt::format(
           "stage {{ name: \"a\" reject {{ {} keep {{ reward: \"math\" }}\ngeneral_count: 3 }} }}",
           kPrompts)),
       "r.textproto:3:1: `general_count` is set but never read because no general entry is given; "
       "remove it or add "
       "general { family: ... }"},
      {"GeneralAlone",
       Stages(fmt::format("stage {{ name: \"a\" reject {{ {} keep {{ reward: \"math\" }}\ngeneral "
                          "{{ family: \"g\" }} }} }}",
                          kPrompts)),
       "r.textproto:3:1: `general` is set but never read because general_count is 0; remove it or "
       "set general_count "
       "above 0"},
      // Figures that do not fit together.
      {"Updates", RlWith("prompts_per_step: 3 group_size: 4\nupdates_per_step: 5"),
       "r.textproto:5:1: `updates_per_step` is 5; it must divide the 12 samples of a step "
       "(prompts_per_step * "
       "group_size) or be at most prompts_per_step = 3"},
      {"Experts",
       Pretrain("architecture {\nn_routed_experts: 4 n_group: 1 topk_group: "
                "1\nnum_experts_per_tok: 5 }"),
       "r.textproto:6:1: `num_experts_per_tok` is 5, more than the 4 of n_routed_experts"},
      {"Groups", Pretrain("architecture {\nn_group: 3 }"),
       "r.textproto:5:1: `n_group` is 3, which does not divide n_routed_experts = 8"},
      {"KeptGroups", Pretrain("architecture {\ntopk_group: 5 }"),
       "r.textproto:5:1: `topk_group` is 5, more than the 4 of n_group"},
      {"KeptExperts", Pretrain("architecture {\nnum_experts_per_tok: 5 }"),
       "r.textproto:5:1: `num_experts_per_tok` is 5, but the 2 groups that are kept (topk_group) "
       "hold only 4 experts"},
      {"OddRope", Pretrain("architecture {\nqk_rope_head_dim: 7 }"),
       "r.textproto:5:1: `qk_rope_head_dim` is 7; rotation works on pairs: it must be even"},
      {"DenseLayers", Pretrain("architecture {\nfirst_k_dense_replace: 5 }"),
       "r.textproto:5:1: `first_k_dense_replace` is 5, more than the 4 of num_hidden_layers"},
      {"LatentOfADenseFamily", Pretrain("architecture {\nmodel_type: \"llama\"\nkv_lora_rank: 8 }"),
       "r.textproto:6:1: `kv_lora_rank` is set but never read because model_type is \"llama\"; "
       "remove it or set model_type: \"deepseek_v3\""},
      {"KeyHeadsOfLatentAttention", Pretrain("architecture {\nnum_key_value_heads: 2 }"),
       "r.textproto:5:1: `num_key_value_heads` is set but never read because model_type is "
       "\"deepseek_v3\"; remove it or set model_type to something other than \"deepseek_v3\""},
      {"NoCorpus", Stages("stage { name: \"a\" pretrain { } }"),
       "r.textproto:2:19: `corpus` needs at least one task: the problems its documents are about"},
      {"Shares",
       Stages("stage { name: \"a\" pretrain {\ncorpus { task { family: \"c\" } bare: 0.9 } } }"),
       "r.textproto:3:1: bare + steps_same + steps_other + steps_mixed is 1.35; shares must not "
       "add up to more than 1"},
      // All at once.
      {"Several", RlWith("temperature: 20\ngroup_size: 1"),
       "r.textproto:5:1: `group_size` is 1; it must be from 2 to 4096\n"
       "r.textproto:4:1: `temperature` is 20; it must be from 0.05 to 10"},
  };
  return cases;
}

class RefusalTest : public testing::TestWithParam<RefusalCase> {};

TEST_P(RefusalTest, SaysWhereWhatAndWhatToDo) {
  const auto loaded = Parse(GetParam().text);
  ASSERT_FALSE(loaded) << "it loads";
  EXPECT_EQ(loaded.error().code, Code::kInvalidArgument);
  EXPECT_EQ(loaded.error().message, GetParam().want);
}

INSTANTIATE_TEST_SUITE_P(Table, RefusalTest, testing::ValuesIn(Cases()), [](const auto& p) {
  return p.param.name;
});

struct AcceptedCase {
  std::string name, text;
};
void PrintTo(const AcceptedCase& c, std::ostream* os) {
  *os << c.text;
}

class AcceptedTest : public testing::TestWithParam<AcceptedCase> {};

TEST_P(AcceptedTest, Loads) {
  EXPECT_EQ(Refusal(GetParam().text), "");
}

INSTANTIATE_TEST_SUITE_P(
    Table,
    AcceptedTest,
    testing::Values(
        AcceptedCase{"Sample", std::string(kSample)},
        AcceptedCase{"RangeEnds", RlWith("temperature: 10 group_size: 2 kl: 0")},
        AcceptedCase{"ReadWhenMet", RlWith("optimizer { schedule: \"cosine\" final_ratio: 0.5 }")},
        AcceptedCase{"WorkersWithEndpoint",
                     "rollout_endpoint: \"ipc:///tmp/x\" rollout_workers: 3\n" +
                         Stages(RlStage("name: \"zero\""))},
        AcceptedCase{"SharesOfExactlyOne", Stages("stage { name: \"a\" pretrain { corpus { task { "
                                                  "family: \"c\" } bare: 0.7 steps_same: 0.2 "
                                                  "steps_other: 0.1 steps_mixed: 0 } } }")},
        AcceptedCase{"MoreUpdatesThanPromptsThatDivide",
                     RlWith("prompts_per_step: 3 group_size: 4 updates_per_step: 6")},
        AcceptedCase{"InitPath", Stages(RlStage("name: \"a\" init: \"../models/x\""))},
        AcceptedCase{
            "InitOfPretrainedStage",
            Stages("stage { name: \"a\" pretrain { corpus { task { family: \"c\" } } } }\n" +
                   RlStage("name: \"b\" init: \"a\""))}),
    [](const auto& p) { return p.param.name; });

TEST(LoadRecipe, NamesTheFileThatIsMissing) {
  const auto loaded = LoadRecipe("/no/such/recipe.textproto", {});
  ASSERT_FALSE(loaded);
  EXPECT_EQ(loaded.error().code, Code::kNotFound);
  EXPECT_THAT(loaded.error().message, HasSubstr("/no/such/recipe.textproto"));
}

TEST(LoadRecipe, PathsStartFromItsFolder) {
  namespace fs = std::filesystem;
  const fs::path folder = fs::path(testing::TempDir()) / "aha_load_recipe";
  fs::create_directories(folder / "bare");  // an init without a slash is a folder when there is one
  std::ofstream(folder / "r.textproto") << Stages(RlStage("name: \"a\" init: \"bare\""));
  const auto loaded = LoadRecipe(folder / "r.textproto", {"seed=9"});
  ASSERT_TRUE(loaded) << loaded.error().message;
  EXPECT_EQ(loaded->recipe.seed(), 9U);
  EXPECT_EQ(RecipePath(*loaded, "x.jsonl"), folder / "x.jsonl");
  EXPECT_EQ(RecipePath(*loaded, "/x.jsonl"), "/x.jsonl");
  fs::remove_all(folder);
}

// Whatever the bytes, an answer comes back.
TEST(ParseRecipe, SurvivesEveryPrefixAndFlippedByte) {
  const std::string text(kSample);
  for (std::size_t i = 0; i < text.size(); ++i) {
    std::string changed = text;
    changed[i] = static_cast<char>(changed[i] ^ 0x15);
    (void)Parse(changed);
    (void)Parse(std::string_view(text).substr(0, i));
  }
  EXPECT_THAT(Refusal(std::string("name: \"r\"\0 stage", 16)), HasSubstr("r.textproto:1:"));
  EXPECT_THAT(Refusal(std::string(std::size_t{17} << 20U, ' ')),
              HasSubstr("too long for a recipe"));
}

}  // namespace
}  // namespace aha::pipelines
