#include "pipelines/run/why.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <functional>
#include <limits>

#include <fmt/ranges.h>

#include "pipelines/run/delimited.h"

namespace aha::pipelines {
namespace {

namespace fs = std::filesystem;

constexpr char kGroupsFile[] = "groups.bin";

std::optional<std::uint64_t> Number(std::string_view text) {
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return {};
  return value;
}

Result<fs::path> GroupsFile(const fs::path& run, const std::string& stage) {
  AHA_ASSIGN(const std::vector<std::string> stages, StagesWithGroups(run));
  if (std::find(stages.begin(), stages.end(), stage) == stages.end()) {
    return Fail(Code::kNotFound, "{}: no stage {} that samples; those that do: {}", run.string(),
                stage, stages.empty() ? "none yet" : fmt::format("{}", fmt::join(stages, ", ")));
  }
  return run / stage / kGroupsFile;
}

// Calls `visit` with each whole record until it returns false.
Status EachGroup(const fs::path& file, const std::function<bool(proto::GroupRecord&)>& visit) {
  AHA_ASSIGN(DelimitedReader reader, DelimitedReader::Open(file));
  proto::GroupRecord group;
  while (true) {
    const Result<bool> more = reader.Next(group);
    if (!more && reader.cut_off()) return {};
    if (!more) return tl::unexpected<Error>(more.error());
    if (!*more || !visit(group)) return {};
  }
}

void Count(const proto::GroupRecord& group, StepOfGroups& step, double& sum) {
  ++step.groups;
  for (const proto::SampleRecord& sample : group.sample()) {
    ++step.samples;
    if (sample.has_total()) {
      sum += sample.total();
    } else {
      ++step.failed;
    }
  }
  const std::uint64_t scored = step.samples - step.failed;
  step.mean_total =
      scored > 0 ? sum / static_cast<double>(scored) : std::numeric_limits<double>::quiet_NaN();
}

}  // namespace

Result<SampleAddress> ParseSampleAddress(std::string_view text) {
  std::array<std::optional<std::uint64_t>, 3> numbers;
  std::size_t count = 0;
  const std::size_t end = std::min(text.find('/'), text.size());
  std::string_view rest = text.substr(end);
  bool good = end > 0;
  while (good && !rest.empty()) {
    rest.remove_prefix(1);
    const std::size_t next = std::min(rest.find('/'), rest.size());
    good = count < numbers.size() && (numbers[count++] = Number(rest.substr(0, next))).has_value();
    rest.remove_prefix(next);
  }
  if (!good) {
    return Fail(Code::kInvalidArgument,
                "\"{}\" names no sample: write STAGE/STEP/GROUP/SAMPLE with numbers from 0, such "
                "as r1-zero/12/3/0, or "
                "leave parts off at the end to list what there is",
                text);
  }
  return SampleAddress{std::string(text.substr(0, end)), numbers[0], numbers[1], numbers[2]};
}

Result<std::vector<std::string>> StagesWithGroups(const fs::path& run) {
  std::error_code error;
  if (!fs::exists(run / "stages.textproto", error)) {
    return Fail(Code::kNotFound, "{} is not a run directory: it has no stages.textproto",
                run.string());
  }
  std::vector<std::string> stages;
  for (auto at = fs::directory_iterator(run, error); !error && at != fs::directory_iterator();
       at.increment(error)) {
    if (fs::exists(at->path() / kGroupsFile, error))
      stages.push_back(at->path().filename().string());
  }
  if (error) return Fail(Code::kNotFound, "{}: cannot be read: {}", run.string(), error.message());
  std::sort(stages.begin(), stages.end());
  return stages;
}

Result<std::vector<StepOfGroups>> StepsOfGroups(const fs::path& run, const std::string& stage) {
  AHA_ASSIGN(const fs::path file, GroupsFile(run, stage));
  std::vector<StepOfGroups> steps;
  double sum = 0;
  AHA_TRY(EachGroup(file, [&](const proto::GroupRecord& group) {
    if (steps.empty() || steps.back().step != group.step()) {
      steps.emplace_back().step = group.step();
      sum = 0;
    }
    Count(group, steps.back(), sum);
    return true;
  }));
  return steps;
}

Result<std::vector<proto::GroupRecord>> GroupsOfStep(const fs::path& run,
                                                     const std::string& stage,
                                                     std::uint64_t step) {
  AHA_ASSIGN(const fs::path file, GroupsFile(run, stage));
  std::vector<proto::GroupRecord> groups;
  std::optional<std::uint64_t> first, last;
  AHA_TRY(EachGroup(file, [&](proto::GroupRecord& group) {
    if (!first) first = group.step();
    last = group.step();
    if (group.step() == step) groups.emplace_back().Swap(&group);
    return *last <= step;
  }));
  if (groups.empty()) {
    return Fail(Code::kNotFound, "{}: stage {} has no step {}; {}", run.string(), stage, step,
                first ? fmt::format("it has {} to {}", *first, *last)
                      : std::string("nothing was sampled yet"));
  }
  return groups;
}

}  // namespace aha::pipelines
