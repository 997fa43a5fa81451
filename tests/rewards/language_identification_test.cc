// Languages that share a script are told apart by the words around.
#include <ostream>
#include <string>

#include <gtest/gtest.h>

#include "rewards/verifiers/language.h"
#include "rewards/verifiers/language_id.h"

namespace aha::rewards {
namespace {

struct ShareCase {
  std::string name;
  std::string language;
  std::string text;
  double share;
};
void PrintTo(const ShareCase& c, std::ostream* os) {
  *os << c.language << ": " << c.text;
}

constexpr const char* kEnglish =
    "First we add the two numbers together. Then we subtract four from the sum and check it.";
constexpr const char* kFrench =
    "D'abord, nous additionnons les deux nombres. Ensuite, nous soustrayons quatre de la somme.";
constexpr const char* kGerman =
    "Zuerst addieren wir die beiden Zahlen. Danach ziehen wir vier von der Summe ab.";
constexpr const char* kSpanish =
    "Primero sumamos los dos números juntos. Luego restamos cuatro de la suma total.";
constexpr const char* kRussian =
    "Сначала мы складываем два числа вместе. Потом вычитаем четыре из суммы.";
constexpr const char* kUkrainian =
    "Спочатку ми додаємо два числа разом. Потім віднімаємо чотири від суми.";
constexpr const char* kChinese = "首先我们把两个数字加在一起。然后从总和中减去四，再检查一遍结果。";
constexpr const char* kJapanese =
    "まず、二つの数字を足します。次に、合計から四を引いて、結果を確認します。";

const ShareCase kShares[] = {
    {"EnglishForEn", "en", kEnglish, 1},
    {"FrenchForEn", "en", kFrench, 0},
    {"GermanForEn", "en", kGerman, 0},
    {"SpanishForEn", "en", kSpanish, 0},
    {"FrenchForFr", "fr", kFrench, 1},
    {"EnglishForFr", "fr", kEnglish, 0},
    {"SpanishForFr", "fr", kSpanish, 0},
    {"GermanForDe", "de", kGerman, 1},
    {"EnglishForDe", "de", kEnglish, 0},
    {"SpanishForEs", "es", kSpanish, 1},
    {"RussianForRu", "ru", kRussian, 1},
    {"UkrainianForRu", "ru", kUkrainian, 0},
    {"UkrainianForUk", "uk", kUkrainian, 1},
    {"ChineseForZh", "zh", kChinese, 1},
    {"JapaneseForZh", "zh", kJapanese, 0},
    {"JapaneseForJa", "ja", kJapanese, 1},
    {"ChineseForJa", "ja", kChinese, 0},
    {"ChineseForEn", "en", kChinese, 0},
    {"EnglishForZh", "zh", kEnglish, 0},
    {"BrazilianForPt", "pt-BR",
     "Primeiro somamos os dois números. Depois subtraímos quatro da soma e conferimos.", 1},
    // What is too short to judge is judged by script.
    {"FewWords", "en", "une école", 1},
    {"FewKana", "zh", "我们用ひらがな写字", 5.0 / 9},
    // A wholly English chain of thought with the words of mathematics.
    {"EnglishMathematics", "en",
     "So sin and cos cancel. Hence LHS equals RHS modulo gcd and lcm. QED. We get alpha plus beta "
     "minus gamma, i.e. ad infinitum.",
     1},
};

class LanguageShare : public testing::TestWithParam<ShareCase> {};

TEST_P(LanguageShare, IsAsTheWordsAroundSay) {
  const auto& c = GetParam();
  const WordCount count = CountWords(c.text, c.language);
  ASSERT_GT(count.all, 0U);
  EXPECT_DOUBLE_EQ(static_cast<double>(count.target) / static_cast<double>(count.all), c.share);
}

INSTANTIATE_TEST_SUITE_P(Table, LanguageShare, testing::ValuesIn(kShares), [](const auto& p) {
  return p.param.name;
});

TEST(LanguageEvidence, IsAskedSentenceBySentence) {
  const std::string mixed = std::string(kEnglish) + "\n" + kFrench;
  const WordCount english = CountWords(kEnglish, "en");
  const WordCount french = CountWords(kFrench, "en");
  const WordCount both = CountWords(mixed, "en");
  EXPECT_EQ(both.target, english.all);
  EXPECT_EQ(both.all, english.all + french.all);
  EXPECT_EQ(CountWords(mixed, "fr").target, french.all);
}

TEST(LanguageEvidence, OfAShortSentenceIsItsNeighbours) {
  const std::string text = std::string(kFrench) + " Voilà. " + kFrench;
  EXPECT_EQ(CountWords(text, "en").target, 0U);
  EXPECT_EQ(CountWords(std::string(kEnglish) + " Voilà. " + kFrench, "en").target,
            CountWords(kEnglish, "en").all + 1);
}

TEST(LanguageEvidence, CountsTheSameWords) {
  // Evidence decides whether a word counts for the target, never whether it is a word.
  for (const char* text : {kEnglish, kFrench, kChinese, kJapanese}) {
    EXPECT_EQ(CountWords(text, "en").all, CountWords(text, "sw").all);
  }
}

TEST(LanguageIdentification, KnowsCodesAsPeopleWriteThem) {
  EXPECT_EQ(IdentifiableCode("zh-TW"), "zh");
  EXPECT_EQ(IdentifiableCode("pt_BR"), "pt");
  EXPECT_EQ(IdentifiableCode("he"), "iw");
  EXPECT_EQ(IdentifiableCode("nb"), "no");
  EXPECT_EQ(IdentifiableCode("klingonese"), "");
  EXPECT_TRUE(AreConfusable("da", "no"));
  EXPECT_FALSE(AreConfusable("en", "fr"));
}

}  // namespace
}  // namespace aha::rewards
