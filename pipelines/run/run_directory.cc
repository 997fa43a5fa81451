#include "pipelines/run/run_directory.h"

#include <vector>

#include "base/whole_file.h"

namespace aha::pipelines {
namespace {

namespace fs = std::filesystem;

constexpr char kRecipe[] = "recipe.textproto";
constexpr char kStages[] = "stages.textproto";

// What a process that was killed had written aside, in the run's folder and in those of its stages.
// Failing to remove it harms nobody.
void RemoveLeftovers(const fs::path& run) {
  std::error_code ignored;
  std::vector<fs::path> folders = {run};
  for (const auto& entry : fs::directory_iterator(run, ignored)) {
    if (entry.is_directory(ignored) && !entry.is_symlink(ignored)) folders.push_back(entry.path());
  }
  std::vector<fs::path> leftovers;
  for (const fs::path& folder : folders) {
    for (const auto& entry : fs::directory_iterator(folder, ignored)) {
      if (entry.path().filename().string().find(".aside.") != std::string::npos)
        leftovers.push_back(entry.path());
    }
  }
  for (const fs::path& leftover : leftovers)
    fs::remove_all(leftover, ignored);
}

}  // namespace

Result<RunDirectory> RunDirectory::Open(const fs::path& path) {
  std::error_code error;
  fs::create_directories(path, error);
  if (error || !fs::is_directory(path)) {
    return Fail(Code::kInvalidArgument,
                "{}: cannot be made a run directory: {}; choose another with --out", path.string(),
                error ? error.message() : "it is a file");
  }
  auto lock = RunLock::Take(path);
  if (!lock) {
    Error failure = std::move(lock).error();
    if (failure.code != Code::kBusy) failure.message += "; choose another run directory with --out";
    return tl::unexpected<Error>(std::move(failure));
  }
  RemoveLeftovers(path);
  return RunDirectory(path, std::move(*lock));
}

Result<std::optional<std::string>> RunDirectory::StoredRecipe() const {
  auto text = ReadFile(path_ / kRecipe);
  if (text) return std::optional(std::move(*text));
  if (text.error().code == Code::kNotFound) return std::optional<std::string>();
  return tl::unexpected<Error>(std::move(text).error());
}

Result<RunDirectory::Stored> RunDirectory::StoreRecipe(std::string_view resolved_text) const {
  AHA_ASSIGN(const auto before, StoredRecipe());
  if (before == resolved_text) return Stored::kSame;
  AHA_TRY(WriteWholeFile(path_ / kRecipe, resolved_text));
  return before ? Stored::kChanged : Stored::kNew;
}

Result<proto::StageGraph> RunDirectory::ReadStages() const {
  return ReadStageGraph(path_ / kStages);
}

Status RunDirectory::WriteStages(const proto::StageGraph& graph) const {
  return WriteStageGraph(path_ / kStages, graph);
}

}  // namespace aha::pipelines
