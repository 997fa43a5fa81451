#include "policy/tokenizer/train_bpe.h"

#include <algorithm>
#include <chrono>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "base/keyed_random.h"
#include "policy/tokenizer/tokenizer.h"

namespace aha::policy {
namespace {

using Json = nlohmann::json;
using testing::HasSubstr;

TEST(TrainBpe, NumbersItsTokensAsDocumented) {
  TrainOptions options;
  options.vocab_size = 2 + 256 + 1;
  options.added_tokens = {{"<|end|>", true}, {"<think>", false}};
  const auto tokenizer =
      Tokenizer::FromText(TrainBpe(std::vector<std::string>{"ab ab"}, options).value(), "t");
  ASSERT_TRUE(tokenizer) << tokenizer.error().message;
  EXPECT_EQ(tokenizer->vocab_size(), 259U);
  EXPECT_EQ(tokenizer->TokenOf(0), "<|end|>");
  EXPECT_EQ(tokenizer->TokenOf(1), "<think>");
  EXPECT_EQ(tokenizer->BytesOf(2), "!");       // U+0021, the alphabet's first character
  EXPECT_EQ(tokenizer->BytesOf(257), "\xAD");  // U+0143, its last
  EXPECT_EQ(tokenizer->TokenOf(258), "ab");
  EXPECT_TRUE(tokenizer->IsSpecial(0));
  EXPECT_FALSE(tokenizer->IsSpecial(1));
}

TEST(TrainBpe, TiesGoToTheLowerPairOfIds) {
  TrainOptions options;
  options.vocab_size = 259;
  const Json json =
      Json::parse(TrainBpe(std::vector<std::string>{"zq", "ba", "bc"}, options).value());
  EXPECT_EQ(json["model"]["merges"][0], Json({"b", "a"}));
  EXPECT_EQ(json["model"]["merges"][1], Json({"b", "c"}));
  EXPECT_EQ(json["model"]["merges"][2], Json({"z", "q"}));
}

TEST(TrainBpe, OrderOfDocumentsDoesNotMatter) {
  std::vector<std::string> documents{"the cat", "sat on 123", "the mat mat", "答案 是 12",
                                     "aaaa aaa"};
  TrainOptions options;
  options.vocab_size = 280;
  const std::string text = TrainBpe(documents, options).value();
  std::reverse(documents.begin(), documents.end());
  EXPECT_EQ(TrainBpe(documents, options).value(), text);
}

TEST(TrainBpe, TagsAreCutOutBeforeTraining) {
  TrainOptions options;
  options.vocab_size = 257;
  const std::vector<std::string> documents{"<think>a b</think>"};
  options.added_tokens = {{"<think>", false}, {"</think>", false}};
  options.vocab_size = 300;
  const Json json = Json::parse(TrainBpe(documents, options).value());
  EXPECT_EQ(json["model"]["merges"], Json::parse(R"([["Ġ", "b"]])"));
  EXPECT_EQ(json["model"]["vocab"].size(), 259U);  // the text has no more to merge
}

TEST(TrainBpe, RefusesOptionsThatCannotBe) {
  const std::vector<std::string> documents{"a"};
  const auto failure = [&](TrainOptions options) {
    const auto text = TrainBpe(documents, options);
    return text ? std::string("trained") : text.error().message;
  };
  EXPECT_THAT(failure({.vocab_size = 255}), HasSubstr("vocab_size: 255"));
  EXPECT_THAT(failure({.vocab_size = 257, .added_tokens = {{"<a>"}, {"<b>"}}}), HasSubstr("258"));
  EXPECT_THAT(failure({.added_tokens = {{"<a>"}, {"<a>"}}}), HasSubstr("\"<a>\" is there twice"));
  EXPECT_THAT(failure({.added_tokens = {{""}}}), HasSubstr("empty"));
  EXPECT_THAT(failure({.added_tokens = {{"x"}}}), HasSubstr("\"x\" is already"));
  EXPECT_THAT(failure({.pattern = "(a"}), HasSubstr("regular expression"));
  EXPECT_THAT(TrainBpe(std::vector<std::string>{"a", "b\xFF"}, {}).error().message,
              HasSubstr("document 1"));
}

TEST(TrainBpe, FiveMegabytesTakeSeconds) {
  DrawSequence draw(KeyedRandom(3, "training text"));
  std::vector<std::string> words(2000);
  for (auto& word : words) {
    for (std::int64_t n = draw.Integer(1, 10); n > 0; --n)
      word.push_back(static_cast<char>(draw.Integer('a', 'z')));
  }
  std::vector<std::string> documents;
  for (std::size_t bytes = 0; bytes < 5'000'000; bytes += documents.back().size()) {
    std::string& document = documents.emplace_back();
    while (document.size() < 1000)
      document += draw.Pick(words) + " ";
  }
  const auto start = std::chrono::steady_clock::now();
  const auto text = TrainBpe(documents, {});
  const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
  ASSERT_TRUE(text);
  RecordProperty("seconds", std::to_string(seconds.count()));
  EXPECT_EQ(Tokenizer::FromText(*text, "t").value().vocab_size(), 1000U);
  EXPECT_LT(seconds.count(), 10);  // about a third of a second on an idle machine
}

}  // namespace
}  // namespace aha::policy
