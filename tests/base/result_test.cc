#include "base/result.h"

#include <new>
#include <stdexcept>

#include <gtest/gtest.h>

namespace aha {
namespace {

Status Refuse(bool refuse) {
  if (refuse) return Fail(Code::kBusy, "{} is taken", "it");
  return {};
}

Result<int> Twice(bool refuse, int& calls) {
  AHA_TRY(Refuse(refuse));
  ++calls;
  AHA_ASSIGN(const int once, Result<int>(21));
  return 2 * once;
}

TEST(Result, TryAndAssignPassValuesOnAndStopAtErrors) {
  int calls = 0;
  EXPECT_EQ(Twice(false, calls).value(), 42);
  const auto refused = Twice(true, calls);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Code::kBusy);
  EXPECT_EQ(refused.error().message, "it is taken");
  EXPECT_EQ(calls, 1);
}

TEST(Result, WithinPutsThePlaceBeforeTheMessage) {
  const Status inner = Fail(Code::kCorrupt, "torn");
  const Status outer = Within(inner.error(), "stage {}", "zero");
  EXPECT_EQ(outer.error().code, Code::kCorrupt);
  EXPECT_EQ(outer.error().message, "stage zero: torn");
}

struct ExceptionCase {
  const char* name;
  void (*raise)();
  Code code;
  const char* message;
};
class GuardTest : public testing::TestWithParam<ExceptionCase> {};

TEST_P(GuardTest, TurnsAnExceptionIntoAnError) {
  const Status done = Guard("here", GetParam().raise);
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().code, GetParam().code);
  EXPECT_EQ(done.error().message, GetParam().message);
}
INSTANTIATE_TEST_SUITE_P(
    Table,
    GuardTest,
    testing::Values(ExceptionCase{"Memory", [] { throw std::bad_alloc(); }, Code::kExhausted,
                                  "here: out of memory"},
                    ExceptionCase{"Argument", [] { throw std::invalid_argument("no"); },
                                  Code::kInvalidArgument, "here: no"},
                    ExceptionCase{"Standard", [] { throw std::runtime_error("one\ntwo"); },
                                  Code::kInternal, "here: one"},
                    ExceptionCase{"Unknown", [] { throw 7; }, Code::kInternal,
                                  "here: an exception of unknown type"}),
    [](const auto& p) { return std::string(p.param.name); });

TEST(GuardTest, PassesValuesAndErrorsThrough) {
  EXPECT_EQ(Guard("here", [] { return 3; }).value(), 3);
  EXPECT_TRUE(Guard("here", [] {}).has_value());
  const Result<int> inner =
      Guard("here", []() -> Result<int> { return Fail(Code::kTimeout, "x"); });
  EXPECT_EQ(inner.error().message, "x");
}

TEST(Code, HasANameOfItsOwnEach) {
  EXPECT_EQ(CodeName(Code::kInvalidArgument), "invalid argument");
  EXPECT_EQ(CodeName(Code::kNotFound), "not found");
  EXPECT_EQ(CodeName(Code::kCorrupt), "corrupt");
  EXPECT_EQ(CodeName(Code::kTimeout), "timeout");
  EXPECT_EQ(CodeName(Code::kExhausted), "exhausted");
  EXPECT_EQ(CodeName(Code::kBusy), "busy");
  EXPECT_EQ(CodeName(Code::kInternal), "internal");
}

}  // namespace
}  // namespace aha
