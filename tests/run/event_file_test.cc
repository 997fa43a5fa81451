#include "pipelines/run/event_file.h"

#include <numeric>

#include <gtest/gtest.h>

#include "pipelines/run/crc32c.h"
#include "proto/tensorboard.pb.h"
#include "tests/run/scratch_folder.h"

namespace aha::pipelines {
namespace {

// RFC 3720, appendix B.4, and the check value of the CRC catalogue.
TEST(Crc32c, MatchesPublishedVectors) {
  std::string rising(32, '\0');
  std::iota(rising.begin(), rising.end(), '\0');
  EXPECT_EQ(Crc32c("123456789"), 0xE3069283U);
  EXPECT_EQ(Crc32c(std::string(32, '\0')), 0x8A9136AAU);
  EXPECT_EQ(Crc32c(std::string(32, '\xff')), 0x62A8AB43U);
  EXPECT_EQ(Crc32c(rising), 0x46DD794EU);
  EXPECT_EQ(Crc32c(std::string(rising.rbegin(), rising.rend())), 0x113FDB5CU);
  EXPECT_EQ(Crc32c(""), 0U);
}

std::uint64_t Number(std::string_view bytes) {
  std::uint64_t number = 0;
  for (std::size_t i = bytes.size(); i-- > 0;)
    number = number << 8U | static_cast<unsigned char>(bytes[i]);
  return number;
}

// Every record of an event file, its checksums checked.
std::vector<proto::TbEvent> Events(std::string_view bytes) {
  std::vector<proto::TbEvent> events;
  while (!bytes.empty()) {
    const std::uint64_t length = Number(bytes.substr(0, 8));
    EXPECT_EQ(MaskedCrc32c(bytes.substr(0, 8)), Number(bytes.substr(8, 4)));
    const std::string_view data = bytes.substr(12, length);
    EXPECT_EQ(MaskedCrc32c(data), Number(bytes.substr(12 + length, 4)));
    EXPECT_TRUE(events.emplace_back().ParseFromArray(data.data(), static_cast<int>(data.size())));
    bytes.remove_prefix(16 + length);
  }
  return events;
}

TEST(EventFile, BeginsWithTheVersionAndGoesOnWhenReopened) {
  const ScratchFolder scratch;
  const auto path = scratch.path() / "events";
  const std::vector<Metric> first = {{"loss", 0.5}, {"reward/math", -2}};
  const std::vector<Metric> second = {{"loss", 0.25}};
  for (const auto& [step, metrics] : {std::pair(1U, first), std::pair(2U, second)}) {
    auto file = EventFile::Open(path);
    ASSERT_TRUE(file) << file.error().message;
    ASSERT_TRUE(file->Append(step, metrics));
  }
  const auto events = Events(Read(path));
  ASSERT_EQ(events.size(), 3U);
  EXPECT_EQ(events[0].file_version(), "brain.Event:2");
  EXPECT_GT(events[0].wall_time(), 1.6e9);
  EXPECT_EQ(events[1].step(), 1);
  ASSERT_EQ(events[1].summary().value_size(), 2);
  EXPECT_EQ(events[1].summary().value(1).tag(), "reward/math");
  EXPECT_EQ(events[1].summary().value(1).simple_value(), -2.F);
  EXPECT_EQ(events[2].step(), 2);
}

}  // namespace
}  // namespace aha::pipelines
