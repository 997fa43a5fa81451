// Each alarm by a run of figures that induces it.
#include "pipelines/run/alarms.h"

#include <cmath>
#include <functional>
#include <limits>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace aha::pipelines {
namespace {

using testing::HasSubstr;
using Metrics = std::vector<Metric>;

Metrics Healthy() {
  return {{"reward", .5},        {"groups_without_signal", .2}, {"reward_failure_share", 0},
          {"entropy", .4},       {"completion_tokens", 60},     {"kl", .002},
          {"gradient_norm", .8}, {"clip_fraction", .01}};
}

Metrics With(std::string_view name, double value) {
  Metrics metrics = Healthy();
  for (Metric& m : metrics) {
    if (m.name == name) m.value = value;
  }
  return metrics;
}

struct AlarmCase {
  const char* name;
  const char* metric;
  std::vector<double> values;  // after 20 healthy steps, one a step
  std::size_t onset;           // which of them raises it
  const char* seen;
  const char* advice;
};
void PrintTo(const AlarmCase& c, std::ostream* os) {
  *os << c.name;
}

const AlarmCase kCases[] = {
    {"equal_rewards",
     "groups_without_signal",
     {1, 1, 1, 1, 1},
     4,
     "no group had two different rewards for 5 steps in a row",
     "group_size"},
    {"verifier_failures",
     "reward_failure_share",
     {.1, .3},
     1,
     "the share of samples whose reward failed is 0.3, above 0.2",
     "reward_timeout_s"},
    {"entropy_collapse",
     "entropy",
     {.1, .004},
     1,
     "entropy is 0.004 nats a token, below 0.01",
     "clip_high"},
    {"length_explosion",
     "completion_tokens",
     {100, 150},
     1,
     "completion_tokens is 150, 2.5 times the usual 60",
     "overlength"},
    {"kl_jump", "kl", {.009, .012}, 1, "kl is 0.012, 6 times the usual 0.002", "learning rate"},
    {"gradient_norm",
     "gradient_norm",
     {4, 40},
     1,
     "gradient_norm is 40, 50 times the usual 0.8",
     "warmup_steps"},
    {"clip_fraction",
     "clip_fraction",
     {.4, .6},
     1,
     "the share of tokens whose ratio was clipped is 0.6, above 0.5",
     "updates_per_step"},
    {"no_signal",
     "groups_without_signal",
     {.9, .96},
     1,
     "the share of groups whose rewards were all equal is 0.96, above 0.95",
     "refill"},
};

class AlarmTest : public testing::TestWithParam<AlarmCase> {};

const Alarm* Find(const std::vector<Alarm>& alarms, std::string_view name) {
  for (const Alarm& a : alarms) {
    if (a.name == name) return &a;
  }
  return nullptr;
}

void Set(proto::Alarms& recipe, const std::string& key, const std::string& mode) {
  recipe.GetReflection()->SetString(&recipe, recipe.GetDescriptor()->FindFieldByName(key), mode);
}

TEST_P(AlarmTest, IsRaisedOnceAsItSetsInAndAgainAfterItIsOver) {
  const AlarmCase& c = GetParam();
  Alarms alarms((proto::Alarms()));
  std::uint64_t step = 0;
  for (int i = 0; i < 20; ++i)
    EXPECT_TRUE(alarms.Observe(++step, Healthy()).empty()) << i;
  for (std::size_t i = 0; i < c.values.size(); ++i) {
    const auto raised = alarms.Observe(++step, With(c.metric, c.values[i]));
    const Alarm* alarm = Find(raised, c.name);
    ASSERT_EQ(alarm != nullptr, i >= c.onset) << i;
    if (alarm == nullptr) continue;
    EXPECT_TRUE(alarm->onset);
    EXPECT_FALSE(alarm->stop);
    EXPECT_THAT(alarm->message,
                HasSubstr("step " + std::to_string(step) + ": alarm " + c.name + ": "));
    EXPECT_THAT(alarm->message, HasSubstr(c.seen));
    EXPECT_THAT(alarm->message, HasSubstr(c.advice));
  }
  // It lasts, and is not said again; what was in alarm is not taken for usual.
  for (int i = 0; i < 30; ++i) {
    const auto raised = alarms.Observe(++step, With(c.metric, c.values.back()));
    const Alarm* alarm = Find(raised, c.name);
    ASSERT_NE(alarm, nullptr) << i;
    EXPECT_FALSE(alarm->onset);
  }
  EXPECT_TRUE(alarms.Observe(++step, Healthy()).empty());
  for (const double value : c.values) {
    const auto raised = alarms.Observe(++step, With(c.metric, value));
    const Alarm* alarm = Find(raised, c.name);
    EXPECT_TRUE(alarm == nullptr || alarm->onset);
  }
}

TEST_P(AlarmTest, StopsOrIsSilentAsTheRecipeSays) {
  const AlarmCase& c = GetParam();
  for (const char* mode : {"stop", "off"}) {
    proto::Alarms recipe;
    Set(recipe, c.name, mode);
    Alarms alarms(recipe);
    std::uint64_t step = 0;
    for (int i = 0; i < 20; ++i)
      alarms.Observe(++step, Healthy());
    std::vector<Alarm> raised;
    for (const double value : c.values)
      raised = alarms.Observe(++step, With(c.metric, value));
    const Alarm* alarm = Find(raised, c.name);
    ASSERT_EQ(alarm != nullptr, std::string_view(mode) == "stop");
    EXPECT_TRUE(alarm == nullptr || alarm->stop);
  }
}
INSTANTIATE_TEST_SUITE_P(Table, AlarmTest, testing::ValuesIn(kCases), [](const auto& p) {
  return std::string(p.param.name);
});

TEST(AlarmsTest, NotFiniteSaysWhatAndStopsUnlessTold) {
  Alarms stops((proto::Alarms()));
  const Alarm alarm = stops.NotFinite(7, "the gradient of model.norm.weight is not finite");
  EXPECT_TRUE(alarm.stop && alarm.onset);
  EXPECT_THAT(alarm.message, HasSubstr("step 7: alarm not_finite: the gradient of "
                                       "model.norm.weight is not finite; the update was left out"));
  proto::Alarms recipe;
  recipe.set_not_finite("warn");
  EXPECT_FALSE(Alarms(recipe).NotFinite(7, "x").stop);
}

TEST(AlarmsTest, MaskedSamplesAloneAreNothingToLearnFrom) {
  Alarms alarms((proto::Alarms()));
  Metrics metrics = Healthy();
  metrics.insert(metrics.end(), {{"samples/masked", 12}, {"samples/busy", 4}});
  EXPECT_TRUE(alarms.Observe(1, metrics).empty());
  metrics.back().value = 0;
  const auto raised = alarms.Observe(2, metrics);
  const Alarm* alarm = Find(raised, "no_signal");
  ASSERT_NE(alarm, nullptr);
  EXPECT_THAT(alarm->message, HasSubstr("12 samples were cut by max_new_tokens and masked"));
  EXPECT_THAT(alarm->message, HasSubstr("raise max_new_tokens"));
}

TEST(AlarmsTest, NothingIsUsualBeforeHalfAWindow) {
  Alarms alarms((proto::Alarms()));
  for (std::uint64_t step = 1; step < 10; ++step)
    alarms.Observe(step, Healthy());
  EXPECT_TRUE(alarms.Observe(10, With("gradient_norm", 1e6)).empty());
}

TEST(AlarmsTest, NanAndAbsentMetricsRaiseNothing) {
  Alarms alarms((proto::Alarms()));
  for (std::uint64_t step = 1; step < 30; ++step) {
    Metrics metrics = step % 2 == 0 ? Metrics{} : Healthy();
    for (Metric& m : metrics)
      m.value = std::numeric_limits<double>::quiet_NaN();
    EXPECT_TRUE(alarms.Observe(step, metrics).empty());
  }
}

TEST(AlarmsTest, TheSameFiguresRaiseTheSameAlarms) {
  const auto run = [] {
    Alarms alarms((proto::Alarms()));
    std::string all;
    for (std::uint64_t step = 1; step < 60; ++step) {
      for (const Alarm& a : alarms.Observe(
               step, With("kl", step % 13 == 0 ? .5 : .001 * static_cast<double>(step % 3))))
        all += a.message;
    }
    return all;
  };
  EXPECT_EQ(run(), run());
  EXPECT_FALSE(run().empty());
}

}  // namespace
}  // namespace aha::pipelines
