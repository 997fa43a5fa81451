// Ids and texts of Hugging Face `tokenizers`, recorded by tests/golden/make_tokenizer_golden.py.

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "base/whole_file.h"
#include "policy/tokenizer/tokenizer.h"
#include "policy/tokenizer/train_bpe.h"

namespace aha::policy {
namespace {

using Json = nlohmann::json;

const Json& Golden() {
  static const Json golden =
      Json::parse(ReadFile(AHA_SOURCE_DIR "/tests/policy/golden/tokenizer.json").value());
  return golden;
}

// The golden tokenizer with a variant's members put over its own.
Tokenizer Build(const Json& patch) {
  Json json = Golden().at("tokenizer");
  for (const auto& [key, value] : patch.items())
    json[key] = value;
  auto tokenizer = Tokenizer::FromText(json.dump(), "golden");
  if (!tokenizer) throw std::runtime_error(tokenizer.error().message);
  return *tokenizer;
}

class TokenizerGoldenTest : public testing::TestWithParam<std::size_t> {};

TEST_P(TokenizerGoldenTest, EncodesLikeHuggingFace) {
  const Json& variant = Golden().at("variants").at(GetParam());
  const Tokenizer tokenizer = Build(variant.at("patch"));
  const Json& texts = Golden().at("texts");
  for (std::size_t i = 0; i < texts.size(); ++i) {
    const auto ids =
        tokenizer.Encode(texts[i].get<std::string>(), variant.at("name") == "template");
    ASSERT_TRUE(ids) << ids.error().message;
    EXPECT_EQ(*ids, variant.at("ids").at(i).get<std::vector<std::int32_t>>()) << texts[i];
  }
}

INSTANTIATE_TEST_SUITE_P(
    Variants,
    TokenizerGoldenTest,
    testing::Range(std::size_t{0}, Golden().at("variants").size()),
    [](const auto& p) {
      return Golden().at("variants").at(p.param).at("name").template get<std::string>();
    });

TEST(TokenizerGolden, DecodesLikeHuggingFaceWholeAndStreamed) {
  const Tokenizer tokenizer = Build(Json::object());
  for (const Json& stream : Golden().at("streams")) {
    const auto ids = stream.at("ids").get<std::vector<std::int32_t>>();
    EXPECT_EQ(tokenizer.Decode(ids, false), stream.at("text").get<std::string>());
    EXPECT_EQ(tokenizer.Decode(ids, true), stream.at("plain").get<std::string>());
    StreamDecoder decoder(tokenizer, true);
    std::string streamed;
    for (const std::int32_t id : ids)
      streamed += decoder.Push(id);
    EXPECT_EQ(streamed + decoder.Finish(), stream.at("plain").get<std::string>());
  }
}

TEST(TokenizerGolden, TrainsLikeHuggingFace) {
  const Json& expected = Golden().at("tokenizer");
  TrainOptions options;
  options.vocab_size = static_cast<std::int32_t>(expected.at("model").at("vocab").size());
  for (const Json& token : expected.at("added_tokens")) {
    options.added_tokens.push_back({token.at("content"), token.at("special")});
  }
  const auto text = TrainBpe(Golden().at("documents").get<std::vector<std::string>>(), options);
  ASSERT_TRUE(text) << text.error().message;
  EXPECT_EQ(Json::parse(*text), expected);
}

}  // namespace
}  // namespace aha::policy
