#include "pipelines/run/event_file.h"

#include <chrono>

#include "pipelines/run/crc32c.h"
#include "proto/tensorboard.pb.h"

namespace aha::pipelines {
namespace {

std::string LittleEndian(std::uint64_t number, int bytes) {
  std::string out;
  for (int i = 0; i < bytes; ++i)
    out += static_cast<char>((number >> (8 * i)) & 0xFFU);
  return out;
}

proto::TbEvent EventNow() {
  proto::TbEvent event;
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  event.set_wall_time(std::chrono::duration<double>(now).count());
  return event;
}

}  // namespace

std::string TfRecord(std::string_view data) {
  std::string record = LittleEndian(data.size(), 8);
  record += LittleEndian(MaskedCrc32c(record), 4);
  record += data;
  record += LittleEndian(MaskedCrc32c(data), 4);
  return record;
}

Result<EventFile> EventFile::Open(const std::filesystem::path& path) {
  AHA_ASSIGN(AppendFile file, AppendFile::Open(path));
  if (file.size() == 0) {
    proto::TbEvent first = EventNow();
    first.set_file_version("brain.Event:2");
    AHA_TRY(file.Append(TfRecord(first.SerializeAsString())));
  }
  return EventFile(std::move(file));
}

Status EventFile::Append(std::uint64_t step, std::span<const Metric> metrics) {
  proto::TbEvent event = EventNow();
  event.set_step(static_cast<std::int64_t>(step));
  for (const Metric& metric : metrics) {
    auto& value = *event.mutable_summary()->add_value();
    value.set_tag(metric.name);
    value.set_simple_value(static_cast<float>(metric.value));
  }
  return file_.Append(TfRecord(event.SerializeAsString()));
}

}  // namespace aha::pipelines
