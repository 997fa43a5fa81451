#include "pipelines/reproduce/reproduce.h"

#include <algorithm>
#include <chrono>
#include <fstream>
#include <map>

#include <nlohmann/json.hpp>

#include "base/log.h"
#include "base/whole_file.h"
#include "pipelines/model/model_folder.h"
#include "pipelines/recipes/recipe.h"
#include "pipelines/recipes/resolve.h"
#include "pipelines/reproduce/claims.h"
#include "pipelines/reproduce/curves.h"
#include "pipelines/reproduce/measure.h"
#include "pipelines/run/stage_graph.h"
#include "pipelines/stages/run_recipe.h"

namespace aha::pipelines {
namespace {

namespace fs = std::filesystem;

const std::vector<std::string> kStageOrder = {"base", "r1-zero", "dev1", "dev2", "dev3", "r1"};

std::string CpuName() {
  std::ifstream info("/proc/cpuinfo");
  for (std::string line; std::getline(info, line);) {
    if (line.starts_with("model name")) return line.substr(line.find(':') + 2);
  }
  return "unknown";
}

std::string Provenance(const std::string& stage, const fs::path& folder, std::uint64_t seed) {
  const auto text = ReadFile(folder / "data" / "provenance.json");
  if (!text) return {};
  const nlohmann::ordered_json counts =
      nlohmann::ordered_json::parse(*text, nullptr, /*allow_exceptions=*/false);
  std::string sentence = fmt::format("{}, seed {}:", stage, seed);
  for (const auto& [language, tally] : counts.items()) {
    sentence += fmt::format(" {}: {} of {} prompts answered by the policy;", language,
                            tally.value("answered_by_policy", 0), tally.value("prompts", 0));
    for (const auto& [source, count] : tally.at("examples").items())
      sentence += fmt::format(" {} examples from {}.", count.get<int>(), source);
  }
  return sentence;
}

// One reproduction, while it runs or from what it left.
class Reproducer {
 public:
  explicit Reproducer(const ReproduceOptions& options)
      : options_(options), threads_(WorkThreads(options.threads)) {}

  Result<Reproduction> Run() {
    const auto start = std::chrono::steady_clock::now();
    for (std::uint64_t seed = 1; seed <= options_.seeds; ++seed)
      AHA_TRY(RunSeed(seed));
    AHA_ASSIGN(Reproduction out, Write());
    out.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    return out;
  }

  // Runs nothing: reads what the seeds' folders hold so far.
  Result<Reproduction> Collect() {
    for (std::uint64_t seed = 1; seed <= options_.seeds; ++seed) {
      AHA_TRY(AddRun(seed));
      for (const std::string& name : kStageOrder) {
        if (auto measured = ReadMeasured(MeasuredFile(seed, name)))
          measured_[name].push_back(std::move(*measured));
      }
    }
    return Write();
  }

 private:
  [[nodiscard]] fs::path Folder(std::uint64_t seed) const {
    return options_.out / fmt::format("seed-{}", seed);
  }
  [[nodiscard]] fs::path MeasuredFile(std::uint64_t seed, const std::string& stage) const {
    return Folder(seed) / "measured" / (stage + ".json");
  }

  Result<LoadedRecipe> Load(const std::string& name, std::uint64_t seed) const {
    AHA_ASSIGN(const fs::path file, ShippedRecipe(name));
    std::vector<std::string> overrides = {fmt::format("seed={}", seed),
                                          fmt::format("threads={}", threads_)};
    AHA_ASSIGN(const std::vector<std::string> set, SetFor(name));
    overrides.insert(overrides.end(), set.begin(), set.end());
    return LoadRecipe(file, overrides);
  }

  // The overrides that a recipe can take: both recipes share one list, and R1-Zero's has only the
  // first of R1's stages.
  [[nodiscard]] Result<std::vector<std::string>> SetFor(const std::string& name) const {
    if (options_.what != "all" || name == "r1") return options_.set;
    AHA_ASSIGN(const fs::path file, ShippedRecipe("r1"));
    AHA_ASSIGN(const LoadedRecipe r1, LoadRecipe(file, {}));
    std::vector<std::string> set = options_.set;
    std::erase_if(set, [&](const std::string& one) {
      return std::any_of(r1.recipe.stage().begin(), r1.recipe.stage().end(),
                         [&](const proto::Stage& stage) {
                           return stage.name() != name && one.starts_with(stage.name() + ".");
                         });
    });
    return set;
  }

