// Milliseconds that the text verifiers take for a completion of one megabyte: verifier_speed
// [REPEATS]

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <string>
#include <vector>

#include <fmt/format.h>

#include "rewards/registry.h"

namespace {

using Clock = std::chrono::steady_clock;

struct Sample {
  std::string name;
  std::string piece;
  std::string language;
};

// In the thinking, or for rewards that look at the answer alone in the answer.
std::string Megabyte(const std::string& piece, bool in_answer) {
  std::string text;
  text.reserve(1100000);
  while (text.size() < 1000000)
    text += piece;
  return in_answer ? "<think>so</think>\n<answer>" + text + "</answer>"
                   : "<think>" + text + "</think>\n<answer>42</answer>";
}

}  // namespace

int main(int argc, char** argv) {
  const int repeats = argc > 1 ? std::atoi(argv[1]) : 5;
  const Sample samples[] = {
      {"English", "First we add the two numbers together, then we subtract four from the sum. ",
       "en"},
      {"French for en", "Ensuite, nous soustrayons quatre de la somme des deux nombres entiers. ",
       "en"},
      {"Chinese", "首先我们把两个数字加在一起，然后从总和中减去四。", "zh"},
      {"Japanese for zh", "次に、合計から四を引いて、結果を確認します。", "zh"},
      {"mathematics",
       "so $x^2 + y^2 = z^2$ and \\frac{a}{b} holds, see `f(x)` at https://a.example/b.\n", "en"},
      {"short lines", "So it is.\nYes.\n", "en"},
      {"hostile ticks", "`` ` $a \\begin{align} ", "en"},
      {"open braces", "{[{[\\frac{", "en"},
      {"nested, closed", "\\text{{[}]}\\left", "en"},
      {"many tags", "<think></answer><answer></think>", "en"},
      {"half tags", "<thin<answe</thin", "en"},
      {"environments", "\\begin{pmatrix*}\\begin{cases}\\begin{array}\\begin{math}", "en"},
      {"fences", "\n~~~\n```` a\n``", "en"},
      {"dollars", "$a $$b \\(c \\[d ", "en"},
      {"empty lines", "\n                                \t", "en"},
      {"addresses", "ab+cd+ef+gh+ij+kl:// www.x http://", "en"},
      {"marks", "a\u0301\u0301\u0301\u0301\u0301\u0301", "fr"},
      {"one word", "abcdefghij", "en"},
      {"apostrophes", "a'b'", "en"},
      {"scripts by turns", "aбg中あ", "zh"},
      {"broken bytes", "\xC3\xFF\xE4\xB8", "en"},
  };
  const auto registry = aha::rewards::Registry::BuiltIns();
  double slowest = 0;
  for (const std::string name : {"format", "language", "repetition", "instructions"}) {
    const auto reward = registry.Make(name, "");
    for (const Sample& sample : samples) {
      const std::string text = Megabyte(sample.piece, name == "instructions");
      double best = 1e9;
      double score = 0;
      for (int i = 0; i < repeats; ++i) {
        const auto start = Clock::now();
        const auto outcome = aha::rewards::ScoreSafely(
            **reward,
            {.id = {},
             .prompt = {},
             .completion = text,
             .reference =
                 R"([{"kind":"length_constraints:number_sentences","num_sentences":1,"relation":"at least"}])",
             .language = sample.language});
        best =
            std::min(best, std::chrono::duration<double, std::milli>(Clock::now() - start).count());
        score = outcome.score();
      }
      slowest = std::max(slowest, best);
      fmt::print("{:<13} {:<16} {:7.1f} ms   score {:.3f}\n", name, sample.name, best, score);
    }
  }
  fmt::print("slowest {:.1f} ms\n", slowest);
  return 0;
}
