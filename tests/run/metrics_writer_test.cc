#include "pipelines/run/metrics_writer.h"

#include <bit>
#include <cmath>
#include <limits>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "tests/run/scratch_folder.h"

namespace aha::pipelines {
namespace {

std::string Line(const std::vector<Metric>& metrics) {
  return MetricsLine(3, metrics).value_or("refused");
}

TEST(MetricsLine, KeepsTheOrderAndWritesNullForWhatJsonLacks) {
  EXPECT_EQ(Line({{"b", 0.5}, {"a", 2}, {"c", std::nan("")}, {"d", HUGE_VAL}}),
            "{\"step\":3,\"b\":0.5,\"a\":2.0,\"c\":null,\"d\":null}\n");
  EXPECT_EQ(Line({{"quote\"", 1}}), "{\"step\":3,\"quote\\\"\":1.0}\n");
}

TEST(MetricsLine, DoublesComeBackBitForBit) {
  for (const double value :
       {0.1, 1.0 / 3, -0.0, 1e-310, 1.7976931348623157e308, 123456789.123456789, 5e-324}) {
    const double back = nlohmann::json::parse(Line({{"x", value}}))["x"].get<double>();
    EXPECT_EQ(std::bit_cast<std::uint64_t>(back), std::bit_cast<std::uint64_t>(value)) << value;
  }
}

TEST(MetricsLine, RefusesANameGivenTwice) {
  EXPECT_EQ(Line({{"x", 1}, {"x", 2}}), "refused");
  EXPECT_EQ(Line({{"step", 1}}), "refused");
}

TEST(MetricsLine, SurvivesNamesThatAreNotUtf8) {
  EXPECT_TRUE(nlohmann::json::accept(Line({{"a\xff", 1}})));
}

TEST(MetricsWriter, AppendsToBothFiles) {
  const ScratchFolder scratch;
  for (std::uint64_t step = 1; step <= 2; ++step) {
    auto writer = MetricsWriter::Open(scratch.path());
    ASSERT_TRUE(writer) << writer.error().message;
    ASSERT_TRUE(writer->Write(step, std::vector<Metric>{{"loss", 0.5}}));
    ASSERT_TRUE(writer->Sync());
  }
  EXPECT_EQ(Read(scratch.path() / kMetricsFile),
            "{\"step\":1,\"loss\":0.5}\n{\"step\":2,\"loss\":0.5}\n");
  EXPECT_GT(std::filesystem::file_size(scratch.path() / kEventFile), 100U);
}

}  // namespace
}  // namespace aha::pipelines