  Status RunSeed(std::uint64_t seed) {
    AHA_ASSIGN(RunDirectory run, RunDirectory::Open(Folder(seed)));
    std::vector<std::string> recipes = {"r1-zero", "r1"};
    if (options_.what != "all") recipes = {options_.what};
    std::vector<LoadedRecipe> all;  // a mistake in any is said before the first runs
    for (const std::string& name : recipes) {
      AHA_ASSIGN(LoadedRecipe loaded, Load(name, seed));
      all.push_back(std::move(loaded));
    }
    std::map<std::string, fs::path> checkpoints;
    for (const LoadedRecipe& loaded : all) {
      AHA_ASSIGN(const Rewards rewards, LoadRewards(loaded, {}));
      AHA_ASSIGN(const std::vector<StageOutcome> outcomes, RunRecipe(loaded, run, rewards));
      AHA_ASSIGN(checkpoints["base"], FindModel(loaded.recipe.model(), loaded.folder));
      for (const StageOutcome& outcome : outcomes)
        checkpoints[outcome.name] = outcome.report.checkpoint;
      texts_[loaded.recipe.name()] = ResolvedText(loaded.recipe);
    }
    AHA_TRY(AddRun(seed));
    return MeasureSeed(seed, checkpoints);
  }

  Status MeasureSeed(std::uint64_t seed, const std::map<std::string, fs::path>& checkpoints) {
    MeasurePlan plan;
    plan.threads = threads_;
    plan.seed = seed;
    plan.split = options_.split;
    const rewards::Registry registry = rewards::Registry::BuiltIns();
    for (const std::string& name : kStageOrder) {
      if (!checkpoints.contains(name)) continue;
      AHA_ASSIGN(Measured measured, MeasureStage(name, checkpoints.at(name), plan, registry,
                                                 MeasuredFile(seed, name)));
      measured_[name].push_back(std::move(measured));
    }
    return {};
  }

  // What the run's own records say: times, memory, curves, where the examples came from.
  Status AddRun(std::uint64_t seed) {
    const fs::path folder = Folder(seed);
    AHA_ASSIGN(const proto::StageGraph graph, ReadStageGraph(folder / "stages.textproto"));
    for (const proto::StageRecord& record : graph.stage()) {
      if (!seconds_.contains(record.name())) order_.push_back(record.name());
      seconds_[record.name()] += record.seconds();
      peak_bytes_ = std::max(peak_bytes_, record.peak_memory_bytes());
    }
    const auto add_curve = [&](const char* stage, const char* name, const char* after) {
      if (FindStage(graph, stage) == nullptr) return;
      curves_.push_back({folder / stage, name,
                         after == nullptr ? 0.0 : static_cast<double>(CountSteps(folder / after))});
    };
    add_curve("r1-zero", "R1-Zero", nullptr);
    add_curve("dev2", "R1 · RL 1", nullptr);
    add_curve("r1", "R1 · RL 2", "dev2");
    for (const char* stage : {"cold-start", "rejection"}) {
      const std::string sentence = Provenance(stage, folder / stage, seed);
      if (!sentence.empty()) provenance_.push_back(sentence);
    }
    if (const auto text = ReadFile(folder / "recipe.textproto"); text && texts_.empty())
      texts_["as run last"] = *text;
    return {};
  }

  Result<Reproduction> Write() const {
    Reproduction out;
    out.run = options_.out;
    for (const std::string& name : kStageOrder) {
      if (measured_.contains(name)) out.rows.push_back(RowOf(name, measured_.at(name)));
    }
    out.claims = JudgeClaims(measured_);
    out.report = options_.out / "report.html";
    AHA_TRY(WriteWholeFile(out.report, RenderReport(MakeReport(out))));
    return out;
  }

  std::vector<Transcript> Transcripts() const {
    std::vector<Transcript> transcripts;
    for (const std::string& name : kStageOrder) {
      if (!measured_.contains(name)) continue;
      const std::vector<SampleView>& samples = measured_.at(name).front().samples;
      if (transcripts.size() < samples.size()) transcripts.resize(samples.size());
      for (std::size_t i = 0; i < samples.size(); ++i) {
        const SampleView& s = samples[i];
        transcripts[i].question = s.question;
        transcripts[i].reference = s.reference;
        transcripts[i].language = s.language;
        Attempt attempt;
        attempt.stage = name;
        attempt.text = s.text;
        if (s.failure.empty()) attempt.score = s.score;
        attempt.failure = s.failure;
        attempt.well_formed = s.well_formed;
        attempt.language_consistency = s.language_share;
        transcripts[i].attempts.push_back(std::move(attempt));
      }
    }
    return transcripts;
  }

