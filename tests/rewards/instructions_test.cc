#include "rewards/verifiers/instructions/instructions.h"

#include <ostream>
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "rewards/registry.h"

namespace aha::rewards {
namespace {

using testing::AllOf;
using testing::HasSubstr;

Outcome ScoreWith(std::string_view reference,
                  std::string_view text,
                  const std::string& config = "") {
  const auto reward = Registry::BuiltIns().Make("instructions", config);
  EXPECT_TRUE(reward.has_value()) << reward.error().message;
  return ScoreSafely(
      **reward,
      {.id = {}, .prompt = {}, .completion = text, .reference = reference, .language = {}});
}

struct KindCase {
  std::string name;
  std::string reference;  // one instruction
  std::string kept;
  std::string broken;
};
void PrintTo(const KindCase& c, std::ostream* os) {
  *os << c.name;
}

const KindCase kKinds[] = {
    {"Existence", R"({"kind":"keywords:existence","keywords":["talented","tianjin"]})",
     "Tianjin is TALENTED", "Tianjin is"},
    {"FrequencyAtLeast",
     R"({"kind":"keywords:frequency","keyword":"ant","frequency":2,"relation":"at least"})",
     "Ant, ant", "ant"},
    {"FrequencyLessThan",
     R"({"kind":"keywords:frequency","keyword":"ant","frequency":2,"relation":"less than"})", "ant",
     "ant ant"},
    {"FrequencyOverlaps",
     R"({"kind":"keywords:frequency","keyword":"aa","frequency":2,"relation":"less than"})", "aaa",
     "aaaa"},
    {"Forbidden", R"({"kind":"keywords:forbidden_words","forbidden_words":["cat"]})", "concatenate",
     "the CAT!"},
    {"ForbiddenUnderscore", R"({"kind":"keywords:forbidden_words","forbidden_words":["cat"]})",
     "cat_1", "cat-1"},
    {"Letters",
     R"({"kind":"keywords:letter_frequency","letter":"L","let_frequency":3,"let_relation":"at least"})",
     "Lull", "lol e"},
    {"Language", R"({"kind":"language:response_language","language":"fr"})",
     "Nous devons calculer la somme des deux nombres entiers.",
     "We have to compute the sum of the two numbers."},
    {"Words", R"({"kind":"length_constraints:number_words","num_words":3,"relation":"at least"})",
     "it's two", "one two"},
    {"WordsLess",
     R"({"kind":"length_constraints:number_words","num_words":3,"relation":"less than"})",
     "one, two!", "one two three"},
    {"Sentences",
     R"({"kind":"length_constraints:number_sentences","num_sentences":2,"relation":"at least"})",
     "One here. Two there!", "Mr. Smith paid 3.5 dollars."},
    {"SentencesOfLists",
     R"({"kind":"length_constraints:number_sentences","num_sentences":3,"relation":"less than"})",
     "1. First thing.\n2. Second thing.", "A. Yes it is. No it is not. Well."},
    {"ChineseSentences",
     R"({"kind":"length_constraints:number_sentences","num_sentences":2,"relation":"exactly"})",
     "我来了。他走了！", "我来了，他走了。"},
    {"Paragraphs", R"({"kind":"length_constraints:number_paragraphs","num_paragraphs":2})",
     "one\n***\ntwo\n***\n", "one\n\ntwo"},
    {"ParagraphEmptyInside",
     R"({"kind":"length_constraints:number_paragraphs","num_paragraphs":2})", "one *** two",
     "one *** *** two"},
    {"NthParagraph",
     R"({"kind":"length_constraints:nth_paragraph_first_word","num_paragraphs":2,"nth_paragraph":2,"first_word":"Then"})",
     "One.\n\n\"then, two", "One.\n\nThence two"},
    {"Placeholders", R"({"kind":"detectable_content:number_placeholders","num_placeholders":2})",
     "[name] of [place]", "[name\n]"},
    {"Postscript", R"({"kind":"detectable_content:postscript","postscript_marker":"P.S."})",
     "bye\np. s. more", "bye ps more"},
    {"PostPostscript", R"({"kind":"detectable_content:postscript","postscript_marker":"P.P.S"})",
     "P.P.S more", "P.S. more"},
    {"Bullets", R"({"kind":"detectable_format:number_bullet_lists","num_bullets":2})",
     "* one\n - two", "* one\n* two\n- three"},
    {"BoldIsNoBullet", R"({"kind":"detectable_format:number_bullet_lists","num_bullets":1})",
     "**bold**\n- one", "**bold**"},
    {"Constrained", R"({"kind":"detectable_format:constrained_response"})",
     "Well. My answer is no.", "My answer is perhaps."},
    {"Highlights", R"({"kind":"detectable_format:number_highlighted_sections","num_highlights":2})",
     "*one* and **two**", "*one*"},
    {"Sections",
     R"({"kind":"detectable_format:multiple_sections","section_spliter":"Section","num_sections":2})",
     "Section 1\na\nSection 2\nb", "Section 1\na\nSection b"},
    {"Headings",
     R"({"kind":"detectable_format:number_headings","num_headings":2,"relation":"at least"})",
     "# a\n## b", "# a\n```\n# b\n```\n#c"},
    {"Json", R"({"kind":"detectable_format:json_format"})", "```json\n{\"a\": [1, null]}\n```",
     "{\"a\": 1,}"},
    {"JsonSchema",
     R"({"kind":"detectable_format:json_format","schema":{"type":"object","required":["n"],"properties":{"n":{"type":"integer","minimum":1}},"additionalProperties":false}})",
     "{\"n\": 2}", "{\"n\": 2, \"m\": 1}"},
    {"JsonSchemaBound",
     R"({"kind":"detectable_format:json_format","schema":{"type":"array","items":{"enum":["a","b"]},"maxItems":2}})",
     "[\"a\", \"b\"]", "[\"a\", \"b\", \"a\"]"},
    {"Title", R"({"kind":"detectable_format:title"})", "<<joy>>\ntext", "<< >>"},
    {"TwoResponses", R"({"kind":"combination:two_responses"})", "one\n******\ntwo",
     "one\n******\none"},
    {"RepeatPrompt", R"({"kind":"combination:repeat_prompt","prompt_to_repeat":"Why so?"})",
     " why SO? Because.", "Because. Why so?"},
    {"End", R"({"kind":"startend:end_checker","end_phrase":"Peace!"})", "so it is. peace!\"\n",
     "Peace! Bye"},
    {"Start", R"({"kind":"startend:start_checker","start_phrase":"Dear"})", "dear all", "My dear"},
    {"Quotation", R"({"kind":"startend:quotation"})", "\"so\"", "\"so"},
    {"Capital", R"({"kind":"change_case:english_capital"})", "ALL OF THIS IS ENGLISH, 100%",
     "All of this is English"},
    {"Lowercase", R"({"kind":"change_case:english_lowercase"})", "all of this is english, 100%",
     "123"},
    {"CapitalWords",
     R"({"kind":"change_case:capital_word_frequency","capital_frequency":2,"capital_relation":"at least"})",
     "VERY good, I say", "Very Good"},
    {"NoComma", R"({"kind":"punctuation:no_comma"})", "one two", "one, two"},
};

class InstructionKind : public testing::TestWithParam<KindCase> {};

TEST_P(InstructionKind, IsKeptOrBroken) {
  const auto& c = GetParam();
  const std::string reference = "[" + c.reference + "]";
  const Outcome kept = ScoreWith(reference, c.kept);
  const Outcome broken = ScoreWith(reference, c.broken);
  ASSERT_TRUE(kept.has_score()) << kept.failure().detail();
  EXPECT_EQ(kept.score(), 1) << c.kept;
  EXPECT_EQ(broken.score(), 0) << c.broken;
  EXPECT_THAT(broken.reason(), HasSubstr("not kept"));
}

INSTANTIATE_TEST_SUITE_P(Table, InstructionKind, testing::ValuesIn(kKinds), [](const auto& p) {
  return p.param.name;
});

// As the rows of IFEval's data set are: a null for each argument of another kind.
constexpr const char* kRow = R"({"key": 1000,
  "instruction_id_list": ["punctuation:no_comma", "length_constraints:number_words"],
  "kwargs": [{"num_words": null, "relation": null}, {"num_words": 3, "relation": "at least", "keywords": null}]})";

