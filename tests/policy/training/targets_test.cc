#include "policy/training/targets.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace aha::policy {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

TEST(TargetsTest, AreTheTokensFromTheFirstOnAndTheRowsBefore) {
  const Targets targets = TargetsOf({{{5, 6, 7}, {8, 9}, {10}}, {0, 1, 1}});
  EXPECT_THAT(targets.row_N, ElementsAre(0, 1, 3));
  EXPECT_THAT(targets.token_N, ElementsAre(6, 7, 9));
  EXPECT_THAT(targets.sequence_N, ElementsAre(0, 0, 1));
}

TEST(TargetsTest, MtpCountsWhatIsTwoAhead) {
  EXPECT_EQ(CountMtpTargets(5, 1), 3);
  EXPECT_EQ(CountMtpTargets(5, 3), 2);
  EXPECT_EQ(CountMtpTargets(5, 5), 0);
  EXPECT_EQ(CountMtpTargets(1, 1), 0);
}

// The prompt 5, 6, 7 and two samples of it, beside a whole sequence.
TEST(SharedRowsTest, APromptButItsLastTokenComesOnceAfterItsSamples) {
  const TargetSequences sequences = {
      {{1, 2}, {5, 6, 7, 8}, {5, 6, 7, 9, 4, 3}}, {1, 3, 3}, {{1, 3, 2}}};
  const BatchRows rows(sequences);
  ASSERT_EQ(rows.views.size(), 4U);
  EXPECT_THAT(rows.views[0].ids, ElementsAre(1, 2));
  EXPECT_THAT(rows.views[1].ids, ElementsAre(7));
  EXPECT_THAT(rows.views[2].ids, ElementsAre(7, 9, 4));
  EXPECT_THAT(rows.views[3].ids, ElementsAre(5, 6));
  EXPECT_EQ(rows.views[2].context, 2U);
  EXPECT_TRUE(rows.views[2].shares_context);
  EXPECT_FALSE(rows.views[3].shares_context);
  const Targets targets = TargetsOf(sequences);
  EXPECT_THAT(targets.row_N, ElementsAre(0, 2, 3, 4, 5));
  EXPECT_THAT(targets.token_N, ElementsAre(2, 8, 9, 4, 3));
  EXPECT_THAT(targets.sequence_N, ElementsAre(0, 1, 2, 2, 2));
}

TEST(MicroBatchTest, CutsLongestFirstWithinTheBudget) {
  EXPECT_THAT(CutMicroBatches({3, 9, 4, 4, 20}, 12),
              ElementsAre(ElementsAre(4), ElementsAre(1), ElementsAre(2, 3, 0)));
  EXPECT_THAT(CutMicroBatches({2, 2, 2}, 1),
              ElementsAre(ElementsAre(0), ElementsAre(1), ElementsAre(2)));
  EXPECT_THAT(CutMicroBatches({}, 8), ElementsAre());
}

// Prompts of 5, 3 and 1 tokens; the second has one sample, the third nothing before its last token.
const std::vector<PromptGroup> kGroups = {{{0, 2, 3}, 5}, {{1}, 3}, {{4, 5}, 1}};
const std::vector<std::int64_t> kLengths = {8, 6, 7, 9, 4, 3};

TEST(MicroBatchTest, GroupsStayTogetherWhereTheBudgetAllows) {
  const auto cuts = CutSharedMicroBatches(kGroups, kLengths, 100);
  ASSERT_EQ(cuts.size(), 1U);
  EXPECT_THAT(cuts[0].members, ElementsAre(0, 2, 3, 1, 4, 5));
  EXPECT_THAT(cuts[0].shared, ElementsAre(SharedPrompt{0, 3, 4}));
  EXPECT_FALSE(cuts[0].continued || cuts[0].open);
  EXPECT_THAT(CutSharedMicroBatches({}, {}, 8), IsEmpty());
}

// Rows: 4 of the context once, then 3, 2 and 4; so the third sample does not fit beside two.
TEST(MicroBatchTest, ACutGroupSaysSo) {
  const auto cuts = CutSharedMicroBatches(kGroups, kLengths, 12);
  ASSERT_EQ(cuts.size(), 4U);
  EXPECT_THAT(cuts[0].members, ElementsAre(0, 2));
  EXPECT_THAT(cuts[0].shared, ElementsAre(SharedPrompt{0, 2, 4}));
  EXPECT_TRUE(cuts[0].open && !cuts[0].continued);
  EXPECT_THAT(cuts[1].members, ElementsAre(3));
  EXPECT_THAT(cuts[1].shared, ElementsAre(SharedPrompt{0, 1, 4}));
  EXPECT_TRUE(cuts[1].continued && !cuts[1].open);
  EXPECT_THAT(cuts[2].members, ElementsAre(1, 4));
  EXPECT_THAT(cuts[2].shared, IsEmpty());
  EXPECT_FALSE(cuts[2].continued || cuts[2].open);
  EXPECT_THAT(cuts[3].members, ElementsAre(5));
}

TEST(MicroBatchTest, ASampleLongerThanTheBudgetStandsAlone) {
  const auto cuts = CutSharedMicroBatches(kGroups, kLengths, 1);
  ASSERT_EQ(cuts.size(), 6U);
  EXPECT_TRUE(cuts[0].open && cuts[1].open && !cuts[2].open);
  EXPECT_TRUE(!cuts[0].continued && cuts[1].continued && cuts[2].continued);
  for (std::size_t c = 3; c < 6; ++c)
    EXPECT_FALSE(cuts[c].open || cuts[c].continued);
}

}  // namespace
}  // namespace aha::policy
