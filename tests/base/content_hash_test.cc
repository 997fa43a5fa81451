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

TEST(HashFileTest, HashesWhatTheFileHolds) {
  const fs::path file = fs::path(testing::TempDir()) / fmt::format("aha_hash_{}", ::getpid());
  std::ofstream(file, std::ios::binary) << "abc";
  EXPECT_EQ(HashFile(file).value(), HashText("abc"));
  fs::remove(file);
  const Result<std::string> missing = HashFile(file);
  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.error().code, Code::kNotFound);
  EXPECT_NE(missing.error().message.find(file.string()), std::string::npos)
      << missing.error().message;
}

}  // namespace
}  // namespace aha
