// A service in another language, against our client: examples/reward_service.py.
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "rewards/service/client.h"

extern "C" char** environ;

namespace aha::rewards {
namespace {

using testing::HasSubstr;

class PythonService : public testing::Test {
 protected:
  void SetUp() override {
    for (const char* python : {"python3", "/usr/bin/python3"}) {
      const std::string check =
          std::string(python) + " -c 'import zmq, google.protobuf' 2>/dev/null";
      if (python_.empty() && std::system(check.c_str()) == 0) python_ = python;
    }
    if (python_.empty() || std::system("protoc --version >/dev/null 2>&1") != 0) {
      GTEST_SKIP() << "python3 with pyzmq and protobuf, and protoc, are needed (python3-zmq, "
                      "python3-protobuf)";
    }
    endpoint_ = "ipc://" + testing::TempDir() + "/aha_python." + std::to_string(getpid());
    std::string program = AHA_SOURCE_DIR "/examples/reward_service.py";
    std::string bind = "--bind";
    char* arguments[] = {python_.data(), program.data(), bind.data(), endpoint_.data(), nullptr};
    ASSERT_EQ(posix_spawnp(&pid_, python_.c_str(), nullptr, nullptr, arguments, environ), 0);
  }
  void TearDown() override {
    if (pid_ > 0) {
      kill(pid_, SIGTERM);
      int status = 0;
      waitpid(pid_, &status, 0);
      EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << "it stops cleanly";
    }
  }
  std::string python_;
  std::string endpoint_;
  pid_t pid_ = -1;
};

TEST_F(PythonService, AnswersOurClient) {
  zmq::context_t context;
  const auto client = Client::Connect(context, {endpoint_});
  ASSERT_TRUE(client.has_value()) << client.error().message;
  std::vector<proto::RewardSpec> specs(4);
  specs[0].set_name("vowels");
  specs[1].set_name("length_near");
  specs[2].set_name("nothing");
  specs[3].set_name("vowels");
  specs[3].set_config("x: 1");
  std::vector<proto::ScoreItem> items(200);
  for (std::size_t i = 0; i < items.size(); ++i) {
    items[i].set_id(std::to_string(i));
    items[i].set_completion(i % 2 == 0 ? "aeb\xC3\xA9" : "\xFF");
    items[i].set_reference(i == 3 ? "far" : "4");
  }
  const auto out = (*client)->Score(specs, items, Deadline::After(std::chrono::seconds(30)));
  ASSERT_TRUE(out.has_value()) << out.error().message;
  EXPECT_EQ((*out)[0].outcomes(0).score(), 0.5);
  EXPECT_EQ((*out)[0].outcomes(1).score(), 1);
  EXPECT_EQ((*out)[1].outcomes(0).score(), 0);
  EXPECT_EQ((*out)[1].outcomes(0).reason(), "no_letters");
  EXPECT_EQ((*out)[1].outcomes(1).score(), 0.25);
  EXPECT_EQ((*out)[3].outcomes(1).failure().kind(), proto::Failure::BAD_REFERENCE);
  for (const auto& item : *out) {
    ASSERT_EQ(item.outcomes_size(), 4);
    EXPECT_EQ(item.outcomes(2).failure().kind(), proto::Failure::NO_SUCH_REWARD);
    EXPECT_EQ(item.outcomes(3).failure().kind(), proto::Failure::BAD_CONFIG);
  }
  const auto status =
      AskStatus(context, endpoint_, std::nullopt, Deadline::After(std::chrono::seconds(5)));
  ASSERT_FALSE(status.has_value());
  EXPECT_THAT(status.error().message, HasSubstr("does not tell its status"));
}

}  // namespace
}  // namespace aha::rewards
