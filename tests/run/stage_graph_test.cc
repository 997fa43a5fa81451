#include "pipelines/run/stage_graph.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/run/scratch_folder.h"

namespace aha::pipelines {
namespace {

using testing::EndsWith;
using testing::HasSubstr;

TEST(StageGraph, ComesBackAsWritten) {
  const ScratchFolder scratch;
  const auto file = scratch.path() / "stages.textproto";
  EXPECT_EQ(ReadStageGraph(file).value().stage_size(), 0);
  proto::StageGraph graph;
  StageOf(graph, "zero").set_state(proto::StageRecord::DONE);
  *StageOf(graph, "zero").add_input() = StageInput("recipe", "ab");
  StageOf(graph, "eval");
  ASSERT_TRUE(WriteStageGraph(file, graph));
  const auto again = ReadStageGraph(file);
  ASSERT_TRUE(again) << again.error().message;
  EXPECT_EQ(again->SerializeAsString(), graph.SerializeAsString());
  EXPECT_EQ(FindStage(*again, "eval")->state(), proto::StageRecord::PENDING);
  EXPECT_EQ(FindStage(*again, "other"), nullptr);
}

TEST(StageGraph, DamageIsReportedWithItsPlace) {
  const ScratchFolder scratch;
  const auto file = scratch.path() / "stages.textproto";
  for (const auto& [bytes, want] : std::vector<std::pair<std::string, std::string>>{
           {"stage {\n  name: \"a\"\n  sta", "stages.textproto:3:"},
           {"stage { colour: 3 }", "stages.textproto:1:15: "},
           {std::string("\0\0\0\0", 4), "stages.textproto:1:1: "},
           {"stage { name: \"a\" } stage { name: \"a\" }",
            "stages.textproto: stage \"a\" is listed twice"},
           {"stage { }", "has no name"}}) {
    Write(file, bytes);
    const auto graph = ReadStageGraph(file);
    ASSERT_FALSE(graph) << bytes;
    EXPECT_EQ(graph.error().code, Code::kCorrupt);
    EXPECT_THAT(graph.error().message, HasSubstr(want));
    EXPECT_THAT(graph.error().message,
                EndsWith("restore it, or delete it to run every stage again"));
  }
}

TEST(WhyRun, SaysWhatHasChanged) {
  using Inputs = std::vector<proto::StageRecord::Input>;
  const Inputs inputs = {StageInput("recipe", "aa"), StageInput("init", "bb")};
  proto::StageRecord record;
  EXPECT_EQ(WhyRun(record, inputs), "it has not run yet");
  record.set_state(proto::StageRecord::RUNNING);
  EXPECT_EQ(WhyRun(record, inputs), "it was cut short");
  record.set_state(proto::StageRecord::FAILED);
  EXPECT_EQ(WhyRun(record, inputs), "it failed the last time");
  record.set_state(proto::StageRecord::DONE);
  *record.add_input() = inputs[1];
  *record.add_input() = inputs[0];
  EXPECT_EQ(WhyRun(record, inputs), "");
  EXPECT_EQ(WhyRun(record, {inputs[0], StageInput("init", "cc")}), "its init has changed");
  EXPECT_EQ(WhyRun(record, {inputs[0]}), "it has lost an input: init");
  EXPECT_EQ(WhyRun(record, {inputs[0], inputs[1], StageInput("data", "dd")}),
            "it has a new input: data");
}

}  // namespace
}  // namespace aha::pipelines
