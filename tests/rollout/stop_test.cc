#include "rollout/stop.h"

#include "tests/rollout/engine_fixture.h"

namespace aha::rollout {
namespace {

// Token i is the i-th piece.
class Pieces : public TextDecoder {
 public:
  explicit Pieces(std::vector<std::string> pieces) : pieces_(std::move(pieces)) {}
  void Append(std::int32_t id, std::string& bytes) override {
    bytes += pieces_[static_cast<std::size_t>(id)];
  }

 private:
  std::vector<std::string> pieces_;
};

struct StopCase {
  std::string name;
  std::vector<std::string> pieces, stops;
  std::int32_t at;  // token that completes a stop string; -1: none
  std::size_t which;
};
void PrintTo(const StopCase& c, std::ostream* os) {
  *os << c.name;
}

const StopCase kCases[] = {
    {"InOneToken", {"ab", "x</s>y", "c"}, {"</s>"}, 1, 0},
    {"AcrossTokens", {"a<", "/", "s", ">"}, {"</s>"}, 3, 0},
    {"ByByte", {"\xe4", "\xb8", "\xad"}, {"\xe4\xb8\xad"}, 2, 0},
    {"OverlappingStart", {"a", "a", "b"}, {"ab"}, 2, 0},
    {"None", {"a", "b", "c"}, {"ac"}, -1, 0},
    {"FirstToEnd", {"xabcd"}, {"abcd", "bc"}, 0, 1},
    {"FirstListedOfEqualEnds", {"xabc"}, {"bc", "abc"}, 0, 0},
    {"EmptyPieces", {"a", "", "", "b"}, {"ab"}, 3, 0},
    {"LongTextBefore", {std::string(100, 'a'), "b"}, {"aab"}, 1, 0},
};

class StopTest : public testing::TestWithParam<StopCase> {};

TEST_P(StopTest, EndsWithTheTokenThatCompletesAString) {
  const StopCase& c = GetParam();
  StopStrings stops(c.stops, std::make_unique<Pieces>(c.pieces));
  std::int32_t at = -1;
  std::size_t which = 0;
  for (std::int32_t i = 0; i < static_cast<std::int32_t>(c.pieces.size()) && at < 0; ++i) {
    if (const auto found = stops.Push(i)) {
      at = i;
      which = *found;
    }
  }
  EXPECT_EQ(at, c.at);
  EXPECT_EQ(which, c.which);
}

INSTANTIATE_TEST_SUITE_P(Table, StopTest, testing::ValuesIn(kCases), [](const auto& p) {
  return p.param.name;
});

// Each token is the letter 'a' + id % 26.
class Letters : public TextDecoder {
 public:
  void Append(std::int32_t id, std::string& bytes) override {
    bytes.push_back(static_cast<char>('a' + id % 26));
  }
};

TEST(StopTest, AStopStringEndsASampleWhereTheTextFirstHoldsIt) {
  const policy::Weights weights = policy::Weights::Initial(TinyLatent(), KeyedRandom(3, "test"),
                                                           policy::WeightsUse::kInference);
  Request request = MakeRequest(1, weights.config());
  request.samples = 3;
  request.sampling = {.temperature = 1, .max_new_tokens = 60};
  request.stop_ids.clear();
  Engine free(weights, TestCpu(), WithPages(weights.config(), 64));
  ASSERT_TRUE(free.Add(request));
  const std::vector<Outcome> whole = Drain(free);
  // Two letters that the first sample says in its middle.
  std::string text;
  Letters letters;
  for (const std::int32_t id : whole[0].samples[0].ids)
    letters.Append(id, text);
  request.stop_strings = {"!!", text.substr(20, 2)};
  request.decoder = [] { return std::make_unique<Letters>(); };
  for (const Speculation speculation : {Speculation::kOff, Speculation::kModule}) {
    Engine engine(weights, TestCpu(),
                  WithPages(weights.config(), 64, {.speculation = speculation, .drafts = 4}));
    ASSERT_TRUE(engine.Add(request));
    const std::vector<Outcome> stopped = Drain(engine);
    const SampleOutcome& sample = stopped[0].samples[0];
    EXPECT_EQ(sample.finish, Finish::kStop);
    EXPECT_EQ(sample.stop_string, 1U);
    ASSERT_EQ(sample.ids.size(), text.find(request.stop_strings[1]) + 2);
    EXPECT_TRUE(std::equal(sample.ids.begin(), sample.ids.end(), whole[0].samples[0].ids.begin()));
  }
}

}  // namespace
}  // namespace aha::rollout
