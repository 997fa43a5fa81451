#include "pipelines/run/why.h"

#include <cmath>
#include <fstream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "pipelines/run/delimited.h"
#include "tests/run/scratch_folder.h"

namespace aha::pipelines {
namespace {

namespace fs = std::filesystem;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

TEST(SampleAddress, TakesPartsFromTheLeft) {
  struct Case {
    const char* text;
    std::vector<std::uint64_t> numbers;
  };
  for (const Case& c :
       {Case{"zero", {}}, {"zero/12", {12}}, {"zero/12/3", {12, 3}}, {"zero/12/3/0", {12, 3, 0}}}) {
    const auto address = ParseSampleAddress(c.text);
    ASSERT_TRUE(address) << c.text;
    EXPECT_EQ(address->stage, "zero");
    std::vector<std::uint64_t> numbers;
    for (const auto& part : {address->step, address->group, address->sample}) {
      if (part) numbers.push_back(*part);
    }
    EXPECT_EQ(numbers, c.numbers) << c.text;
  }
}

TEST(SampleAddress, RefusesWhatIsNone) {
  for (const char* text : {"", "/1", "zero/", "zero/x", "zero/-1", "zero/1/", "zero/1/2/3/4",
                           "zero/1 /2", "zero/99999999999999999999"}) {
    const auto address = ParseSampleAddress(text);
    ASSERT_FALSE(address) << text;
    EXPECT_EQ(address.error().code, Code::kInvalidArgument);
    EXPECT_THAT(address.error().message, HasSubstr("STAGE/STEP/GROUP/SAMPLE"));
  }
}

// Two steps of stage "zero": the second has two groups, one sample of it without a total.
class Why : public ::testing::Test {
 protected:
  void SetUp() override {
    std::ofstream(run() / "stages.textproto") << "stage { name: \"zero\" }\n";
    fs::create_directories(run() / "zero");
    std::ofstream out(run() / "zero" / "groups.bin", std::ios::binary);
    out << Delimited(Group(1, "a", {1.0, 0.0})).value()
        << Delimited(Group(2, "b", {1.0, {}})).value()
        << Delimited(Group(2, "c", {0.5, 0.5})).value();
  }

  static proto::GroupRecord Group(std::uint64_t step,
                                  const char* question,
                                  const std::vector<std::optional<double>>& totals) {
    proto::GroupRecord group;
    group.set_step(step);
    group.set_question(question);
    for (const auto& total : totals) {
      proto::SampleRecord& sample = *group.add_sample();
      if (total) sample.set_total(*total);
    }
    return group;
  }

  [[nodiscard]] fs::path run() const { return folder_.path(); }
  ScratchFolder folder_;
};

TEST_F(Why, ListsStepsWithTheirMeans) {
  const auto steps = StepsOfGroups(run(), "zero");
  ASSERT_TRUE(steps) << steps.error().message;
  ASSERT_EQ(steps->size(), 2U);
  EXPECT_EQ((*steps)[0].groups, 1U);
  EXPECT_EQ((*steps)[0].mean_total, 0.5);
  EXPECT_EQ((*steps)[1].groups, 2U);
  EXPECT_EQ((*steps)[1].samples, 4U);
  EXPECT_EQ((*steps)[1].failed, 1U);
  EXPECT_DOUBLE_EQ((*steps)[1].mean_total, 2.0 / 3.0);
}

TEST_F(Why, GivesTheGroupsOfOneStep) {
  const auto groups = GroupsOfStep(run(), "zero", 2);
  ASSERT_TRUE(groups) << groups.error().message;
  std::vector<std::string> questions;
  for (const auto& group : *groups)
    questions.push_back(group.question());
  EXPECT_THAT(questions, ElementsAre("b", "c"));
}

TEST_F(Why, SaysWhatThereIsWhenAskedForWhatThereIsNot) {
  const auto step = GroupsOfStep(run(), "zero", 9);
  ASSERT_FALSE(step);
  EXPECT_THAT(step.error().message, HasSubstr("it has 1 to 2"));
  const auto stage = StepsOfGroups(run(), "dev1");
  ASSERT_FALSE(stage);
  EXPECT_THAT(stage.error().message, HasSubstr("those that do: zero"));
  const auto none = StagesWithGroups(run() / "zero");
  ASSERT_FALSE(none);
  EXPECT_THAT(none.error().message, HasSubstr("not a run directory"));
}

TEST_F(Why, ReadsUpToATailThatIsCutOff) {
  fs::resize_file(run() / "zero" / "groups.bin", fs::file_size(run() / "zero" / "groups.bin") - 1);
  const auto groups = GroupsOfStep(run(), "zero", 2);
  ASSERT_TRUE(groups) << groups.error().message;
  EXPECT_EQ(groups->size(), 1U);
}

TEST_F(Why, NamesFileAndByteOfDamage) {
  std::ofstream(run() / "zero" / "groups.bin", std::ios::binary) << "\x03\xff\xff\xff";
  const auto groups = StepsOfGroups(run(), "zero");
  ASSERT_FALSE(groups);
  EXPECT_EQ(groups.error().code, Code::kCorrupt);
  EXPECT_THAT(groups.error().message, HasSubstr("groups.bin"));
}

}  // namespace
}  // namespace aha::pipelines
