#include "base/content_hash.h"

#include <unistd.h>

#include <fstream>

#include <gtest/gtest.h>

namespace aha {
namespace {

namespace fs = std::filesystem;

struct HashCase {
  const char* name;
  std::string text;
  const char* want;
};

// FIPS 180-4's examples for SHA-256, as NIST publishes them, and the empty message of its test
// vectors.
const HashCase kPublished[] = {
    {"Empty", "", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
    {"Abc", "abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
    {"TwoBlocks", "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
     "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"},
    {"MillionA", std::string(1000000, 'a'),
     "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0"},
};

class ContentHashTest : public testing::TestWithParam<HashCase> {};

TEST_P(ContentHashTest, EqualsThePublishedVectorInAnyPieces) {
  const std::string& text = GetParam().text;
  EXPECT_EQ(HashText(text), GetParam().want);
  ContentHash pieces;
  for (std::size_t at = 0; at < text.size(); at += 1 + at / 2)
    pieces.Add(std::string_view(text).substr(at, 1 + at / 2));
  EXPECT_EQ(pieces.Hex(), GetParam().want);
}
INSTANTIATE_TEST_SUITE_P(Published,
                         ContentHashTest,
                         testing::ValuesIn(kPublished),
                         [](const auto& p) { return std::string(p.param.name); });

TEST(ContentHashTest, FieldsDoNotRunIntoOneAnother) {
  EXPECT_NE(ContentHash().AddField("ab").AddField("c").Hex(),
            ContentHash().AddField("a").AddField("bc").Hex());
  EXPECT_EQ(ContentHash().AddField("abc").Hex(), HashText("3:abc"));
}

class HashFolderTest : public testing::Test {
 protected:
  HashFolderTest() : folder_(testing::TempDir() + fmt::format("/aha_hash_{}", ::getpid())) {
    fs::create_directories(folder_);
  }
  ~HashFolderTest() override { fs::remove_all(folder_); }
  void Write(const char* name, std::string_view text) const {
    std::ofstream(folder_ / name, std::ios::binary) << text;
  }
  fs::path folder_;
};

TEST_F(HashFolderTest, HashesNamesAndContents) {
  Write("b", "abc");
  Write("a", "");
  EXPECT_EQ(HashFile(folder_ / "b").value(), HashText("abc"));
  const std::string want = ContentHash()
                               .AddField("a")
                               .AddField(HashText(""))
                               .AddField("b")
                               .AddField(HashText("abc"))
                               .Hex();
  EXPECT_EQ(HashFolder(folder_).value(), want);
  Write("b", "abd");
  EXPECT_NE(HashFolder(folder_).value(), want);
}

TEST_F(HashFolderTest, NamesWhatCannotBeRead) {
  for (const Result<std::string>& hash :
       {HashFile(folder_ / "missing"), HashFolder(folder_ / "missing")}) {
    ASSERT_FALSE(hash);
    EXPECT_EQ(hash.error().code, Code::kNotFound);
    EXPECT_NE(hash.error().message.find("missing"), std::string::npos) << hash.error().message;
  }
}

}  // namespace
}  // namespace aha