  Report MakeReport(const Reproduction& out) const {
    Report report;
    report.title = "R1-Zero and R1 on the embedded world";
    for (std::uint64_t seed = 1; seed <= options_.seeds; ++seed)
      report.seeds.push_back(seed);
    report.machine = {CpuName(), KernelTarget(), threads_};
    report.version = AHA_VERSION;
    report.numerics_version = std::to_string(kNumericsVersion);
    for (const std::string& stage : order_)
      report.times.push_back({stage, seconds_.at(stage)});
    report.peak_memory_bytes = peak_bytes_;
    report.claims = out.claims;
    report.stages = out.rows;
    report.charts = LearningCurves(curves_);
    report.transcripts = Transcripts();
    report.provenance = provenance_;
    for (const auto& [name, text] : texts_)
      report.recipes.push_back({name, text});
    return report;
  }

  const ReproduceOptions& options_;
  int threads_;
  std::map<std::string, MeasuredBySeed> measured_;
  std::vector<std::string> order_;         // stages as they were run
  std::map<std::string, double> seconds_;  // by stage, all seeds
  std::uint64_t peak_bytes_ = 0;
  std::map<std::string, std::string> texts_;
  std::vector<std::string> provenance_;
  std::vector<CurveSource> curves_;
};

}  // namespace

Result<fs::path> ShippedRecipe(const std::string& name) {
  std::error_code error;
  const fs::path program = fs::read_symlink("/proc/self/exe", error);
  for (const fs::path& folder : {program.parent_path() / ".." / "share" / "aha" / "recipes",
                                 fs::path(AHA_SHARE_DIR) / "recipes"}) {
    const fs::path file = folder / (name + ".textproto");
    if (fs::exists(file, error)) return fs::weakly_canonical(file);
  }
  return Fail(Code::kNotFound,
              "no recipe {} ships with this program (looked in share/aha/recipes and {})", name,
              (fs::path(AHA_SHARE_DIR) / "recipes").string());
}

Result<Reproduction> Reproduce(const ReproduceOptions& options) {
  return Reproducer(options).Run();
}

Result<fs::path> WriteReport(const fs::path& run) {
  if (!fs::exists(run / "recipe.textproto")) {
    ReproduceOptions options;
    options.out = run;
    for (options.seeds = 0;
         fs::exists(run / fmt::format("seed-{}", options.seeds + 1) / "stages.textproto");)
      ++options.seeds;
    if (options.seeds == 0) {
      return Fail(Code::kNotFound,
                  "{}: not a run directory: it has neither recipe.textproto (aha run) nor "
                  "seed-1/stages.textproto (aha reproduce)",
                  run.string());
    }
    AHA_ASSIGN(const Reproduction done, Reproducer(options).Collect());
    return done.report;
  }
  AHA_ASSIGN(const std::string text, ReadFile(run / "recipe.textproto"));
  AHA_ASSIGN(const LoadedRecipe loaded,
             ParseRecipe(text, (run / "recipe.textproto").string(), run, {}));
  AHA_ASSIGN(const proto::StageGraph graph, ReadStageGraph(run / "stages.textproto"));
  Report report;
  report.title = loaded.recipe.name();
  report.seeds = {loaded.recipe.seed()};
  report.machine = {CpuName(), KernelTarget(), WorkThreads(loaded.recipe.threads())};
  report.version = AHA_VERSION;
  report.numerics_version = std::to_string(kNumericsVersion);
  for (const proto::StageRecord& record : graph.stage()) {
    report.times.push_back({record.name(), record.seconds()});
    report.peak_memory_bytes = std::max(report.peak_memory_bytes, record.peak_memory_bytes());
  }
  std::vector<CurveSource> curves;
  double steps = 0;
  for (const proto::Stage& stage : loaded.recipe.stage()) {
    if (!stage.has_rl()) continue;
    curves.push_back({run / stage.name(), stage.name(), stage.init() == "model" ? 0 : steps});
    steps = curves.back().first_step + static_cast<double>(CountSteps(run / stage.name()));
  }
  report.charts = LearningCurves(curves);
  report.recipes = {{loaded.recipe.name(), text}};
  AHA_TRY(WriteWholeFile(run / "report.html", RenderReport(report)));
  return run / "report.html";
}

}  // namespace aha::pipelines