TEST(Instructions, ReadIfevalsRows) {
  EXPECT_EQ(ScoreWith(kRow, "one two three").score(), 1);
  EXPECT_EQ(ScoreWith(kRow, "one, two three").score(), 0.5);
  EXPECT_THAT(ScoreWith(kRow, "one, two three").reason(), HasSubstr("punctuation:no_comma"));
  EXPECT_EQ(ScoreWith(kRow, "one, two three", "all_or_nothing: true").score(), 0);
  EXPECT_EQ(ScoreWith(kRow, "one two three", "all_or_nothing: true").score(), 1);
}

TEST(Instructions, JudgeTheAnswerAlone) {
  EXPECT_EQ(ScoreWith(kRow, "<think>well, so, on</think>one two three").score(), 1);
  EXPECT_EQ(ScoreWith(kRow, "<think>a, b</think> x, y <answer>one two three</answer>").score(), 1);
  EXPECT_EQ(ScoreWith(kRow, "<think>a</think><answer>one, two, three</answer>").score(), 0.5);
}

TEST(Instructions, FailForAReferenceThatCannotBeRead) {
  struct Bad {
    std::string reference;
    std::string detail;
  };
  const Bad kBad[] = {
      {"", "no JSON"},
      {"{}", "instruction_id_list"},
      {"[]", "no instruction"},
      {R"([{"kind":"punctuation:no_coma"}])", "did you mean punctuation:no_comma"},
      {R"([{"kind":"length_constraints:number_words","relation":"at least"}])", "num_words"},
      {R"([{"kind":"length_constraints:number_words","relation":"around","num_words":3}])",
       "around"},
      {R"([{"kind":"language:response_language","language":"klingonese"}])", "klingonese"},
      {R"([{"kind":"keywords:existence","keywords":[]}])", "keywords"},
      {R"([{"kind":"detectable_format:json_format","schema":{"pattern":"x"}}])", "pattern"},
      {R"({"instruction_id_list":["punctuation:no_comma"],"kwargs":[]})", "kwargs"},
  };
  for (const auto& c : kBad) {
    const Outcome outcome = ScoreWith(c.reference, "{}");
    ASSERT_TRUE(outcome.has_failure()) << c.reference;
    EXPECT_EQ(outcome.failure().kind(), proto::Failure::BAD_REFERENCE);
    EXPECT_THAT(outcome.failure().detail(), HasSubstr(c.detail)) << c.reference;
  }
}

TEST(Instructions, AreNotFooledByDepthOrBytes) {
  EXPECT_EQ(
      ScoreWith(R"([{"kind":"detectable_format:json_format"}])", std::string(1 << 20, '[')).score(),
      0);
  EXPECT_EQ(ScoreWith(R"([{"kind":"detectable_format:json_format"}])", "\xFF\xFE").score(), 0);
  for (const auto& [kind, check] : instructions::Kinds())
    EXPECT_NE(check, nullptr) << kind;
  EXPECT_GE(instructions::Kinds().size(), 25U);
}

}  // namespace
}  // namespace aha::rewards
