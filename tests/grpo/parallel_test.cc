// Ranks as processes of their own: this program starts itself again for each.

#include <arpa/inet.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include <ATen/TensorOperators.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/full.h>
#include <gtest/gtest.h>

#include "base/keyed_random.h"
#include "grpo/parallel/group.h"

extern char** environ;

namespace aha::grpo {
namespace {

namespace fs = std::filesystem;

constexpr int kNumbers = 1003;  // no multiple of a number of ranks

// Of one shard: magnitudes so far apart that another order of additions gives other bits.
at::Tensor Shard(int shard) {
  at::Tensor numbers = at::empty({kNumbers}, at::kFloat);
  const KeyedRandom random = KeyedRandom(3, "test/shard").With(static_cast<std::uint64_t>(shard));
  for (int i = 0; i < kNumbers; ++i) {
    const auto at = static_cast<std::uint64_t>(i);
    numbers.mutable_data_ptr<float>()[i] = static_cast<float>(
        random.Normal(at) * std::pow(10.0, static_cast<double>(random.Integer(at + 5000, -4, 4))));
  }
  return numbers;
}

std::uint16_t FreePort() {
  const int fd = socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof(address);
  EXPECT_EQ(bind(fd, reinterpret_cast<sockaddr*>(&address), size), 0);
  EXPECT_EQ(getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size), 0);
  close(fd);
  return ntohs(address.sin_port);
}

// Runs test `name` of this program as `ranks` processes; what each wrote.
std::vector<std::vector<float>> RunRanks(const std::string& name, int ranks) {
  const fs::path folder = fs::temp_directory_path() / ("aha_parallel." + std::to_string(getpid()) +
                                                       "." + name + std::to_string(ranks));
  fs::create_directories(folder);
  const std::string port = std::to_string(FreePort()), size = std::to_string(ranks);
  std::vector<pid_t> children;
  for (int rank = 0; rank < ranks; ++rank) {
    std::vector<std::string> environment = {"RANK=" + std::to_string(rank), "WORLD_SIZE=" + size,
                                            "MASTER_ADDR=127.0.0.1", "MASTER_PORT=" + port,
                                            "AHA_TEST_FOLDER=" + folder.string()};
    for (char** e = environ; *e != nullptr; ++e)
      environment.emplace_back(*e);
    std::vector<char*> pointers;
    for (std::string& e : environment)
      pointers.push_back(e.data());
    pointers.push_back(nullptr);
    std::string program = "/proc/self/exe", filter = "--gtest_filter=RankTest." + name,
                brief = "--gtest_brief=1";
    char* arguments[] = {program.data(), filter.data(), brief.data(), nullptr};
    pid_t child = 0;
    EXPECT_EQ(posix_spawn(&child, program.c_str(), nullptr, nullptr, arguments, pointers.data()),
              0);
    children.push_back(child);
  }
  std::vector<std::vector<float>> out;
  for (int rank = 0; rank < ranks; ++rank) {
    int status = 0;
    EXPECT_EQ(waitpid(children[static_cast<std::size_t>(rank)], &status, 0),
              children[static_cast<std::size_t>(rank)]);
    EXPECT_EQ(status, 0) << "rank " << rank;
    std::vector<float> numbers(kNumbers);
    std::ifstream file(folder / std::to_string(rank), std::ios::binary);
    file.read(reinterpret_cast<char*>(numbers.data()), kNumbers * sizeof(float));
    EXPECT_EQ(file.gcount(), kNumbers * static_cast<std::streamsize>(sizeof(float)));
    out.push_back(numbers);
  }
  fs::remove_all(folder);
  return out;
}

// What a rank's process does; skipped in the test run itself.
class RankTest : public testing::Test {
 protected:
  void SetUp() override {
    if (std::getenv("AHA_TEST_FOLDER") == nullptr) GTEST_SKIP() << "run by the tests of this file";
    Result<GroupAddress> address = GroupFromEnvironment();
    ASSERT_TRUE(address) << address.error().message;
    address->deadline = std::chrono::seconds(20);
    Result<std::unique_ptr<Group>> group = JoinGloo(*address);
    ASSERT_TRUE(group) << group.error().message;
    group_ = std::move(*group);
  }
  void Leave(const at::Tensor& numbers) const {
    std::ofstream file(fs::path(std::getenv("AHA_TEST_FOLDER")) / std::to_string(group_->rank()),
                       std::ios::binary);
    file.write(static_cast<const char*>(numbers.const_data_ptr()), kNumbers * sizeof(float));
    EXPECT_TRUE(file.good());
  }
  std::unique_ptr<Group> group_;
};

TEST_F(RankTest, SumsItsShards) {
  // Four shards over the ranks, each rank's own added in pairs.
  const int mine = 4 / group_->size();
  at::Tensor sum = Shard(group_->rank() * mine);
  if (mine == 2) sum.add_(Shard(group_->rank() * mine + 1));
  const Status status = group_->Sum(sum);
  ASSERT_TRUE(status) << status.error().message;
  Leave(sum);
}

TEST_F(RankTest, TakesTheWeights) {
  at::Tensor weights = group_->rank() == 1 ? Shard(9) : at::full({kNumbers}, 7.0F);
  ASSERT_TRUE(group_->Broadcast(weights, 1));
  ASSERT_TRUE(group_->Wait());
  Leave(weights);
}

TEST_F(RankTest, LeavesBeforeTheSum) {
  if (group_->rank() == 1) {
    Leave(Shard(0));
    std::_Exit(0);
  }
  at::Tensor sum = Shard(0);
  const Status status = group_->Sum(sum);
  ASSERT_FALSE(status);
  EXPECT_NE(status.error().message.find("rank 0 of 2: sum over ranks"), std::string::npos)
      << status.error().message;
  Leave(Shard(0));
}

std::vector<float> TreeOfFour() {
  const at::Tensor sum = (Shard(0) + Shard(1)) + (Shard(2) + Shard(3));
  return {sum.const_data_ptr<float>(), sum.const_data_ptr<float>() + kNumbers};
}

TEST(GroupTest, TwoAndFourRanksSumOneTreeOfShardsBitForBit) {
  const std::vector<float> want = TreeOfFour();
  for (const int ranks : {2, 4}) {
    for (const std::vector<float>& got : RunRanks("SumsItsShards", ranks))
      EXPECT_EQ(got, want) << ranks << " ranks";
  }
  // The order matters: a chain gives other bits.
  const at::Tensor chain = ((Shard(0) + Shard(1)) + Shard(2)) + Shard(3);
  EXPECT_NE(
      std::vector<float>(chain.const_data_ptr<float>(), chain.const_data_ptr<float>() + kNumbers),
      want);
}

TEST(GroupTest, EveryRankTakesTheRootsWeights) {
  const at::Tensor want = Shard(9);
  for (const std::vector<float>& got : RunRanks("TakesTheWeights", 2)) {
    EXPECT_EQ(got, std::vector<float>(want.const_data_ptr<float>(),
                                      want.const_data_ptr<float>() + kNumbers));
  }
}

TEST(GroupTest, ARankThatLeavesIsAnErrorOfTheOthers) {
  RunRanks("LeavesBeforeTheSum", 2);
}

TEST(GroupTest, OneRankAloneKeepsItsNumbers) {
  const Result<std::unique_ptr<Group>> group = JoinGloo(GroupAddress{});
  ASSERT_TRUE(group);
  at::Tensor numbers = Shard(0);
  ASSERT_TRUE((*group)->Sum(numbers));
  ASSERT_TRUE((*group)->Broadcast(numbers, 0));
  ASSERT_TRUE((*group)->Wait());
  EXPECT_TRUE(numbers.equal(Shard(0)));
}

TEST(GroupTest, ARankThatNeverComesEndsTheWaitWithACount) {
  GroupAddress address;
  address.size = 2;
  address.port = FreePort();
  address.deadline = std::chrono::milliseconds(300);
  const Result<std::unique_ptr<Group>> group = JoinGloo(address);
  ASSERT_FALSE(group);
  EXPECT_EQ(group.error().code, Code::kTimeout);
  EXPECT_NE(group.error().message.find("1/2 clients joined"), std::string::npos)
      << group.error().message;
}

TEST(GroupTest, RefusesAWrongEnvironment) {
  setenv("WORLD_SIZE", "2", 1);
  unsetenv("RANK");
  EXPECT_NE(GroupFromEnvironment().error().message.find("no RANK"), std::string::npos);
  setenv("RANK", "2", 1);
  EXPECT_NE(GroupFromEnvironment().error().message.find("RANK=2"), std::string::npos);
  setenv("RANK", "1x", 1);
  EXPECT_EQ(GroupFromEnvironment().error().code, Code::kInvalidArgument);
  unsetenv("RANK");
  unsetenv("WORLD_SIZE");
  EXPECT_EQ(GroupFromEnvironment()->size, 1);
}

}  // namespace
}  // namespace aha::grpo
