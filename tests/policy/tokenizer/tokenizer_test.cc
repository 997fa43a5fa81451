#include "policy/tokenizer/tokenizer.h"

#include <chrono>
#include <filesystem>
#include <thread>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "base/keyed_random.h"
#include "base/whole_file.h"
#include "policy/tokenizer/tokenizer_config.h"
#include "policy/tokenizer/train_bpe.h"
#include "policy/tokenizer/utf8.h"

namespace aha::policy {
namespace {

using Json = nlohmann::json;
using testing::ElementsAre;
using testing::HasSubstr;

// 5 added tokens, 256 bytes and the merges of a few words and runs of "a".
const std::string& TrainedText() {
  static const std::string text = [] {
    TrainOptions options;
    options.vocab_size = 285;
    options.added_tokens = {{"<|end|>", true},
                            {"<think>", false},
                            {"</think>", false},
                            {"<x>", false},
                            {"<xy>", false}};
    const std::vector<std::string> documents(
        3, "the cat sat on the mat, the end aaaaaaaaaaaaaaaa éé 12");
    return TrainBpe(documents, options).value();
  }();
  return text;
}

Tokenizer Trained() {
  return Tokenizer::FromText(TrainedText(), "trained").value();
}

std::string FailureOf(const Json& json) {
  const auto tokenizer = Tokenizer::FromText(json.dump(), "dir/tokenizer.json");
  return tokenizer ? std::string("loaded") : tokenizer.error().message;
}

TEST(Tokenizer, RoundTripsTextThroughIds) {
  const Tokenizer tokenizer = Trained();
  for (const std::string_view text :
       {"", "the cat", "<think>12</think>\r\n  é 答案 \U0001F600 <|end|>"}) {
    const auto ids = tokenizer.Encode(text);
    ASSERT_TRUE(ids);
    EXPECT_EQ(tokenizer.Decode(*ids), text);
  }
}

TEST(Tokenizer, LongestAddedTokenWins) {
  const Tokenizer tokenizer = Trained();
  EXPECT_THAT(tokenizer.Encode("<xy><x>").value(), ElementsAre(4, 3));
}

TEST(Tokenizer, SkipsSpecialTokensAndKeepsTags) {
  const Tokenizer tokenizer = Trained();
  const std::vector<std::int32_t> ids{0, 1, 2, 0};
  EXPECT_EQ(tokenizer.Decode(ids, true), "<think></think>");
  EXPECT_EQ(tokenizer.Decode(ids, false), "<|end|><think></think><|end|>");
}

TEST(Tokenizer, LookUpsOutsideTheVocabularyAreEmpty) {
  const Tokenizer tokenizer = Trained();
  EXPECT_EQ(tokenizer.vocab_size(), 285U);
  for (const std::int32_t id : {-1, 285, INT32_MAX, INT32_MIN}) {
    EXPECT_EQ(tokenizer.TokenOf(id), "");
    EXPECT_EQ(tokenizer.BytesOf(id), "");
    EXPECT_FALSE(tokenizer.IsSpecial(id));
    EXPECT_EQ(tokenizer.Decode(std::vector<std::int32_t>{id}), "");
  }
  EXPECT_EQ(tokenizer.IdOf("<think>"), 1);
  EXPECT_EQ(tokenizer.TokenOf(1), "<think>");
  EXPECT_EQ(tokenizer.IdOf("Ġthe").has_value(), true);
  EXPECT_EQ(tokenizer.BytesOf(*tokenizer.IdOf("Ġthe")), " the");
  EXPECT_EQ(tokenizer.IdOf("no such token"), std::nullopt);
}

TEST(Tokenizer, RefusesTextThatIsNotUtf8) {
  for (const std::string_view text :
       {"ab\xFF", "ab\xC3", "ab\xED\xA0\x80", "ab\xC0\xAF", "ab\xF4\x90\x80\x80"}) {
    const auto ids = Trained().Encode(text);
    ASSERT_FALSE(ids);
    EXPECT_EQ(ids.error().code, Code::kInvalidArgument);
    EXPECT_THAT(ids.error().message, HasSubstr("byte 2"));
  }
}

TEST(Tokenizer, MegabyteOfOneLetterTakesUnderASecond) {
  const auto start = std::chrono::steady_clock::now();
  const auto ids = Trained().Encode(std::string(1 << 20, 'a'));
  const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
  ASSERT_TRUE(ids);
  EXPECT_EQ(ids->size(), (1U << 20U) / 8);
  EXPECT_LT(seconds.count(), 1.0);
}

TEST(Tokenizer, ThreadsShareOne) {
  const Tokenizer tokenizer = Trained();
  const std::string text = "the cat <think>sat on 1234</think> éé the mat";
  const auto expected = tokenizer.Encode(text).value();
  std::vector<int> equal(4, 0);
  {
    std::vector<std::jthread> threads;
    for (int& count : equal) {
      threads.emplace_back([&] {
        for (int i = 0; i < 200; ++i)
          count += tokenizer.Encode(text).value() == expected ? 1 : 0;
      });
    }
  }
  EXPECT_THAT(equal, ElementsAre(200, 200, 200, 200));
}

TEST(StreamDecoder, HandsOutWholeCharactersOnly) {
  const Tokenizer tokenizer = Trained();
  StreamDecoder decoder(tokenizer);
  const std::string text = "a\U0001F600";
  std::vector<std::string> parts;
  for (const char byte : text) {
    parts.push_back(decoder.Push(tokenizer.IdOf(ToByteLevel(std::string_view(&byte, 1))).value()));
  }
  EXPECT_THAT(parts, ElementsAre("a", "", "", "", "\U0001F600"));
  EXPECT_EQ(decoder.Push(tokenizer.IdOf(ToByteLevel("\xE7")).value()), "");
  EXPECT_EQ(decoder.Finish(), "\xEF\xBF\xBD");
  EXPECT_EQ(decoder.Finish(), "");
}

TEST(Utf8, BrokenSequencesBecomeOneReplacementEach) {
  const std::string r = "\xEF\xBF\xBD";
  const std::pair<std::string, std::string> cases[] = {
      {"\x80", r},
      {"\xC3(", r + "("},
      {"\xE2\x82(", r + "("},
      {"\xED\xA0\x80", r + r + r},
      {"\xF0\x9F\x98", r},
      {"\xC0\xAF", r + r},
      {"\xE2\x82\xE2\x82\xAC", r + "\xE2\x82\xAC"},
  };
  for (auto [bytes, text] : cases)
    EXPECT_EQ(TakeUtf8(bytes, true), text);
}

struct RefusedCase {
  std::string name, pointer, value, want;
};
void PrintTo(const RefusedCase& c, std::ostream* os) {
  *os << c.pointer << " = " << c.value;
}

class RefusedTokenizerTest : public testing::TestWithParam<RefusedCase> {};

TEST_P(RefusedTokenizerTest, NamesFileAndField) {
  Json json = Json::parse(TrainedText());
  json[Json::json_pointer(GetParam().pointer)] = Json::parse(GetParam().value);
  const std::string failure = FailureOf(json);
  EXPECT_THAT(failure, HasSubstr("dir/tokenizer.json: "));
  EXPECT_THAT(failure, HasSubstr(GetParam().want));
}

INSTANTIATE_TEST_SUITE_P(
    Table,
    RefusedTokenizerTest,
    testing::Values(
        RefusedCase{"ModelType", "/model/type", R"("WordPiece")", "model.type: WordPiece"},
        RefusedCase{"ByteFallback", "/model/byte_fallback", "true", "model.byte_fallback"},
        RefusedCase{"Dropout", "/model/dropout", "0.1", "model.dropout"},
        RefusedCase{"Prefix", "/model/continuing_subword_prefix", R"("##")",
                    "continuing_subword_prefix"},
        RefusedCase{"Unknown", "/model/unk_token", R"("<unk>")", "unk_token"},
        RefusedCase{"NegativeId", "/model/vocab/a", "-1", "model.vocab[\"a\"]"},
        RefusedCase{"HugeId", "/model/vocab/a", "2147483647", "model.vocab[\"a\"]"},
        RefusedCase{"FractionalId", "/model/vocab/a", "1.5", "model.vocab[\"a\"]"},
        RefusedCase{"SameId", "/model/vocab/a", "7", "has id 7 too"},
        RefusedCase{"VocabArray", "/model/vocab", "[]", "model.vocab"},
        RefusedCase{"MergeOfThree", "/model/merges/0", R"("a b c")", "model.merges[0]"},
        RefusedCase{"MergeUnknown", "/model/merges/0", R"(["a", "€"])", "model.merges[0]: \"€\""},
        RefusedCase{"MergeNumber", "/model/merges/0", "[1, 2]", "model.merges[0]"},
        RefusedCase{"Normalizer", "/normalizer", R"({"type": "StripAccents"})",
                    "normalizer StripAccents"},
        RefusedCase{"PreTokenizer", "/pre_tokenizer", R"({"type": "Metaspace"})",
                    "pre-tokenizer Metaspace"},
        RefusedCase{"NotByteLevel", "/pre_tokenizer", "null", "no ByteLevel"},
        RefusedCase{"Pattern", "/pre_tokenizer/pretokenizers/0/pattern/Regex", R"("(a")",
                    "pre_tokenizer.pretokenizers[0].pattern"},
        RefusedCase{"Behavior", "/pre_tokenizer/pretokenizers/0/behavior", R"("Kept")",
                    "behavior: Kept"},
        RefusedCase{"PostProcessor", "/post_processor", R"({"type": "BertProcessing"})",
                    "BertProcessing"},
        RefusedCase{"Decoder", "/decoder", R"({"type": "WordPiece"})", "decoder WordPiece"},
        RefusedCase{"NoDecoder", "/decoder", "null", "decoder: is missing"},
        RefusedCase{"Truncation", "/truncation", R"({"max_length": 5})", "truncation"},
        RefusedCase{"AddedId", "/added_tokens/1/id", "77", "added_tokens[1].id"},
        RefusedCase{"AddedTwice", "/added_tokens/1",
                    R"({"id": 0, "content": "<|end|>", "single_word": false,
            "lstrip": false, "rstrip": false, "normalized": false, "special": true})",
                    "is added twice"},
        RefusedCase{"AddedFlag", "/added_tokens/1/special", "1", "added_tokens[1].special"}),
    [](const auto& p) { return p.param.name; });

TEST(Tokenizer, FreshAddedTokensTakeTheNextIds) {
  Json json = Json::parse(TrainedText());
  Json token = json["added_tokens"][1];
  token["content"] = "<new>";
  token["id"] = 285;
  json["added_tokens"].push_back(token);
  const auto tokenizer = Tokenizer::FromText(json.dump(), "test");
  ASSERT_TRUE(tokenizer) << tokenizer.error().message;
  EXPECT_EQ(tokenizer->vocab_size(), 286U);
  EXPECT_THAT(tokenizer->Encode("<new>").value(), ElementsAre(285));
}

TEST(Tokenizer, MutatedFilesNeverCrash) {
  const std::string& whole = TrainedText();
  int loaded = 0;
  for (std::uint64_t i = 0; i < 150; ++i) {
    DrawSequence draw(KeyedRandom(11, "tokenizer mutation").With(i));
    std::string text = whole;
    for (std::int64_t n = draw.Integer(1, 3); n > 0; --n) {
      const auto at =
          static_cast<std::size_t>(draw.Integer(0, static_cast<std::int64_t>(text.size()) - 1));
      if (draw.Chance(0.1)) text.resize(at + 1);
      text[std::min(at, text.size() - 1)] = static_cast<char>(draw.Integer(0x20, 0x7E));
    }
    const auto tokenizer = Tokenizer::FromText(text, "mutated");
    if (!tokenizer) continue;
    ++loaded;
    const auto ids = tokenizer->Encode("the cat <think> éé 123 <|end|>");
    if (!ids) continue;
    EXPECT_EQ(FirstInvalidUtf8(tokenizer->Decode(*ids)), std::nullopt);
  }
  EXPECT_GT(loaded, 0);
  EXPECT_LT(loaded, 150);
}

TEST(TokenizerFolder, IsReadBackAndNamesItsTokens) {
  const auto folder = std::filesystem::path(testing::TempDir()) / "aha_tokenizer_folder";
  std::filesystem::create_directories(folder);
  TokenizerConfig config;
  config.eos_token = "<|end|>";
  config.model_max_length = 512;
  ASSERT_TRUE(WriteTokenizerFolder(folder, Trained(), config));
  EXPECT_EQ(Tokenizer::Load(folder / "tokenizer.json").value().text(), TrainedText());
  const Json json = Json::parse(ReadFile(folder / "tokenizer_config.json").value());
  EXPECT_EQ(json["eos_token"], "<|end|>");
  EXPECT_EQ(json["tokenizer_class"], "PreTrainedTokenizerFast");
  EXPECT_EQ(json["added_tokens_decoder"]["1"]["content"], "<think>");
  config.eos_token = "<nobody>";
  EXPECT_THAT(WriteTokenizerFolder(folder, Trained(), config).error().message,
              HasSubstr("<nobody>"));
  std::filesystem::remove_all(folder);
}

}  // namespace
}  // namespace aha::policy
