// Long texts of the worst kinds take time in proportion to their length, or nearly.

#include <chrono>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "policy/tokenizer/tokenizer.h"
#include "policy/tokenizer/train_bpe.h"

namespace aha::policy {
namespace {

using Json = nlohmann::json;

std::string Repeated(std::string_view part, std::size_t bytes) {
  std::string text;
  while (text.size() < bytes)
    text += part;
  return text;
}

struct HostileCase {
  std::string name, part, first;
};
void PrintTo(const HostileCase& c, std::ostream* os) {
  *os << c.name;
}

class HostileTextTest : public testing::TestWithParam<HostileCase> {};

TEST_P(HostileTextTest, MegabyteTakesUnderASecondAndComesBack) {
  TrainOptions options;
  options.vocab_size = 300;
  const std::vector<std::string> documents(2,
                                           "aaaaaaaaaaaaaaaa                1111111111 éé the cat");
  Json json = Json::parse(TrainBpe(documents, options).value());
  json["normalizer"] = {{"type", "NFC"}};
  const Tokenizer tokenizer = Tokenizer::FromText(json.dump(), "test").value();
  const std::string text = GetParam().first + Repeated(GetParam().part, std::size_t{1} << 20U);
  const auto start = std::chrono::steady_clock::now();
  const auto ids = tokenizer.Encode(text);
  const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
  ASSERT_TRUE(ids) << ids.error().message;
  EXPECT_LT(seconds.count(), 1.0);
  EXPECT_GT(ids->size(), 1000U);
}

INSTANTIATE_TEST_SUITE_P(Table,
                         HostileTextTest,
                         testing::Values(HostileCase{"OneLetter", "a", ""},
                                         HostileCase{"Spaces", " ", ""},
                                         HostileCase{"LineEnds", "\n", ""},
                                         HostileCase{"BlanksAndLineEnds", "\t\n", ""},
                                         HostileCase{"Digits", "1", ""},
                                         HostileCase{"Nul", std::string(1, '\0'), ""},
                                         HostileCase{"Marks", "\u0301", "e"},
                                         HostileCase{"MarksOutOfOrder", "\u0316\u0301", "e"},
                                         HostileCase{"MarksFalling", "\u0345\u0301\u0316\u0334",
                                                     "q"},
                                         HostileCase{"Jamo", "\u1100\u1161\u11a8", ""},
                                         HostileCase{"Joiners", "\U0001F469\u200d", ""},
                                         HostileCase{"Quotes", "'", ""}),
                         [](const auto& p) { return p.param.name; });

}  // namespace
}  // namespace aha::policy
