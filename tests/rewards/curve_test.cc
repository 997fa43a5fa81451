// Who may connect: every combination of right, wrong and missing keys ends soon, and both sides say
// why.
#include "rewards/service/curve.h"

#include <sys/stat.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <mutex>
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <spdlog/sinks/base_sink.h>

#include "base/log.h"
#include "base/whole_file.h"
#include "rewards/service/client.h"
#include "tests/rewards/service_fixture.h"

namespace aha::rewards {
namespace {

namespace fs = std::filesystem;
using std::chrono::milliseconds;
using testing::AllOf;
using testing::AnyOf;
using testing::HasSubstr;

// Read while other threads log.
class TextSink : public spdlog::sinks::base_sink<std::mutex> {
 public:
  std::string text() {
    const std::lock_guard lock(mutex_);
    return text_;
  }

 private:
  void sink_it_(const spdlog::details::log_msg& message) override {
    text_.append(message.payload.data(), message.payload.size());
    text_.push_back('\n');
  }
  void flush_() override {}
  std::string text_;
};

// What is logged while it lives.
class LogCapture {
 public:
  LogCapture() : sink_(std::make_shared<TextSink>()), before_(spdlog::default_logger()) {
    spdlog::set_default_logger(std::make_shared<spdlog::logger>("test", sink_));
  }
  ~LogCapture() { spdlog::set_default_logger(before_); }
  std::string text() { return sink_->text(); }

 private:
  const std::shared_ptr<TextSink> sink_;
  std::shared_ptr<spdlog::logger> before_;
};

CurveKeys Keys() {
  auto keys = MakeCurveKeys();
  EXPECT_TRUE(keys.has_value());
  return *keys;
}

std::vector<proto::ScoreItem> OneItem() {
  std::vector<proto::ScoreItem> items(1);
  items[0].set_id("i");
  items[0].set_completion("<answer>4</answer>");
  items[0].set_reference("4");
  return items;
}

std::vector<proto::RewardSpec> Exact() {
  std::vector<proto::RewardSpec> specs(1);
  specs[0].set_name("exact");
  return specs;
}

struct KeyCase {
  std::string name;
  bool server_has_curve;
  bool client_has_curve;
  bool client_allowed;
  bool right_server_key;
  bool admitted;
  std::string client_says;   // in the error
  std::string service_says;  // in the log; empty: a service without CURVE has no list to speak of
};
void PrintTo(const KeyCase& c, std::ostream* os) {
  *os << c.name;
}

const KeyCase kKeyCases[] = {
    {"RightKeys", true, true, true, true, true, "", ""},
    {"KeyNotInTheList", true, true, false, true, false, "allow-list", "is not in the allow-list"},
    {"WrongServerKey", true, true, true, false, false, "refuses the connection", "refused"},
    {"ClientWithoutKeys", true, false, false, false, false, "refuses the connection", "refused"},
    {"ServiceWithoutKeys", false, true, true, true, false, "refuses the connection", ""},
};

class CurveTest : public ServiceFixture, public testing::WithParamInterface<KeyCase> {};

TEST_P(CurveTest, AdmitsOrRefusesSoonAndSaysSo) {
  const KeyCase& c = GetParam();
  const CurveKeys server = Keys();
  const CurveKeys client = Keys();
  ServiceOptions options;
  if (c.server_has_curve) {
    options.curve = ServerCurve{
        server, {Keys().public_key, c.client_allowed ? client.public_key : Keys().public_key}};
  }
  LogCapture log;
  const auto service = Start({"tcp://127.0.0.1:*"}, options);
  ClientOptions client_options;
  if (c.client_has_curve) {
    client_options.curve =
        ClientCurve{client, c.right_server_key ? server.public_key : Keys().public_key};
  }
  const auto connected = Client::Connect(context(), service->endpoints(), client_options);
  ASSERT_TRUE(connected.has_value()) << connected.error().message;
  const auto start = std::chrono::steady_clock::now();
  const auto out =
      (*connected)->Score(Exact(), OneItem(), Deadline::After(std::chrono::seconds(20)));
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(8))
      << "known before the deadline";
  if (c.admitted) {
    ASSERT_TRUE(out.has_value()) << out.error().message;
    EXPECT_EQ((*out)[0].outcomes(0).score(), 1);
    return;
  }
  ASSERT_FALSE(out.has_value());
  EXPECT_EQ(out.error().code, Code::kInvalidArgument);
  EXPECT_THAT(out.error().message,
              AllOf(HasSubstr(service->endpoints()[0]), HasSubstr(c.client_says)));
  std::this_thread::sleep_for(milliseconds(700));  // the service reports twice a second
  if (!c.service_says.empty()) {
    EXPECT_THAT(log.text(), AllOf(HasSubstr("reward service"), HasSubstr(c.service_says)));
  }
  EXPECT_EQ(service->counters().scored, 0);
}

INSTANTIATE_TEST_SUITE_P(Table, CurveTest, testing::ValuesIn(kKeyCases), [](const auto& p) {
  return p.param.name;
});

class CurveService : public ServiceFixture {};

TEST_F(CurveService, ListensBeyondThisMachineOnlyWithKeys) {
  ServiceOptions options;
  options.endpoints = {"tcp://0.0.0.0:*"};
  EXPECT_FALSE(Service::Start(context(), registry(), options).has_value());
  options.curve = ServerCurve{Keys(), {Keys().public_key}};
  EXPECT_TRUE(Service::Start(context(), registry(), options).has_value());
  options.endpoints = {"inproc://a"};
  EXPECT_FALSE(Service::Start(context(), registry(), options).has_value());
  ClientOptions far;
  EXPECT_FALSE(Client::Connect(context(), {"tcp://203.0.113.1:5555"}).has_value());
  far.curve = ClientCurve{Keys(), Keys().public_key};
  EXPECT_TRUE(Client::Connect(context(), {"tcp://203.0.113.1:5555"}, far).has_value());
}

TEST_F(CurveService, TellsItsStatusToThoseItKnows) {
  const CurveKeys server = Keys();
  const CurveKeys client = Keys();
  ServiceOptions options;
  options.curve = ServerCurve{server, {client.public_key}};
  const auto service = Start({"tcp://127.0.0.1:*"}, options);
  const auto soon = [] { return Deadline::After(std::chrono::seconds(5)); };
  const auto known =
      AskStatus(context(), service->endpoints()[0], ClientCurve{client, server.public_key}, soon());
  EXPECT_TRUE(known.has_value()) << known.error().message;
  EXPECT_FALSE(
      AskStatus(context(), service->endpoints()[0], ClientCurve{Keys(), server.public_key}, soon())
          .has_value());
  // A wrong server key ends the handshake without a word; it is told from silence all the same.
  const auto start = std::chrono::steady_clock::now();
  const auto wrong =
      AskStatus(context(), service->endpoints()[0], ClientCurve{client, Keys().public_key}, soon());
  ASSERT_FALSE(wrong.has_value());
  EXPECT_EQ(wrong.error().code, Code::kInvalidArgument);
  EXPECT_THAT(wrong.error().message, HasSubstr("--server-key"));
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(4));
}

