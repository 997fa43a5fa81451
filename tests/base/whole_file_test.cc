#include "base/whole_file.h"

#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <csignal>
#include <fstream>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace aha {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;
using testing::UnorderedElementsAre;

class WholeFileTest : public testing::Test {
 protected:
  WholeFileTest()
      : folder_(testing::TempDir() +
                fmt::format("/aha_whole_{}_{}",
                            ::getpid(),
                            testing::UnitTest::GetInstance()->current_test_info()->name())) {
    fs::create_directories(folder_);
  }
  ~WholeFileTest() override { fs::remove_all(folder_); }
  [[nodiscard]] std::vector<std::string> Names() const {
    std::vector<std::string> names;
    for (const auto& entry : fs::directory_iterator(folder_))
      names.push_back(entry.path().filename().string());
    return names;
  }
  fs::path folder_;
};

// No file of this process may grow beyond `bytes` while one of these lives: writes fail as they do
// when a disk is full, after a part has been written.
class FileSizeLimit {
 public:
  explicit FileSizeLimit(rlim_t bytes) {
    ::getrlimit(RLIMIT_FSIZE, &before_);
    handler_ = std::signal(SIGXFSZ, SIG_IGN);
    const rlimit limit{bytes, before_.rlim_max};
    ::setrlimit(RLIMIT_FSIZE, &limit);
  }
  ~FileSizeLimit() {
    ::setrlimit(RLIMIT_FSIZE, &before_);
    std::signal(SIGXFSZ, handler_);
  }
  FileSizeLimit(const FileSizeLimit&) = delete;
  FileSizeLimit& operator=(const FileSizeLimit&) = delete;

 private:
  rlimit before_{};
  void (*handler_)(int) = nullptr;
};

TEST_F(WholeFileTest, ReplacesTheOldBytesAndLeavesNothingElse) {
  const std::string bytes("a\0b\xFF\n", 5);
  ASSERT_TRUE(WriteWholeFile(folder_ / "f", "old and longer than the new"));
  ASSERT_TRUE(WriteWholeFile(folder_ / "f", bytes));
  EXPECT_EQ(ReadFile(folder_ / "f").value(), bytes);
  EXPECT_THAT(Names(), UnorderedElementsAre("f"));
}

TEST_F(WholeFileTest, AFileThatDoesNotFitLeavesTheOldOneUntouched) {
  ASSERT_TRUE(WriteWholeFile(folder_ / "f", "old"));
  Status written;
  {
    const FileSizeLimit limit(100);
    written = WriteWholeFile(folder_ / "f", std::string(1000, 'x'));
  }
  ASSERT_FALSE(written);
  EXPECT_THAT(written.error().message, HasSubstr("cannot write"));
  EXPECT_EQ(ReadFile(folder_ / "f").value(), "old");
  EXPECT_THAT(Names(), UnorderedElementsAre("f"));
}

TEST_F(WholeFileTest, AFullDiskIsExhausted) {
  // /dev/full takes the open and refuses the bytes. The file is written under a name beside its
  // own.
  const fs::path aside = folder_ / fmt::format("f.aside.{}", ::getpid());
  fs::create_symlink("/dev/full", aside);
  ASSERT_TRUE(fs::exists("/dev/full"));
  const Status written = WriteWholeFile(folder_ / "f", "bytes");
  ASSERT_FALSE(written);
  EXPECT_EQ(written.error().code, Code::kExhausted);
  EXPECT_THAT(written.error().message, HasSubstr("No space left on device"));
  EXPECT_FALSE(fs::exists(folder_ / "f"));
}

TEST_F(WholeFileTest, NamesTheFolderThatIsNotThere) {
  const Status written = WriteWholeFile(folder_ / "none" / "f", "bytes");
  ASSERT_FALSE(written);
  EXPECT_THAT(written.error().message, HasSubstr((folder_ / "none").string()));
}

