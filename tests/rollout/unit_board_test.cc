#include "rollout/unit_board.h"

#include <thread>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace aha::rollout {
namespace {

using std::chrono::milliseconds;
using testing::HasSubstr;
constexpr milliseconds kLong{100000};

std::vector<proto::SampleRequest> Units(std::size_t count) {
  std::vector<proto::SampleRequest> units(count);
  for (std::size_t u = 0; u < count; ++u)
    units[u].set_unit(10 + u);
  return units;
}

proto::SampleReply ReplyTo(std::uint64_t unit) {
  proto::SampleReply reply;
  reply.set_unit(unit);
  return reply;
}

TEST(UnitBoard, RepliesAreInUnitOrderWhateverOrderTheyCameIn) {
  const auto units = Units(3);
  UnitBoard board(units, kLong, 5);
  for (std::size_t u = 0; u < 3; ++u)
    ASSERT_EQ(board.Take("w"), u);
  EXPECT_FALSE(board.Take("w").has_value());
  for (const std::size_t u : {2U, 0U, 1U})
    board.Finish(u, ReplyTo(10 + u));
  ASSERT_TRUE(board.over());
  const auto replies = board.TakeReplies();
  ASSERT_TRUE(replies.has_value());
  for (std::size_t u = 0; u < 3; ++u)
    EXPECT_EQ((*replies)[u].unit(), 10 + u);
}

TEST(UnitBoard, UnitOfALostWorkerIsNext) {
  const auto units = Units(3);
  UnitBoard board(units, kLong, 5);
  ASSERT_EQ(board.Take("a"), 0U);
  ASSERT_EQ(board.Take("b"), 1U);
  board.Return(0, "gone");
  EXPECT_EQ(board.Take("b"), 0U);
}

TEST(UnitBoard, UnitThatWorkersAreLostWithFails) {
  const auto units = Units(1);
  UnitBoard board(units, kLong, 2);
  for (int i = 0; i < 2; ++i) {
    ASSERT_FALSE(board.over());
    ASSERT_EQ(board.Take("w"), 0U);
    board.Return(0, "said nothing");
  }
  ASSERT_TRUE(board.over());
  EXPECT_THAT(board.TakeReplies().error().message, HasSubstr("unit 10: 2 workers were lost"));
}

TEST(UnitBoard, TimeoutNamesWorkerAndUnit) {
  const auto units = Units(1);
  UnitBoard board(units, milliseconds(20), 5);
  ASSERT_EQ(board.Take("box:7"), 0U);
  board.CheckTime(true, "x");
  EXPECT_FALSE(board.over());
  std::this_thread::sleep_for(milliseconds(30));
  board.CheckTime(true, "x");
  ASSERT_TRUE(board.over());
  const auto replies = board.TakeReplies();
  EXPECT_EQ(replies.error().code, Code::kTimeout);
  EXPECT_THAT(replies.error().message, HasSubstr("worker box:7 has had unit 10 for 0.0"));
}

TEST(UnitBoard, NobodyThereFailsAtTheTimeout) {
  const auto units = Units(2);
  UnitBoard board(units, milliseconds(20), 5);
  std::this_thread::sleep_for(milliseconds(30));
  board.CheckTime(false, "ipc:///tmp/x");
  ASSERT_TRUE(board.over());
  EXPECT_THAT(board.TakeReplies().error().message,
              HasSubstr("2 of 2 units are not done: ipc:///tmp/x"));
}

TEST(ReplyFault, FindsMissingCompletionsAndLogprobs) {
  proto::SampleRequest request;
  request.add_groups()->set_samples(1);
  proto::SampleReply reply;
  EXPECT_TRUE(ReplyFault(request, reply).has_value());
  reply.add_completions()->add_ids(3);
  EXPECT_TRUE(ReplyFault(request, reply).has_value());
  reply.mutable_completions(0)->add_logprobs(-1);
  EXPECT_FALSE(ReplyFault(request, reply).has_value());
}

}  // namespace
}  // namespace aha::rollout
