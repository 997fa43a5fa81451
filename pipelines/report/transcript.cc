#include "pipelines/report/transcript.h"

#include <algorithm>
#include <cctype>
#include <cmath>
#include <string_view>

#include <fmt/format.h>

#include "pipelines/report/markup.h"

namespace aha::pipelines {
namespace {

// A completion is folded where that saves a screen's worth; its end holds the answer and stays.
constexpr std::size_t kLongBytes = 1200, kHeadBytes = 600, kTailBytes = 240;
constexpr std::size_t kLongLines = 30, kHeadLines = 14, kTailLines = 6;

/// A language code fit for a lang attribute, or nothing.
std::string LangAttribute(const std::string& code) {
  const bool plain =
      !code.empty() && code.size() <= 16 && std::all_of(code.begin(), code.end(), [](char c) {
        return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '-';
      });
  return plain ? fmt::format(" lang=\"{}\"", code) : "";
}

/// The byte after the first `lines` lines.
std::size_t AfterLines(std::string_view text, std::size_t lines) {
  std::size_t at = 0;
  while (lines-- > 0 && at < text.size())
    at = std::min(text.find('\n', at), text.size() - 1) + 1;
  return at;
}

/// The byte where the last `lines` lines start.
std::size_t BeforeLines(std::string_view text, std::size_t lines) {
  std::size_t at = text.size();
  while (lines-- > 0 && at > 0) {
    const std::size_t newline = at < 2 ? std::string_view::npos : text.rfind('\n', at - 2);
    at = newline == std::string_view::npos ? 0 : newline + 1;
  }
  return at;
}

std::string Pre(std::string_view text) {
  // A parser drops the newline right after <pre>: one more keeps the text's own.
  return fmt::format("<pre>\n{}</pre>", EscapeAndMarkTags(text));
}

std::string Verdict(const Attempt& attempt) {
  if (!attempt.score) {
    return fmt::format("<span class=\"soft\">not scored{}{}</span>",
                       attempt.failure.empty() ? "" : ": ", Escape(attempt.failure));
  }
  const bool full = *attempt.score >= 1;
  return fmt::format("<span class=\"{}\">score {}</span>", full ? "kept" : "lost",
                     Number(*attempt.score, *attempt.score == std::floor(*attempt.score) ? 0 : 2));
}

std::string RenderAttempt(const Attempt& attempt, const std::string& lang) {
  std::string facts = Verdict(attempt);
  facts += attempt.well_formed ? "<span class=\"soft\">well-formed</span>"
                               : "<span class=\"lost\">ill-formed</span>";
  if (std::isfinite(attempt.language_consistency)) {
    facts += fmt::format("<span class=\"soft\">language {} %</span>",
                         Number(attempt.language_consistency * 100, 0));
  }
  return fmt::format(
      "<section class=\"attempt\"><h4>{}</h4><p class=\"facts\">{}</p><div{}>{}</div></section>\n",
      Escape(attempt.stage), facts, lang, RenderCompletion(attempt.text));
}

}  // namespace

std::string RenderCompletion(const std::string& text) {
  const std::string clean = CleanText(text);
  if (clean.empty()) return "<p class=\"soft\">(empty)</p>";
  const auto lines = static_cast<std::size_t>(std::count(clean.begin(), clean.end(), '\n')) + 1;
  if (clean.size() <= kLongBytes && lines <= kLongLines) return Pre(clean);
  const std::string_view whole = clean;
  const std::size_t head = CutBefore(whole, std::min(kHeadBytes, AfterLines(whole, kHeadLines)));
  const std::size_t tail = CutBefore(
      whole,
      std::max(whole.size() - std::min(kTailBytes, whole.size()), BeforeLines(whole, kTailLines)));
  if (tail <= head) return Pre(clean);
  const std::string_view middle = whole.substr(head, tail - head);
  return fmt::format("{}<details><summary>show all: {} more characters</summary>{}</details>{}",
                     Pre(whole.substr(0, head)), Grouped(CountCharacters(middle)), Pre(middle),
                     Pre(whole.substr(tail)));
}

std::string RenderTranscript(const Transcript& transcript, std::size_t number) {
  const std::string lang = LangAttribute(transcript.language);
  std::string out = fmt::format(
      "<article class=\"transcript\"><h3><span class=\"soft\">{}</span> <span "
      "class=\"question\"{}>{}</span></h3>\n"
      "<p class=\"facts\"><span>reference <b>{}</b></span><span>asked in {}</span></p>\n"
      "<div class=\"attempts\">\n",
      number, lang, Escape(transcript.question), Escape(transcript.reference),
      transcript.language.empty() ? "an unnamed language" : Escape(transcript.language));
  for (const Attempt& attempt : transcript.attempts)
    out += RenderAttempt(attempt, lang);
  return out + "</div></article>\n";
}

}  // namespace aha::pipelines
