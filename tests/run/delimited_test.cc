#include "pipelines/run/delimited.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "proto/records.pb.h"
#include "tests/run/scratch_folder.h"

namespace aha::pipelines {
namespace {

using testing::EndsWith;

proto::GroupRecord Group(std::uint64_t step, std::size_t question_bytes) {
  proto::GroupRecord group;
  group.set_step(step);
  group.set_question(std::string(question_bytes, 'q'));
  return group;
}

class DelimitedTest : public testing::Test {
 protected:
  [[nodiscard]] std::filesystem::path file() const { return scratch_.path() / "groups.bin"; }

  // The error after `whole` good records; "" when the file ends cleanly there.
  std::string ErrorAfter(const std::string& bytes, int whole) {
    Write(file(), bytes);
    auto reader = DelimitedReader::Open(file());
    if (!reader) return reader.error().message;
    proto::GroupRecord group;
    for (int i = 0; i < whole; ++i)
      EXPECT_TRUE(reader->Next(group).value_or(false));
    const std::uint64_t before = reader->offset();
    const auto next = reader->Next(group);
    EXPECT_EQ(reader->offset(), before);
    if (next) return *next ? "another record" : "";
    EXPECT_EQ(next.error().code, Code::kCorrupt);
    return next.error().message;
  }

  ScratchFolder scratch_;
};

TEST_F(DelimitedTest, RecordsOfAllSizesComeBack) {
  std::string bytes;
  const std::vector<std::size_t> sizes = {0, 100, 130, 20'000, 3'000'000};
  for (const std::size_t size : sizes)
    bytes += Delimited(Group(size, size)).value();
  bytes += Delimited(proto::GroupRecord()).value();  // a length of 0
  Write(file(), bytes);
  auto reader = DelimitedReader::Open(file());
  ASSERT_TRUE(reader);
  proto::GroupRecord group;
  for (const std::size_t size : sizes) {
    ASSERT_TRUE(reader->Next(group).value_or(false));
    EXPECT_EQ(group.step(), size);
    EXPECT_EQ(group.question().size(), size);
  }
  ASSERT_TRUE(reader->Next(group).value_or(false));
  EXPECT_FALSE(group.has_step());
  EXPECT_EQ(reader->offset(), bytes.size());
  EXPECT_FALSE(reader->Next(group).value());
  EXPECT_FALSE(reader->Next(group).value());
}

TEST_F(DelimitedTest, EveryCutOfTheTailIsReported) {
  const std::string first = Delimited(Group(1, 10)).value();
  const std::string second = Delimited(Group(2, 200)).value();
  EXPECT_EQ(ErrorAfter(first, 1), "");
  for (std::size_t kept = 1; kept < second.size(); ++kept) {
    const std::string message = ErrorAfter(first + second.substr(0, kept), 1);
    if (kept == 1) {
      EXPECT_THAT(
          message,
          EndsWith("cut off at byte 16 inside the length of the record that begins at byte 15"))
          << first.size();
    } else {
      EXPECT_THAT(message, EndsWith(fmt::format(
                               "the record that begins at byte 15 has {} bytes, but only {} follow",
                               second.size() - 2, kept - 2)))
          << first.size();
    }
  }
}

TEST_F(DelimitedTest, HostileLengthsAskForNoMemory) {
  EXPECT_THAT(ErrorAfter("\xff\xff\xff\xff\xff\xff", 0),
              EndsWith("its length is no varint below 2 GiB"));
  EXPECT_THAT(ErrorAfter("\xff\xff\xff\xff\x0f", 0),
              EndsWith("its length is no varint below 2 GiB"));
  EXPECT_THAT(ErrorAfter("\xff\xff\xff\xff\x07x", 0),
              EndsWith("has 2147483647 bytes, but only 1 follow"));
}

TEST_F(DelimitedTest, WhatIsNoMessageIsReported) {
  EXPECT_THAT(ErrorAfter("\x02\xff\xff", 0),
              EndsWith("the record that begins at byte 0 is no aha.proto.GroupRecord"));
}

TEST_F(DelimitedTest, AMissingFileIsNotFound) {
  const auto reader = DelimitedReader::Open(file());
  ASSERT_FALSE(reader);
  EXPECT_EQ(reader.error().code, Code::kNotFound);
}

}  // namespace
}  // namespace aha::pipelines
