#include "pipelines/tasks/corpus.h"

#include <utility>

#include <fmt/format.h>

#include "pipelines/tasks/broken_tags.h"
#include "pipelines/tasks/solver.h"

namespace aha::pipelines {
namespace {

// Coordinates of a document's draws: adding one kind of draw changes no other.
enum : std::uint64_t { kProblem, kShape, kWorking, kWrongAnswer };

// Room for shares that add up to 1 in decimal but not in binary.
constexpr double kRounding = 1e-9;

ThoughtLanguage StepsLanguage(DocumentKind kind, const std::string& asked_in) {
  if (kind == DocumentKind::kStepsMixed) return ThoughtLanguage::kMixed;
  const bool other = kind == DocumentKind::kStepsOther;
  return ThoughtIn((asked_in == "zh") != other ? "zh" : "en");
}

Status CheckShare(std::string_view key, double share) {
  if (share >= 0 && share <= 1) return {};
  return Fail(Code::kInvalidArgument, "corpus.{}: {} is out of range, give 0 to 1", key, share);
}

}  // namespace

CorpusMaker::CorpusMaker(proto::Corpus shares,
                         Mixture mixture,
                         std::uint64_t seed,
                         PromptFunction prompt)
    : shares_(std::move(shares)),
      mixture_(std::move(mixture)),
      random_(seed, "corpus"),
      prompt_(std::move(prompt)) {}

Result<CorpusMaker> CorpusMaker::Make(const proto::Corpus& corpus,
                                      std::uint64_t seed,
                                      PromptFunction prompt) {
  AHA_TRY(CheckShare("bare", corpus.bare()));
  AHA_TRY(CheckShare("steps_same", corpus.steps_same()));
  AHA_TRY(CheckShare("steps_other", corpus.steps_other()));
  AHA_TRY(CheckShare("steps_mixed", corpus.steps_mixed()));
  AHA_TRY(CheckShare("broken_tags", corpus.broken_tags()));
  AHA_TRY(CheckShare("wrong_bare", corpus.wrong_bare()));
  AHA_TRY(CheckShare("wrong_step", corpus.wrong_step()));
  const double sum =
      corpus.bare() + corpus.steps_same() + corpus.steps_other() + corpus.steps_mixed();
  if (sum > 1 + kRounding) {
    return Fail(Code::kInvalidArgument,
                "corpus: bare, steps_same, steps_other and steps_mixed add up to {}, more than 1",
                sum);
  }
  Result<Mixture> mixture = Mixture::Make(corpus.task(), Split::kTrain);
  if (!mixture) return Within(std::move(mixture).error(), "corpus");
  return CorpusMaker(corpus, std::move(*mixture), seed, std::move(prompt));
}

DocumentKind CorpusMaker::DrawKind(DrawSequence& draw) const {
  double point = draw.Uniform();
  const std::pair<DocumentKind, double> kinds[] = {
      {DocumentKind::kBare, shares_.bare()},
      {DocumentKind::kStepsSame, shares_.steps_same()},
      {DocumentKind::kStepsOther, shares_.steps_other()},
      {DocumentKind::kStepsMixed, shares_.steps_mixed()}};
  for (const auto& [kind, share] : kinds) {
    if (point < share) return kind;
    point -= share;
  }
  return DocumentKind::kUntagged;
}

DocumentKind CorpusMaker::DrawLanguageKind(DrawSequence& draw) const {
  const double same = shares_.steps_same();
  const double other = shares_.steps_other();
  const double sum = same + other + shares_.steps_mixed();
  if (sum == 0) return DocumentKind::kStepsSame;
  const double point = draw.Uniform() * sum;
  if (point < same) return DocumentKind::kStepsSame;
  return point < same + other ? DocumentKind::kStepsOther : DocumentKind::kStepsMixed;
}

void CorpusMaker::WriteBare(Document& document, KeyedRandom random) const {
  DrawSequence draw(random.With(kShape));
  TaggedParts parts;
  const bool wrong = draw.Chance(shares_.wrong_bare());
  parts.answer =
      wrong ? WrongAnswer(document.problem, random.With(kWrongAnswer)) : document.problem.answer;
  const double form = draw.Uniform();
  if (form < 0.25) {
    document.completion = parts.answer;
    return;
  }
  if (form >= 0.5) parts.thought = "";
  document.broken = draw.Chance(shares_.broken_tags());
  document.completion = document.broken ? WriteBrokenTags(parts, draw) : WriteTags(parts);
}

void CorpusMaker::WriteSteps(Document& document, KeyedRandom random) const {
  DrawSequence draw(random.With(kShape));
  const bool tagged = document.kind != DocumentKind::kUntagged;
  const DocumentKind kind = tagged ? document.kind : DrawLanguageKind(draw);
  const ThoughtLanguage language = StepsLanguage(kind, document.problem.language);
  Thought thought =
      Think(document.problem, {language, shares_.wrong_step()}, random.With(kWorking));
  if (!tagged) {
    const bool chinese = language == ThoughtLanguage::kChinese ||
                         (language == ThoughtLanguage::kMixed && draw.Chance(0.5));
    document.completion = fmt::format("{} {} {}", thought.text,
                                      chinese ? "答案 是" : "the answer is", thought.answer);
    return;
  }
  const TaggedParts parts = {std::move(thought.text), std::move(thought.answer)};
  document.broken = draw.Chance(shares_.broken_tags());
  document.completion = document.broken ? WriteBrokenTags(parts, draw) : WriteTags(parts);
}

Result<Document> MakeDocument(const CorpusMaker& maker, std::uint64_t k) {
  Document document;
  AHA_ASSIGN(document.problem, maker.mixture_.Draw(k, maker.random_.With(kProblem)));
  document.prompt = maker.prompt_(document.problem.question);
  // Drawn apart from the rest of the shape, which differs by kind.
  DrawSequence kind(maker.random_.With(kShape).With(k));
  document.kind = maker.DrawKind(kind);
  const KeyedRandom random = maker.random_.With(kWorking).With(k);
  if (document.kind == DocumentKind::kBare) {
    maker.WriteBare(document, random);
  } else {
    maker.WriteSteps(document, random);
  }
  return document;
}

}  // namespace aha::pipelines