TEST_F(WholeFileTest, ReadingNamesWhatIsWrong) {
  const auto missing = ReadFile(folder_ / "none");
  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.error().code, Code::kNotFound);
  EXPECT_THAT(missing.error().message, HasSubstr("none"));
  const auto directory = ReadFile(folder_);
  ASSERT_FALSE(directory);
  EXPECT_THAT(directory.error().message, HasSubstr("is a directory"));
}

TEST_F(WholeFileTest, AFolderAppearsOnceItIsFilled) {
  const fs::path target = folder_ / "made";
  const Status done = WriteWholeFolder(target, [&](const fs::path& aside) -> Status {
    EXPECT_TRUE(fs::is_empty(aside));
    EXPECT_FALSE(fs::exists(target));
    AHA_TRY(WriteWholeFile(aside / "one", "1"));
    fs::create_directory(aside / "deep");
    return WriteWholeFile(aside / "deep" / "two", "2");
  });
  ASSERT_TRUE(done) << done.error().message;
  EXPECT_EQ(ReadFile(target / "one").value(), "1");
  EXPECT_EQ(ReadFile(target / "deep" / "two").value(), "2");
  EXPECT_THAT(Names(), UnorderedElementsAre("made"));
}

TEST_F(WholeFileTest, AFolderIsReplacedAsAWhole) {
  const fs::path target = folder_ / "made";
  const auto fill = [](const char* name) {
    return [name](const fs::path& aside) { return WriteWholeFile(aside / name, name); };
  };
  ASSERT_TRUE(WriteWholeFolder(target, fill("old")));
  ASSERT_TRUE(WriteWholeFolder(target, fill("new")));
  EXPECT_FALSE(fs::exists(target / "old"));
  EXPECT_EQ(ReadFile(target / "new").value(), "new");
  EXPECT_THAT(Names(), UnorderedElementsAre("made"));
}

struct FillCase {
  const char* name;
  Status (*fill)(const fs::path& aside);
  const char* message;
};
class WholeFolderFailureTest : public WholeFileTest,
                               public testing::WithParamInterface<FillCase> {};

TEST_P(WholeFolderFailureTest, LeavesTheOldFolderUntouched) {
  const fs::path target = folder_ / "made";
  ASSERT_TRUE(WriteWholeFolder(
      target, [](const fs::path& aside) { return WriteWholeFile(aside / "old", "old"); }));
  const Status done = WriteWholeFolder(target, GetParam().fill);
  ASSERT_FALSE(done);
  EXPECT_THAT(done.error().message, HasSubstr(GetParam().message));
  EXPECT_EQ(ReadFile(target / "old").value(), "old");
  EXPECT_THAT(Names(), UnorderedElementsAre("made"));
}
INSTANTIATE_TEST_SUITE_P(Table,
                         WholeFolderFailureTest,
                         testing::Values(FillCase{"Error",
                                                  [](const fs::path& aside) -> Status {
                                                    AHA_TRY(WriteWholeFile(aside / "half", "half"));
                                                    return Fail(Code::kExhausted, "full");
                                                  },
                                                  "full"},
                                         FillCase{"Exception",
                                                  [](const fs::path& aside) -> Status {
                                                    std::ofstream(aside / "half") << "half";
                                                    throw std::runtime_error("thrown");
                                                  },
                                                  "thrown"}),
                         [](const auto& p) { return std::string(p.param.name); });

TEST_F(WholeFileTest, AnErrorOfTheSystemNamesThePathAndTheReason) {
  struct Row {
    int number;
    Code code;
    const char* message;
  };
  for (const Row& row :
       {Row{ENOSPC, Code::kExhausted, "/x: cannot write: No space left on device"},
        Row{EDQUOT, Code::kExhausted, "/x: cannot write: Disk quota exceeded"},
        Row{ENOENT, Code::kNotFound, "/x: cannot write: No such file or directory"},
        Row{EROFS, Code::kInvalidArgument, "/x: cannot write: Read-only file system"}}) {
    errno = row.number;
    const Error error = SystemError("/x", "write");
    EXPECT_EQ(error.code, row.code) << row.message;
    EXPECT_EQ(error.message, row.message);
  }
}

}  // namespace
}  // namespace aha
