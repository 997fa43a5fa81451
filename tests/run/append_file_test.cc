#include "pipelines/run/append_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/run/scratch_folder.h"

namespace aha::pipelines {
namespace {

using testing::HasSubstr;

TEST(AppendFile, GoesOnWhereTheFileEnds) {
  const ScratchFolder scratch;
  const auto path = scratch.path() / "new" / "file";
  {
    auto file = AppendFile::Open(path);
    ASSERT_TRUE(file) << file.error().message;
    EXPECT_EQ(file->size(), 0U);
    ASSERT_TRUE(file->Append("one\n"));
    EXPECT_EQ(Read(path), "one\n");  // nothing is held back
  }
  auto file = AppendFile::Open(path);
  ASSERT_TRUE(file);
  EXPECT_EQ(file->size(), 4U);
  ASSERT_TRUE(file->Append("two\n"));
  ASSERT_TRUE(file->Sync());
  EXPECT_EQ(file->size(), 8U);
  EXPECT_EQ(Read(path), "one\ntwo\n");
}

TEST(AppendFile, AFullDiskIsExhaustedAndNamesTheFile) {
  auto file = AppendFile::Open("/dev/full");
  ASSERT_TRUE(file) << file.error().message;
  const Status full = file->Append("x");
  ASSERT_FALSE(full);
  EXPECT_EQ(full.error().code, Code::kExhausted);
  EXPECT_EQ(full.error().message,
            "/dev/full: cannot append: No space left on device; free some space and run again: it "
            "resumes");
  EXPECT_EQ(file->size(), 0U);
}

TEST(AppendFile, NamesWhatCannotBeOpened) {
  const ScratchFolder scratch;
  Write(scratch.path() / "file", "");
  const auto below = AppendFile::Open(scratch.path() / "file" / "x");
  ASSERT_FALSE(below);
  EXPECT_THAT(below.error().message,
              HasSubstr("file/x: cannot open for appending: Not a directory"));
}

}  // namespace
}  // namespace aha::pipelines
