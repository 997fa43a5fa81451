#pragma once
/// The report of a run as plain data, and its page: one HTML file that needs nothing else, neither
/// network nor scripts. Whoever knows the run directory fills the data; nothing is read here.
///
/// A number that is not known is NaN: shown as a dash in tables and as a gap in curves. Strings may
/// hold any bytes: they are escaped, and what is not valid UTF-8 is shown as U+FFFD.

#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <vector>

namespace aha::pipelines {

inline constexpr double kUnknown = std::numeric_limits<double>::quiet_NaN();

/// One curve. Series of one name in one chart are the seeds of the same thing: drawn as their mean
/// at each x, in a band from minimum to maximum. What stands before " · " in the name ("R1 · RL 2")
/// is the recipe and decides the hue; every name has a dash pattern of its own, the same in all
/// charts.
struct Series {
  std::string name;
  std::vector<double> x, y;  ///< of one length, in any order; a NaN y leaves a gap
};

struct Chart {
  std::string title, x_label, y_label, note;
  std::vector<Series> series;
  std::optional<double> y_min, y_max;  ///< ends of the y axis; unset: from the data, to nice ticks
};

/// A mean over problems and seeds.
struct Measure {
  double mean = kUnknown;
  double ci95 = kUnknown;  ///< half-width of the 95 % confidence interval over problems
  double std = kUnknown;   ///< standard deviation between seeds
};

/// pass@1 on the held-out problems of one task family and band.
struct FamilyFigure {
  std::string family;  ///< "chain", "general/copy"
  int band = 0;        ///< 1 (easy) to 3 (hardest); 0: the family has no bands
  Measure pass_at_1;   ///< share, in [0, 1]
};

/// One checkpoint measured on held-out problems. Shares are in [0, 1].
struct StageRow {
  std::string name;  ///< base, r1-zero, dev1, dev2, dev3, r1
  std::string description;
  Measure pass_at_1;          ///< over the bands that were trained on
  Measure pass_at_1_hardest;  ///< over the hardest band
  Measure general_pass_at_1;  ///< over the general families
  Measure well_formed;        ///< completions whose tags are right
  Measure language;           ///< language consistency of the thinking
  Measure thinking_tokens;    ///< tokens between the think tags
  std::vector<FamilyFigure> families;
};

/// What the run must show, and whether it did.
struct Claim {
  std::string name;       ///< "r1-zero-above-base"
  std::string statement;  ///< "R1-Zero is far above its base."
  bool kept = false;
  std::string figures;  ///< "pass@1 0.12 to 0.68 (95 % interval of the gain 0.52 to 0.60)"
};

/// One stage's completion of a transcript's question.
struct Attempt {
  std::string stage;
  std::string text;             ///< as sampled, tags and all; untrusted
  std::optional<double> score;  ///< unset: the verifier failed, and `failure` says how
  std::string failure;
  bool well_formed = false;
  double language_consistency = kUnknown;  ///< share, in [0, 1]
};

/// The same problem through the stages.
struct Transcript {
  std::string question, reference;
  std::string language;  ///< a code: en, zh
  std::vector<Attempt> attempts;
};

struct Machine {
  std::string cpu;            ///< model name
  std::string kernel_target;  ///< instruction set that the kernels were dispatched to
  int threads = 0;
};

struct StageTime {
  std::string stage;
  double seconds = kUnknown;  ///< wall time, all seeds together
};

struct RecipeText {
  std::string name;
  std::string text;  ///< as resolved: every default that was read, written out
};

struct Report {
  std::string title;
  std::vector<std::uint64_t> seeds;
  Machine machine;
  std::string version, numerics_version;
  std::vector<StageTime> times;
  std::uint64_t peak_memory_bytes = 0;  ///< 0: not known
  std::vector<Claim> claims;
  std::vector<StageRow> stages;
  std::vector<Chart> charts;
  std::vector<Transcript> transcripts;
  std::vector<std::string> provenance;  ///< where training data came from, a sentence each
  std::vector<RecipeText> recipes;
};

/// The whole page as valid UTF-8 HTML5. Sections without data are left out. Light and dark,
/// 400 px and wider, printable. A content security policy in the page forbids it to load or run
/// anything.
std::string RenderReport(const Report& report);

}  // namespace aha::pipelines
