#include "policy/tokenizer/decode_table.h"

#include <random>

#include <gtest/gtest.h>

#include "policy/tokenizer/utf8.h"

namespace aha::policy {
namespace {

const std::vector<std::string>& Tokens() {
  static const std::vector<std::string> tokens = {"a",
                                                  "",
                                                  " word",
                                                  "\xE4",
                                                  "\xBD\xA0",
                                                  "\xE4\xBD\xA0",
                                                  "\xF0\x9F",
                                                  "\x98\x80",
                                                  "\x80",
                                                  "\xFF",
                                                  "0123456789abcdef",
                                                  "0123456789abcdefg",
                                                  std::string(300, 'x'),
                                                  "x\xE4",
                                                  "\xA0y",
                                                  "<end>"};
  return tokens;
}

DecodeTable Table() {
  DecodeTable table;
  for (const std::string& token : Tokens())
    EXPECT_TRUE(table.Add(token, token == "<end>"));
  return table;
}

TEST(DecodeTable, JoinsAsTheReplacementRuleOfWholeTextsDoes) {
  const DecodeTable table = Table();
  std::mt19937 random(7);
  int invalid = 0;
  for (int trial = 0; trial < 3000; ++trial) {
    std::vector<std::int32_t> ids(random() % 12);
    std::string joined;
    const bool skip = random() % 2 == 0;
    for (std::int32_t& id : ids) {
      id = static_cast<std::int32_t>(random() % (Tokens().size() + 2)) - 1;
      if (!table.Knows(id) || (skip && Tokens()[static_cast<std::size_t>(id)] == "<end>")) continue;
      joined += Tokens()[static_cast<std::size_t>(id)];
    }
    invalid += FirstInvalidUtf8(joined).has_value() ? 1 : 0;
    ASSERT_EQ(table.Decode(ids, skip), TakeUtf8(joined, /*last=*/true)) << "trial " << trial;
  }
  EXPECT_GT(invalid, 500);
  EXPECT_LT(invalid, 2900);
}

TEST(DecodeTable, CharactersCutIntoTokensAreJoined) {
  const DecodeTable table = Table();
  EXPECT_EQ(table.Decode(std::vector{0, 3, 4, 6, 7, 2}, false),
            "a\xE4\xBD\xA0\xF0\x9F\x98\x80 word");
  EXPECT_EQ(table.Decode(std::vector{3, 1, 4}, false), "\xE4\xBD\xA0");
  EXPECT_EQ(table.Decode(std::vector{13, 4}, false), "x\xE4\xBD\xA0");
  EXPECT_EQ(table.Decode(std::vector{3, 0}, false),
            "\xEF\xBF\xBD"
            "a");
}

TEST(DecodeTable, KnowsWhatWasAdded) {
  const DecodeTable table = Table();
  EXPECT_EQ(table.size(), Tokens().size());
  EXPECT_FALSE(table.Knows(-1));
  EXPECT_FALSE(table.Knows(static_cast<std::int32_t>(Tokens().size())));
  for (std::size_t id = 0; id < Tokens().size(); ++id)
    EXPECT_EQ(table.BytesOf(static_cast<std::int32_t>(id)), Tokens()[id]);
  EXPECT_TRUE(table.IsSpecial(15));
  EXPECT_FALSE(table.IsSpecial(0));
}

}  // namespace
}  // namespace aha::policy
