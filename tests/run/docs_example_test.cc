// The examples of docs/run_directory.md are what the code writes and reads.
#include <cctype>
#include <cmath>
#include <sstream>

#include <google/protobuf/text_format.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "pipelines/run/delimited.h"
#include "pipelines/run/event_file.h"
#include "pipelines/run/metrics_writer.h"
#include "pipelines/run/stage_graph.h"
#include "pipelines/run/stage_state.h"
#include "proto/tensorboard.pb.h"
#include "tests/run/scratch_folder.h"

namespace aha::pipelines {
namespace {

// The first fenced block of a language under a heading.
std::string Example(const std::string& heading, const std::string& language) {
  const std::string page = Read(std::filesystem::path(AHA_SOURCE_DIR) / "docs/run_directory.md");
  const std::string fence = "```" + language + "\n";
  const std::size_t section = page.find("\n## " + heading + "\n");
  const std::size_t start = section == std::string::npos ? section : page.find(fence, section);
  if (start == std::string::npos) return "";
  const std::size_t body = start + fence.size();
  return page.substr(body, page.find("```", body) - body);
}

// The bytes of a hex listing: pairs of digits, up to two spaces and a remark.
std::string Bytes(const std::string& listing) {
  std::string bytes;
  std::istringstream lines(listing);
  for (std::string line; std::getline(lines, line);) {
    for (std::size_t i = 0; i + 1 < line.size() && std::isxdigit(line[i]) != 0; i += 3) {
      bytes += static_cast<char>(std::stoi(line.substr(i, 2), nullptr, 16));
      if (line.substr(i + 2, 2) == "  ") break;
    }
  }
  return bytes;
}

TEST(RunDirectoryPage, GroupsExampleReads) {
  const ScratchFolder scratch;
  const std::string bytes = Bytes(Example("STAGE/groups.bin", "hex"));
  Write(scratch.path() / "groups.bin", bytes);
  auto reader = DelimitedReader::Open(scratch.path() / "groups.bin");
  ASSERT_TRUE(reader);
  proto::GroupRecord group;
  const auto one = reader->Next(group);
  ASSERT_TRUE(one) << one.error().message;
  ASSERT_TRUE(*one);
  EXPECT_EQ(group.prompt_id(), 42U);
  EXPECT_EQ(group.question(), "3 + 4 = ?");
  EXPECT_EQ(group.prompt_ids(1), 300U);
  ASSERT_EQ(group.sample_size(), 2);
  EXPECT_EQ(group.sample(0).completion().logprobs(1), -0.25F);
  EXPECT_EQ(group.sample(0).advantage(), 0.5);
  EXPECT_FALSE(group.sample(1).has_total());
  EXPECT_EQ(group.sample(1).outcome(0).failure().kind(), proto::Failure::TIMEOUT);
  EXPECT_FALSE(reader->Next(group).value());
}

TEST(RunDirectoryPage, GroupsExampleIsWhatWeWrite) {
  const std::string bytes = Bytes(Example("STAGE/groups.bin", "hex"));
  proto::GroupRecord group;
  ASSERT_TRUE(group.ParseFromString(bytes.substr(2)));
  EXPECT_EQ(Delimited(group).value(), bytes);
}

TEST(RunDirectoryPage, EventExampleIsWhatWeWrite) {
  proto::TbEvent first;
  first.set_wall_time(1);
  first.set_file_version("brain.Event:2");
  EXPECT_EQ(TfRecord(first.SerializeAsString()),
            Bytes(Example("STAGE/tensorboard/events.out.tfevents.0.aha", "hex")));
}

TEST(RunDirectoryPage, MetricsExampleIsWhatWeWrite) {
  const std::vector<Metric> metrics = {{"loss", 0.125}, {"reward", 0.1}, {"kl", std::nan("")}};
  EXPECT_EQ(MetricsLine(7, metrics).value(), Example("STAGE/metrics.jsonl", "json"));
}

TEST(RunDirectoryPage, StagesExampleReads) {
  const ScratchFolder scratch;
  Write(scratch.path() / "stages.textproto", Example("stages.textproto", "textproto"));
  const auto graph = ReadStageGraph(scratch.path() / "stages.textproto");
  ASSERT_TRUE(graph) << graph.error().message;
  ASSERT_NE(FindStage(*graph, "zero"), nullptr);
  EXPECT_EQ(WhyRun(*FindStage(*graph, "zero"),
                   {StageInput("recipe", "6d5e"), StageInput("init", "90ab")}),
            "");
}

TEST(RunDirectoryPage, CommitExampleReads) {
  const ScratchFolder scratch;
  std::filesystem::create_directories(scratch.path() / "state/step-40");
  Write(scratch.path() / "state/commit", Example("STAGE/state/commit", "textproto"));
  const auto commit = StageState(scratch.path()).Latest();
  ASSERT_TRUE(commit) << commit.error().message;
  EXPECT_EQ((*commit)->step(), 40U);
  EXPECT_EQ((*commit)->file(1).bytes(), 1048576U);
  EXPECT_EQ((*commit)->file(2).path(), kEventFile);
}

}  // namespace
}  // namespace aha::pipelines
