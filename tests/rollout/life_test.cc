// Short lives of every architecture; tests/system/engine_soak lives long ones.

#include "tests/rollout/engine_life.h"

namespace aha::rollout {
namespace {

TEST(LifeTest, EveryTokenHasTheBitsOfTheLearnersPassWhateverHappensAround) {
  for (Subject& subject : Subject::All()) {
    LifeTally tally;
    for (std::uint64_t seed = 0; seed < 4; ++seed)
      tally.Add(Live(subject, seed, 60));
    EXPECT_TRUE(tally.good()) << subject.name() << ": " << tally.differing << " of "
                              << tally.compared << " tokens differ, " << tally.wrong
                              << " outcomes are wrong: " << tally.first_trouble;
    EXPECT_EQ(tally.trained, tally.compared) << subject.name();
    EXPECT_GT(tally.compared, 500U) << subject.name();
    EXPECT_GT(tally.preemptions, 0U) << subject.name();
    EXPECT_GT(tally.refused, 0U) << subject.name();
    EXPECT_GT(tally.drafted, 0U) << subject.name();
  }
}

}  // namespace
}  // namespace aha::rollout
