#include "pipelines/data/jsonl.h"

#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <string>

#include <gtest/gtest.h>

namespace aha::pipelines {
namespace {

class JsonlTest : public testing::Test {
 public:
  JsonlTest()
      : folder(std::filesystem::path(testing::TempDir()) /
               ("jsonl." + std::to_string(::getpid()) + "." +
                testing::UnitTest::GetInstance()->current_test_info()->name())) {
    std::filesystem::create_directories(folder);
    spec.set_path("rows.jsonl");
  }
  ~JsonlTest() override { std::filesystem::remove_all(folder); }

  Result<std::vector<JsonlRow>> Read(const std::string& text) {
    std::ofstream(folder / "rows.jsonl", std::ios::binary) << text;
    return ReadJsonl(spec, folder);
  }
  // The message after the folder.
  std::string Complaint(const std::string& text) {
    const auto rows = Read(text);
    if (rows) return "no complaint";
    EXPECT_EQ(rows.error().code, Code::kCorrupt);
    EXPECT_TRUE(rows.error().message.starts_with(folder.string() + "/")) << rows.error().message;
    return rows.error().message.substr(folder.string().size() + 1);
  }

  std::filesystem::path folder;
  proto::Jsonl spec;
};

constexpr char kGood[] = R"({"question": "How many?", "answer": "6 * 7 = 42\n#### 42"})";

TEST_F(JsonlTest, ReadsTheReferenceAfterTheLastMark) {
  const auto rows = Read(R"({"question": "Q", "answer": "#### 1\nso #### 1,234 ", "other": [1]})"
                         "\n" +
                         std::string(kGood) + "\n");
  ASSERT_TRUE(rows.has_value()) << rows.error().message;
  ASSERT_EQ(rows->size(), 2U);
  EXPECT_EQ(rows->at(0).question, "Q");
  EXPECT_EQ(rows->at(0).answer, "#### 1\nso #### 1,234 ");
  EXPECT_EQ(rows->at(0).reference, "1,234");
  EXPECT_EQ(rows->at(0).line, 1U);
  EXPECT_EQ(rows->at(1).reference, "42");
  EXPECT_EQ(rows->at(1).line, 2U);
}

TEST_F(JsonlTest, AllowsForOtherEditors) {
  const auto rows = Read("\xEF\xBB\xBF" + std::string(kGood) + "\r\n" + kGood + "\r\n\r\n \n\n");
  ASSERT_TRUE(rows.has_value()) << rows.error().message;
  EXPECT_EQ(rows->size(), 2U);
  EXPECT_EQ(Read(kGood)->size(), 1U);  // no newline at the end
}

TEST_F(JsonlTest, TakesOtherKeysNumbersAndWholeAnswers) {
  spec.set_question("q");
  spec.set_answer("a");
  spec.set_answer_mark("");
  const auto rows = Read("{\"q\": 7, \"a\": -2.5}\n{\"q\": \"x\", \"a\": \" 12 #### 3 \"}\n");
  ASSERT_TRUE(rows.has_value()) << rows.error().message;
  EXPECT_EQ(rows->at(0).question, "7");
  EXPECT_EQ(rows->at(0).reference, "-2.5");
  EXPECT_EQ(rows->at(1).reference, "12 #### 3");
}

TEST_F(JsonlTest, StopsAtTheLimit) {
  spec.set_limit(1);
  const auto rows = Read(std::string(kGood) + "\nnot JSON\n");
  ASSERT_TRUE(rows.has_value()) << rows.error().message;
  EXPECT_EQ(rows->size(), 1U);
}

TEST_F(JsonlTest, SaysWhichLineIsBadAndWhy) {
  const std::string good = std::string(kGood) + "\n";
  EXPECT_TRUE(Complaint(good + "{\"question\": \n").starts_with("rows.jsonl:2: not JSON: "));
  EXPECT_TRUE(Complaint(good + good + "{} {}\n").starts_with("rows.jsonl:3: not JSON: "));
  EXPECT_TRUE(Complaint("{\"question\": \"\xFF\"}\n").starts_with("rows.jsonl:1: not JSON: "));
  EXPECT_EQ(Complaint("[1]\n"), "rows.jsonl:1: of type array, give a JSON object");
  EXPECT_EQ(Complaint("{\"answer\": \"#### 1\"}\n"), "rows.jsonl:1: no key \"question\"");
  EXPECT_EQ(Complaint("{\"question\": \"Q\"}\n"), "rows.jsonl:1: no key \"answer\"");
  EXPECT_EQ(Complaint("{\"question\": null, \"answer\": \"#### 1\"}\n"),
            "rows.jsonl:1: \"question\" is of type null, give text or a number");
  EXPECT_EQ(Complaint("{\"question\": \" \\n\", \"answer\": \"#### 1\"}\n"),
            "rows.jsonl:1: \"question\" is empty");
  EXPECT_EQ(Complaint("{\"question\": \"Q\", \"answer\": \"1\"}\n"),
            "rows.jsonl:1: no \"####\" in \"answer\"; set answer_mark to \"\" where the whole "
            "answer is meant");
  EXPECT_EQ(Complaint("{\"question\": \"Q\", \"answer\": \"1 #### \"}\n"),
            "rows.jsonl:1: nothing after \"####\" in \"answer\"");
  EXPECT_EQ(Complaint(good + "\n" + good), "rows.jsonl:2: a blank line");
  EXPECT_EQ(Complaint(" \n\n"), "rows.jsonl: no rows");
}

TEST_F(JsonlTest, RefusesEndlessLinesAndDeepNesting) {
  EXPECT_EQ(Complaint(std::string(kGood) + "\n" + std::string((16U << 20U) + 1, 'x')),
            "rows.jsonl:2: longer than 16777216 bytes");
  EXPECT_TRUE(Complaint(std::string(1000000, '[')).starts_with("rows.jsonl:1: not JSON: "));
}

TEST_F(JsonlTest, SaysWhenThereIsNoFile) {
  EXPECT_EQ(ReadJsonl(spec, folder).error().code, Code::kNotFound);
  spec.set_path(".");
  EXPECT_EQ(ReadJsonl(spec, folder).error().code, Code::kNotFound);
}

}  // namespace
}  // namespace aha::pipelines