class KeyFiles : public testing::Test {
 protected:
  KeyFiles() : folder_(testing::TempDir() + "/aha_keys." + std::to_string(getpid())) {
    fs::remove_all(folder_);
    fs::create_directories(folder_);
  }
  ~KeyFiles() override { fs::remove_all(folder_); }
  [[nodiscard]] fs::path At(const std::string& name) const { return folder_ / name; }
  void Write(const std::string& name, const std::string& text) const {
    std::ofstream(At(name)) << text;
    ::chmod(At(name).c_str(), 0600);
  }
  static unsigned Mode(const fs::path& file) {
    struct stat info {};
    ::stat(file.c_str(), &info);
    return info.st_mode & 0777U;
  }
  fs::path folder_;
};

TEST_F(KeyFiles, ComeBackAsTheyWereWritten) {
  const CurveKeys keys = Keys();
  ASSERT_TRUE(WriteCurveKeys(At("a"), keys).has_value());
  EXPECT_EQ(Mode(At("a.public")), 0644U);
  EXPECT_EQ(Mode(At("a.secret")), 0600U);
  const auto read = ReadSecretKey(At("a.secret"));
  ASSERT_TRUE(read.has_value()) << read.error().message;
  EXPECT_EQ(read->secret_key, keys.secret_key);
  EXPECT_EQ(read->public_key, keys.public_key);
  EXPECT_EQ(*ReadPublicKey(At("a.public")), keys.public_key);
}

TEST_F(KeyFiles, AreNeverOverwritten) {
  for (const char* there : {"a.public", "a.secret"}) {
    Write(there, "precious");
    const auto written = WriteCurveKeys(At("a"), Keys());
    ASSERT_FALSE(written.has_value());
    EXPECT_EQ(written.error().code, Code::kBusy);
    EXPECT_THAT(written.error().message, HasSubstr(there));
    EXPECT_EQ(*ReadFile(At(there)), "precious");
    fs::remove(At(there));
    EXPECT_TRUE(fs::is_empty(folder_)) << "neither file, nor what it was written to first";
  }
}

TEST_F(KeyFiles, OfSecretsMustBePrivate) {
  ASSERT_TRUE(WriteCurveKeys(At("a"), Keys()).has_value());
  ::chmod(At("a.secret").c_str(), 0640);
  EXPECT_THAT(ReadSecretKey(At("a.secret")).error().message,
              AllOf(HasSubstr("640"), HasSubstr("chmod 600")));
}

TEST_F(KeyFiles, OfManyKeysAreListsWithNotes) {
  const std::string one = Keys().public_key;
  const std::string two = Keys().public_key;
  Write("list", "# those who may\n" + one + " the learner\r\n\n  \n" + two + "\n");
  const auto list = ReadAllowList(At("list"));
  ASSERT_TRUE(list.has_value()) << list.error().message;
  EXPECT_THAT(*list, testing::ElementsAre(one, two));
  EXPECT_FALSE(ReadPublicKey(At("list")).has_value()) << "two where one is needed";
}

TEST_F(KeyFiles, WithAnythingElseAreRefusedWithTheLine) {
  const std::string key = Keys().public_key;
  for (const std::string& bad : {std::string("hello"), key.substr(1), key + "x",
                                 std::string("\xFF\xFE"), std::string(40, '~')}) {
    Write("list", key + "\n" + bad + "\n");
    EXPECT_THAT(ReadAllowList(At("list")).error().message, HasSubstr("list:2:")) << bad;
  }
  Write("list", "# nobody\n");
  EXPECT_THAT(ReadAllowList(At("list")).error().message, HasSubstr("nobody could connect"));
  EXPECT_EQ(ReadAllowList(At("none")).error().code, Code::kNotFound);
}

}  // namespace
}  // namespace aha::rewards
