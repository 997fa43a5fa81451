#include "rewards/service/replies.h"

#include <gtest/gtest.h>

#include "rewards/service/statistics.h"
#include "rewards/service/wire.h"

namespace aha::rewards {
namespace {

using std::chrono::milliseconds;

TEST(RecentReplies, KeepsWithinCountBytesAndAge) {
  RecentReplies replies({.count = 3, .bytes = 10, .age = milliseconds(100)});
  const auto t = RecentReplies::Clock::time_point(std::chrono::hours(1));
  for (const char* id : {"a", "b", "c", "d"})
    replies.Add(id, {.fingerprint = 1, .bytes = "xx"}, t);
  EXPECT_EQ(replies.Find("a"), nullptr) << "three at most";
  EXPECT_NE(replies.Find("b"), nullptr);
  replies.Add("e", {.fingerprint = 1, .bytes = "xxxxxxx"}, t);
  EXPECT_EQ(replies.bytes(), 9U);
  EXPECT_EQ(replies.Find("c"), nullptr) << "ten bytes at most";
  replies.Add("big", {.fingerprint = 1, .bytes = "xxxxxxxxxxx"}, t);
  EXPECT_EQ(replies.Find("big"), nullptr);
  replies.Expire(t + milliseconds(100));
  EXPECT_EQ(replies.count(), 2U);
  replies.Expire(t + milliseconds(101));
  EXPECT_EQ(replies.count(), 0U);
  EXPECT_EQ(replies.bytes(), 0U);
}

proto::ScoreRequest Request() {
  proto::ScoreRequest request;
  request.set_request_id("r");
  request.add_rewards()->set_name("math");
  auto* item = request.add_items();
  item->set_id("i");
  item->set_completion("c\xFF");
  return request;
}

TEST(Fingerprint, LeavesOutIdAndDeadlineAndNothingElse) {
  const std::size_t was = Fingerprint(Request());
  auto same = Request();
  same.set_request_id("s");
  same.set_deadline_ms(7);
  EXPECT_EQ(Fingerprint(same), was);
  const auto differs = [&](auto change) {
    auto other = Request();
    change(other);
    return Fingerprint(other) != was;
  };
  EXPECT_TRUE(differs([](auto& r) { r.mutable_rewards(0)->set_config("x"); }));
  EXPECT_TRUE(differs([](auto& r) { r.mutable_rewards(0)->mutable_isolation(); }));
  EXPECT_TRUE(differs([](auto& r) { r.mutable_items(0)->set_completion("c"); }));
  EXPECT_TRUE(differs([](auto& r) { r.mutable_items(0)->set_truncated(true); }));
  EXPECT_TRUE(differs([](auto& r) { r.mutable_items(0)->set_tokens(1); }));
  EXPECT_TRUE(differs([](auto& r) { r.add_items(); }));
}

TEST(RequestBytes, AreTheMessageWithAnyDeadline) {
  const auto want = Request();
  const std::vector<proto::RewardSpec> rewards(want.rewards().begin(), want.rewards().end());
  const std::vector<proto::ScoreItem> items = {proto::ScoreItem(), want.items(0)};
  const std::vector<std::uint32_t> chosen = {1};
  RequestBytes bytes("r", rewards, items, chosen);
  for (const std::uint32_t ms : {0U, 1U, 127U, 128U, 60000U, 4294967295U}) {
    bytes.SetDeadline(ms);
    proto::Envelope envelope;
    ASSERT_TRUE(ParseEnvelope(bytes.bytes().data(), bytes.bytes().size(), &envelope));
    EXPECT_EQ(envelope.wire_version(), kWireVersion);
    auto expected = want;
    expected.set_deadline_ms(ms);
    EXPECT_EQ(envelope.score_request().SerializeAsString(), expected.SerializeAsString());
  }
}

TEST(Histogram, FindsQuantilesWithinItsBuckets) {
  Histogram histogram;
  EXPECT_EQ(histogram.Quantile(0.5), 0);
  for (int i = 1; i <= 1000; ++i)
    histogram.Add(i);
  EXPECT_NEAR(histogram.Quantile(0.5), 500, 500 * 0.07);
  EXPECT_NEAR(histogram.Quantile(0.99), 990, 990 * 0.07);
  histogram.Add(0);
  histogram.Add(1e300);
  EXPECT_GT(histogram.Quantile(1), 1e5);
}

}  // namespace
}  // namespace aha::rewards
