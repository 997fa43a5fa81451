// docs/reward_service.md holds a worked example; it must stay true.
#include <string>

#include <google/protobuf/text_format.h>
#include <google/protobuf/util/message_differencer.h>
#include <gtest/gtest.h>

#include "base/whole_file.h"
#include "proto/rewards.pb.h"
#include "rewards/registry.h"

namespace aha::rewards {
namespace {

// The n-th fenced block that begins with ```kind.
std::string Block(const std::string& document, const std::string& kind, int n) {
  std::size_t at = 0;
  const std::string fence = "```" + kind + "\n";
  for (int i = 0; i <= n; ++i) {
    at = document.find(fence, at);
    if (at == std::string::npos) return {};
    at += fence.size();
  }
  return document.substr(at, document.find("```", at) - at);
}

std::string FromHex(const std::string& text) {
  std::string digits;
  for (const char c : text) {
    if (std::isxdigit(static_cast<unsigned char>(c)) != 0) digits.push_back(c);
  }
  std::string bytes;
  for (std::size_t i = 0; i + 1 < digits.size(); i += 2) {
    bytes.push_back(static_cast<char>(std::stoi(digits.substr(i, 2), nullptr, 16)));
  }
  return bytes;
}

class WireDocument : public testing::TestWithParam<int> {};

TEST_P(WireDocument, BytesAreTheMessage) {
  const auto document = ReadFile(AHA_SOURCE_DIR "/docs/reward_service.md");
  ASSERT_TRUE(document.has_value());
  const std::string text = Block(*document, "textproto", GetParam());
  const std::string hex = Block(*document, "hex", GetParam());
  ASSERT_FALSE(text.empty());
  ASSERT_FALSE(hex.empty());
  proto::Envelope written;
  ASSERT_TRUE(google::protobuf::TextFormat::ParseFromString(text, &written));
  proto::Envelope read;
  ASSERT_TRUE(read.ParseFromString(FromHex(hex)));
  EXPECT_TRUE(google::protobuf::util::MessageDifferencer::Equals(written, read));
  EXPECT_EQ(written.SerializeAsString(), FromHex(hex));
}

INSTANTIATE_TEST_SUITE_P(RequestAndReply, WireDocument, testing::Values(0, 1));

TEST(WireDocumentExample, IsScoredAsTheReplySays) {
  const auto document = ReadFile(AHA_SOURCE_DIR "/docs/reward_service.md");
  ASSERT_TRUE(document.has_value());
  proto::Envelope request;
  proto::Envelope reply;
  ASSERT_TRUE(request.ParseFromString(FromHex(Block(*document, "hex", 0))));
  ASSERT_TRUE(reply.ParseFromString(FromHex(Block(*document, "hex", 1))));
  const Registry registry = Registry::BuiltIns();
  for (int i = 0; i < request.score_request().items_size(); ++i) {
    const auto& item = request.score_request().items(i);
    for (int r = 0; r < request.score_request().rewards_size(); ++r) {
      const auto& spec = request.score_request().rewards(r);
      const auto reward = registry.Make(spec.name(), spec.config());
      ASSERT_TRUE(reward.has_value());
      Outcome outcome = (*reward)->Score({.id = item.id(),
                                          .prompt = item.prompt(),
                                          .completion = item.completion(),
                                          .reference = item.reference(),
                                          .language = item.language()});
      Outcome want = reply.score_reply().items(i).outcomes(r);
      want.clear_ms();
      EXPECT_EQ(outcome.SerializeAsString(), want.SerializeAsString());
    }
  }
}

}  // namespace
}  // namespace aha::rewards
