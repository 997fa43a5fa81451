#include "base/endpoint.h"

#include <ostream>
#include <string>
#include <string_view>

#include <gtest/gtest.h>

namespace aha {
namespace {

struct EndpointCase {
  std::string_view name, endpoint, want;  // want empty: refused
};
void PrintTo(const EndpointCase& c, std::ostream* os) {
  *os << c.endpoint;
}

constexpr EndpointCase kEndpoints[] = {
    {"Ipc", "ipc:///tmp/x", "ipc:///tmp/x"},
    {"Inproc", "inproc://x", "inproc://x"},
    {"Loopback", "tcp://127.0.0.1:5555", "tcp://127.0.0.1:5555"},
    {"Localhost", "tcp://localhost:5555", "tcp://127.0.0.1:5555"},
    {"LoopbackV6", "tcp://[::1]:*", "tcp://[::1]:*"},
    {"EveryInterface", "tcp://*:5555", ""},
    {"AnotherHost", "tcp://10.0.0.2:5555", ""},
    {"LooksLikeLoopback", "tcp://127.0.0.1.example.com:5555", ""},
    {"NoPort", "tcp://127.0.0.1", ""},
    {"PortTooLarge", "tcp://127.0.0.1:70000", ""},
    {"AnyLoopbackAddress", "tcp://127.9.9.9:1", "tcp://127.9.9.9:1"},
    {"ControlCharacter", std::string_view("ipc:///tmp/\0x", 12), ""},
    {"Empty", "", ""},
    {"SchemeAlone", "ipc://", ""},
    {"AnotherScheme", "pgm://127.0.0.1:5555", ""},
};

class EndpointTest : public testing::TestWithParam<EndpointCase> {};
TEST_P(EndpointTest, IsTakenOrRefused) {
  const auto got = CheckEndpoint(GetParam().endpoint, "rewards");
  if (GetParam().want.empty()) {
    ASSERT_FALSE(got.has_value());
    EXPECT_EQ(got.error().code, Code::kInvalidArgument);
  } else {
    ASSERT_TRUE(got.has_value()) << got.error().message;
    EXPECT_EQ(*got, GetParam().want);
  }
}
INSTANTIATE_TEST_SUITE_P(Table, EndpointTest, testing::ValuesIn(kEndpoints), [](const auto& p) {
  return std::string(p.param.name);
});

constexpr EndpointCase kEncrypted[] = {
    {"EveryInterface", "tcp://*:5555", "tcp://*:5555"},
    {"EveryAddress", "tcp://0.0.0.0:5555", "tcp://0.0.0.0:5555"},
    {"AnotherHost", "tcp://scorer-1.example.com:5555", "tcp://scorer-1.example.com:5555"},
    {"AnotherHostV6", "tcp://[2001:db8::1]:5555", "tcp://[2001:db8::1]:5555"},
    {"Interface", "tcp://eth0:*", "tcp://eth0:*"},
    {"Ipc", "ipc:///tmp/x", "ipc:///tmp/x"},
    {"InsideTheProcess", "inproc://x", ""},
    {"SourceAddress", "tcp://10.0.0.1;10.0.0.2:5555", ""},
    {"NoHost", "tcp://:5555", ""},
    {"NoPort", "tcp://10.0.0.1", ""},
    {"PortTooLarge", "tcp://10.0.0.1:70000", ""},
    {"AnotherScheme", "pgm://10.0.0.1:5555", ""},
};

class EncryptedEndpointTest : public testing::TestWithParam<EndpointCase> {};
TEST_P(EncryptedEndpointTest, IsTakenOrRefused) {
  const auto got = CheckEndpoint(GetParam().endpoint, "rewards", Reach::kEncrypted);
  EXPECT_EQ(got.value_or(""), GetParam().want);
}
INSTANTIATE_TEST_SUITE_P(Table,
                         EncryptedEndpointTest,
                         testing::ValuesIn(kEncrypted),
                         [](const auto& p) { return std::string(p.param.name); });

}  // namespace
}  // namespace aha
