#include "pipelines/run/stage_state.h"

#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <vector>

#include <google/protobuf/text_format.h>

#include "base/whole_file.h"
#include "pipelines/run/text_record.h"

namespace aha::pipelines {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kStepPrefix = "step-";
constexpr std::string_view kAdvice =
    "restore it from a copy, or delete the stage's folder to run the stage again";

bool IsStepFolder(const std::string& name) {
  return name.starts_with(kStepPrefix);
}

// "step-40" and "step-40.1" are of step 40. Nothing: not a number.
std::optional<std::uint64_t> StepOf(const std::string& name) {
  std::uint64_t step = 0;
  const char* end = name.data() + name.size();
  const auto [stop, error] = std::from_chars(name.data() + kStepPrefix.size(), end, step);
  if (error != std::errc() || (stop != end && *stop != '.')) return std::nullopt;
  return step;
}

bool IsLeftover(const std::string& name) {
  return name.find(".aside.") != std::string::npos;
}

// A plain name, or a relative path that stays below where it starts.
bool StaysBelow(const fs::path& path) {
  return !path.empty() && path.is_relative() &&
         std::none_of(path.begin(), path.end(),
                      [](const fs::path& part) { return part == ".." || part == "."; });
}

std::vector<std::string> NamesIn(const fs::path& folder) {
  std::vector<std::string> names;
  std::error_code ignored;  // a folder that is not there yet holds nothing
  for (const auto& entry : fs::directory_iterator(folder, ignored))
    names.push_back(entry.path().filename().string());
  std::sort(names.begin(), names.end());
  return names;
}

// Removes the entries of `folder` that `unwanted` picks.
template <class Pick>
Status RemoveFrom(const fs::path& folder, Pick unwanted) {
  bool removed = false;
  for (const std::string& name : NamesIn(folder)) {
    if (!unwanted(name)) continue;
    std::error_code error;
    fs::remove_all(folder / name, error);
    if (error) {
      return Fail(Code::kInvalidArgument, "{}: cannot be removed: {}", (folder / name).string(),
                  error.message());
    }
    removed = true;
  }
  return removed ? SyncPath(folder) : Status();
}

Status CutTo(const fs::path& file, std::uint64_t bytes) {
  if (::truncate(file.c_str(), static_cast<off_t>(bytes)) != 0) {
    return tl::unexpected<Error>(SystemError(file, "cut back"));
  }
  return SyncPath(file);
}

// Bytes in a file; 0 when there is none.
std::uint64_t SizeOf(const fs::path& file) {
  std::error_code missing;
  const std::uintmax_t size = fs::file_size(file, missing);
  return missing ? 0 : size;
}

Status CheckLengths(const fs::path& stage, const proto::Commit& commit) {
  for (const auto& file : commit.file()) {
    const std::uint64_t size = SizeOf(stage / file.path());
    if (size >= file.bytes()) continue;
    return Fail(Code::kCorrupt, "{}: has {} bytes, but had {} when step {} was committed; {}",
                (stage / file.path()).string(), size, file.bytes(), commit.step(), kAdvice);
  }
  return {};
}

}  // namespace

StageState::StageState(fs::path stage_folder)
    : stage_(std::move(stage_folder)), state_(stage_ / "state") {}

fs::path StageState::FolderOf(const proto::Commit& commit) const {
  return state_ / commit.folder();
}

Result<std::optional<proto::Commit>> StageState::Latest() const {
  const fs::path file = state_ / "commit";
  const auto text = ReadFile(file);
  if (!text && text.error().code == Code::kNotFound) return std::optional<proto::Commit>();
  if (!text) return tl::unexpected<Error>(text.error());
  proto::Commit commit;
  AHA_TRY(ParseRecord(*text, file, kAdvice, commit));
  const bool paths_stay = std::all_of(commit.file().begin(), commit.file().end(),
                                      [](const auto& entry) { return StaysBelow(entry.path()); });
  if (!commit.has_step() || !IsStepFolder(commit.folder()) || !StaysBelow(commit.folder()) ||
      !paths_stay) {
    return Fail(Code::kCorrupt,
                "{}: lacks its step or folder, or has a path that leaves the stage; {}",
                file.string(), kAdvice);
  }
  if (!fs::is_directory(FolderOf(commit))) {
    return Fail(Code::kCorrupt, "{}: step {} is committed, but its folder is gone; {}",
                FolderOf(commit).string(), commit.step(), kAdvice);
  }
  return std::optional(std::move(commit));
}

Status StageState::SyncAppended(std::span<const std::string> append_only,
                                proto::Commit& commit) const {
  for (const std::string& path : append_only) {
    const fs::path file = stage_ / path;
    auto& entry = *commit.add_file();
    entry.set_path(path);
    entry.set_bytes(SizeOf(file));
    if (!fs::exists(file)) continue;
    AHA_TRY(SyncPath(file));
    AHA_TRY(SyncPath(file.parent_path()));  // the file's name, should it be new
  }
  return {};
}

Status StageState::Commit(std::uint64_t step,
                          const std::function<Status(const fs::path&)>& fill,
                          std::span<const std::string> append_only) {
  AHA_ASSIGN(const auto before, Latest());
  if (before && step < before->step()) {
    return Fail(Code::kInvalidArgument, "{}: step {} cannot be committed after step {}",
                state_.string(), step, before->step());
  }
  proto::Commit commit;
  commit.set_step(step);
  commit.set_folder(fmt::format("{}{}", kStepPrefix, step));
  // Never the folder in force: replacing that one has an instant without it.
  if (before && before->folder() == commit.folder()) commit.set_folder(commit.folder() + ".1");
  AHA_TRY(SyncAppended(append_only, commit));
  AHA_TRY(WriteWholeFolder(FolderOf(commit), fill));
  AHA_TRY(SyncPath(stage_));
  if (stage_.has_parent_path()) AHA_TRY(SyncPath(stage_.parent_path()));
  std::string text;
  google::protobuf::TextFormat::PrintToString(commit, &text);
  AHA_TRY(WriteWholeFile(state_ / "commit", text));
  return RemoveFrom(state_, [&](const std::string& name) {
    const bool kept = name == commit.folder() || (before && name == before->folder());
    return !kept && (IsStepFolder(name) || IsLeftover(name));
  });
}

Status StageState::Restore(const std::optional<proto::Commit>& commit,
                           std::span<const std::string> append_only) {
  const proto::Commit target = commit.value_or(proto::Commit());
  AHA_TRY(CheckLengths(stage_, target));
  for (const auto& file : target.file()) {
    if (SizeOf(stage_ / file.path()) > file.bytes())
      AHA_TRY(CutTo(stage_ / file.path(), file.bytes()));
  }
  for (const std::string& path : append_only) {
    const bool known = std::any_of(target.file().begin(), target.file().end(),
                                   [&](const auto& file) { return file.path() == path; });
    std::error_code error;
    if (!known) fs::remove(stage_ / path, error);
    if (error)
      return Fail(Code::kInvalidArgument, "{}: cannot be removed: {}", (stage_ / path).string(),
                  error.message());
  }
  AHA_TRY(RemoveFrom(stage_, IsLeftover));
  return RemoveFrom(state_, [&](const std::string& name) {
    if (IsLeftover(name)) return true;
    if (!IsStepFolder(name) || name == target.folder()) return false;
    const auto step = StepOf(name);  // an older folder is the commit before: it stays
    return !commit || !step || *step >= target.step();
  });
}

}  // namespace aha::pipelines
