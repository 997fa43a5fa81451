// Prints problems with their workings, or documents of the default corpus, to be looked at.

#include <algorithm>
#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "pipelines/tasks/corpus.h"
#include "pipelines/tasks/problem.h"
#include "pipelines/tasks/solver.h"
#include "sft/chat_template.h"

namespace aha::pipelines {
namespace {

struct Options {
  std::string family = "all";
  std::vector<std::uint32_t> bands = {1, 2};
  std::uint64_t count = 3;
  std::uint64_t seed = 1;
  bool corpus = false;
  bool sizes = false;
};

Result<std::vector<std::string>> ChosenFamilies(const Options& options) {
  if (options.family != "all") return FamiliesNamed(options.family);
  std::vector<std::string> names;
  for (const FamilyInfo& info : TaskFamilies())
    names.emplace_back(info.name);
  return names;
}

Split SplitFor(std::uint32_t band) {
  return band == 3 ? Split::kTest : Split::kTrain;
}

Status PrintProblems(const Options& options) {
  const KeyedRandom random(options.seed, "dump");
  AHA_ASSIGN(const auto families, ChosenFamilies(options));
  for (const std::string& family : families) {
    for (const std::uint32_t band : options.bands) {
      for (std::uint64_t k = 0; k < options.count; ++k) {
        for (const char* language : {"en", "zh"}) {
          AHA_ASSIGN(const Problem problem,
                     MakeProblem({family, band, language}, SplitFor(band), random.With(k)));
          fmt::print("{} {} {} {:016x}  Q {}  A {}\n  same  {}\n  mixed {}\n  slips {}\n", family,
                     band, language, problem.id, problem.question, problem.answer,
                     WriteCompletion(problem, {ThoughtIn(language), 0}, random.With(k)),
                     WriteCompletion(problem, {ThoughtLanguage::kMixed, 0}, random.With(k)),
                     WriteCompletion(problem, {ThoughtIn(language), 0.3}, random.With(k)));
        }
      }
    }
  }
  return {};
}

// Characters, not bytes.
std::size_t Length(const std::string& text) {
  return static_cast<std::size_t>(
      std::count_if(text.begin(), text.end(), [](char c) { return (c & 0xC0) != 0x80; }));
}

std::size_t Words(const std::string& text) {
  return static_cast<std::size_t>(std::count(text.begin(), text.end(), ' ')) + 1;
}

// Means over `count` problems: words between spaces and characters of the thinking and question.
Status PrintSizes(const Options& options) {
  const KeyedRandom random(options.seed, "dump");
  AHA_ASSIGN(const auto families, ChosenFamilies(options));
  fmt::print("family band lang think_words think_chars question_chars most_words\n");
  for (const std::string& family : families) {
    for (const std::uint32_t band : options.bands) {
      for (const char* language : {"en", "zh"}) {
        std::size_t words = 0, characters = 0, question = 0, most = 0;
        for (std::uint64_t k = 0; k < options.count; ++k) {
          AHA_ASSIGN(const Problem problem,
                     MakeProblem({family, band, language}, SplitFor(band), random.With(k)));
          const std::string text = WriteThinking(problem, {ThoughtIn(language), 0}, random.With(k));
          words += Words(text);
          most = std::max(most, Words(text));
          characters += Length(text);
          question += Length(problem.question);
        }
        const auto n = static_cast<double>(options.count);
        fmt::print("{} {} {} {:.1f} {:.1f} {:.1f} {}\n", family, band, language,
                   static_cast<double>(words) / n, static_cast<double>(characters) / n,
                   static_cast<double>(question) / n, most);
      }
    }
  }
  return {};
}

Status PrintCorpus(const Options& options) {
  proto::Corpus corpus;
  AHA_ASSIGN(const auto families, ChosenFamilies(options));
  for (const std::string& family : families)
    corpus.add_task()->set_family(family);
  AHA_ASSIGN(const sft::ChatTemplate prompt, sft::FindChatTemplate("aha"));
  AHA_ASSIGN(const CorpusMaker maker,
             CorpusMaker::Make(corpus, options.seed, [prompt](std::string_view question) {
               return prompt.Apply(question);
             }));
  for (std::uint64_t k = 0; k < options.count; ++k) {
    AHA_ASSIGN(const Document document, MakeDocument(maker, k));
    fmt::print("--- {}{}\n{}{}\n", k, document.broken ? " broken" : "", document.prompt,
               document.completion);
  }
  return {};
}

int Main(int argc, char** argv) {
  Options options;
  CLI::App app("Problems and corpus documents of the embedded world.");
  app.add_option("--family", options.family, "a family, reasoning, general or all");
  app.add_option("--band", options.bands, "bands");
  app.add_option("--count", options.count, "how many of each")->check(CLI::Range(1, 1000000));
  app.add_option("--seed", options.seed, "seed");
  app.add_flag("--corpus", options.corpus, "documents instead of problems");
  app.add_flag("--sizes", options.sizes, "mean sizes of the workings instead");
  CLI11_PARSE(app, argc, argv);
  const Status status = options.corpus  ? PrintCorpus(options)
                        : options.sizes ? PrintSizes(options)
                                        : PrintProblems(options);
  if (!status) fmt::print(stderr, "{}\n", status.error().message);
  return status ? 0 : 2;
}

}  // namespace
}  // namespace aha::pipelines

int main(int argc, char** argv) {
  return aha::pipelines::Main(argc, argv);
}
