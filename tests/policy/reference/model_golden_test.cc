// What transformers computes on tiny models of every family: see tests/golden/make_model_golden.py.

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <map>
#include <set>

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "base/whole_file.h"
#include "policy/reference/policy.h"
#include "tests/policy/reference/tiny_model.h"

namespace aha::policy::reference {
namespace {

using Json = nlohmann::ordered_json;
using Sequences = std::vector<std::vector<std::int32_t>>;

struct Golden {
  Json json;
  PolicyConfig config;
  Sequences ids;
};

std::vector<std::string> GoldenNames() {
  std::vector<std::string> names;
  for (const auto& entry :
       std::filesystem::directory_iterator(AHA_SOURCE_DIR "/tests/policy/golden/models")) {
    names.push_back(entry.path().stem());
  }
  std::sort(names.begin(), names.end());
  return names;
}

Golden ReadGolden(const std::string& name, NumberType type = NumberType::kFp32) {
  const auto text =
      ReadFile(std::string(AHA_SOURCE_DIR "/tests/policy/golden/models/") + name + ".json");
  Golden golden{Json::parse(*text), {}, {}};
  auto config = ParseConfig(golden.json["config"].dump(), name);
  EXPECT_TRUE(config) << config.error().message;
  if (config) golden.config = *config;
  golden.config.dtype = type;
  golden.ids = golden.json["ids"].get<Sequences>();
  return golden;
}

at::Tensor RowsOf(const Json& rows) {
  std::vector<float> flat;
  for (const Json& row : rows) {
    for (const Json& number : row)
      flat.push_back(number.get<float>());
  }
  return at::tensor(flat).view({static_cast<std::int64_t>(rows.size()), -1});
}

double MaxDifference(const at::Tensor& a, const at::Tensor& b) {
  return (a - b).abs().max().item<double>();
}

// Mean negative log-probability of each sequence's tokens from number `ahead` on, by rows of
// `logits`.
at::Tensor MeanNll(const at::Tensor& logits,
                   const Sequences& ids,
                   std::size_t ahead,
                   std::size_t rows_each) {
  std::vector<std::int64_t> rows, targets;
  for (std::size_t s = 0; s < ids.size(); ++s) {
    for (std::size_t i = 0; i + ahead < ids[s].size(); ++i) {
      rows.push_back(static_cast<std::int64_t>(s * rows_each + i));
      targets.push_back(ids[s][i + ahead]);
    }
  }
  const at::Tensor picked = at::log_softmax(logits.index_select(0, at::tensor(rows, at::kLong)), -1)
                                .gather(1, at::tensor(targets, at::kLong).unsqueeze(1));
  return -picked.mean();
}

class ModelGoldenTest : public testing::TestWithParam<std::string> {};

TEST_P(ModelGoldenTest, LogitsLossAndGradientsEqualTransformers) {
  const Golden golden = ReadGolden(GetParam());
  Policy policy = TinyPolicy(golden.config);
  policy.RequireGrad(true);
  const RaggedBatch batch = PackSequences(golden.ids);
  const at::Tensor hidden = policy.Forward(batch);
  const at::Tensor logits = kernels::Logits(hidden, policy.head());
  const at::Tensor want = RowsOf(golden.json["logits"]);
  EXPECT_LT(MaxDifference(logits, want), 1e-5);
  EXPECT_TRUE(logits.argmax(-1).equal(want.argmax(-1)));
  RecordProperty("max_difference", std::to_string(MaxDifference(logits, want) * 1e6) + "e-6");
  const std::size_t length = golden.ids[0].size();
  at::Tensor loss = MeanNll(logits, golden.ids, 1, length);
  EXPECT_NEAR(loss.item<double>(), golden.json["loss"].get<double>(), 1e-5);
  if (golden.json.contains("mtp_loss")) {
    const auto mtp = policy.ForwardMtp(batch, hidden, /*detach_embedding=*/false);
    const at::Tensor mtp_logits = kernels::Logits(mtp.hidden_MH, policy.head());
    EXPECT_LT(MaxDifference(mtp_logits, RowsOf(golden.json["mtp_logits"])), 1e-5);
    const at::Tensor mtp_loss = MeanNll(mtp_logits, golden.ids, 2, length - 1);
    EXPECT_NEAR(mtp_loss.item<double>(), golden.json["mtp_loss"].get<double>(), 1e-5);
    loss = loss + 0.3 * mtp_loss;
  }
  loss.backward();
  double worst = 0;
  const Json& gradients = golden.json["gradients"];
  EXPECT_EQ(gradients.size(), policy.parameters().size());
  for (const NamedTensor& p : policy.parameters()) {
    ASSERT_TRUE(gradients.contains(p.name)) << p.name;
    const Json& g = gradients[p.name];
    const at::Tensor mine =
        p.value.grad().defined() ? p.value.grad().reshape({-1}) : at::zeros({p.value.numel()});
    const auto norm = g["norm"].get<double>();
    // Gradients that vanish but for rounding (a key's bias under softmax) have no relative error.
    const double scale = std::max(norm, 1e-5);
    worst = std::max(worst, std::abs(mine.norm().item<double>() - norm) / scale);
    for (std::size_t i = 0; i < g["places"].size(); ++i) {
      const auto value = mine[g["places"][i].get<std::int64_t>()].item<double>();
      worst = std::max(worst, std::abs(value - g["values"][i].get<double>()) / scale);
    }
    EXPECT_LT(worst, 1e-3) << p.name;
  }
  RecordProperty("gradient_difference", std::to_string(worst * 1e6) + "e-6");
}

TEST_P(ModelGoldenTest, Bf16ChoosesTheTokensThatTransformersChooses) {
  const Golden golden = ReadGolden(GetParam(), NumberType::kBf16);
  const Policy policy = TinyPolicy(golden.config);
  const at::Tensor logits =
      kernels::Logits(policy.Forward(PackSequences(golden.ids)), policy.head());
  const at::Tensor want = RowsOf(golden.json["logits_bf16"]);
  const auto agree = logits.argmax(-1).eq(want.argmax(-1)).sum().item<std::int64_t>();
  EXPECT_GE(agree, logits.size(0) * 9 / 10);
  RecordProperty("bf16_agree", std::to_string(agree) + "/" + std::to_string(logits.size(0)));
  RecordProperty("bf16_difference", std::to_string(MaxDifference(logits, want)));
}

// All gradients of the loss as one fp32 vector.
at::Tensor GradientOf(Policy policy, const Sequences& ids) {
  policy.RequireGrad(true);
  const at::Tensor logits = kernels::Logits(policy.Forward(PackSequences(ids)), policy.head());
  MeanNll(logits.to(at::kFloat), ids, 1, ids[0].size()).backward();
  std::vector<at::Tensor> parts;
  for (const NamedTensor& p : policy.parameters()) {
    const at::Tensor& gradient = p.value.grad();
    parts.push_back(gradient.defined() ? gradient.to(at::kFloat).reshape({-1})
                                       : at::zeros({p.value.numel()}));
  }
  return at::cat(parts);
}

// Computed in bf16, gradients keep the direction that the same weights have in fp32.
TEST_P(ModelGoldenTest, Bf16GradientsPointWhereFp32Does) {
  const Golden golden = ReadGolden(GetParam(), NumberType::kBf16);
  const Policy half = TinyPolicy(golden.config);
  PolicyConfig config = golden.config;
  config.dtype = NumberType::kFp32;
  const Policy full = TinyPolicy(config);
  {
    const c10::NoGradGuard no_grad;
    for (std::size_t i = 0; i < full.parameters().size(); ++i)
      const_cast<at::Tensor&>(full.parameters()[i].value).copy_(half.parameters()[i].value);
  }
  const at::Tensor want = GradientOf(full, golden.ids);
  const at::Tensor got = GradientOf(half, golden.ids);
  const double cosine = (want.dot(got) / (want.norm() * got.norm())).item<double>();
  EXPECT_GT(cosine, 0.99);
  EXPECT_NEAR((got.norm() / want.norm()).item<double>(), 1, 0.05);
  RecordProperty("bf16_cosine", std::to_string(cosine));
}

TEST_P(ModelGoldenTest, PagedDecodingGivesTheHiddenStatesOfOnePass) {
  const Golden golden = ReadGolden(GetParam());
  const Policy policy = TinyPolicy(golden.config);
  const at::Tensor whole = policy.Forward(PackSequences(golden.ids));
  const auto length = static_cast<std::int64_t>(golden.ids[0].size());
  KvPages cache = MakeKvPages(policy.config(), 8, 4);
  const std::vector<std::vector<std::int64_t>> pages = {{5, 0, 7}, {2, 6, 1}};
  // Prompts of different lengths, then one token at a time.
  std::vector<std::int64_t> done = {5, 2};
  const auto step = [&](std::int64_t from_a, std::int64_t from_b) {
    std::vector<CachedSequence> sequences;
    const std::int64_t from[] = {from_a, from_b};
    for (std::size_t s = 0; s < 2; ++s) {
      sequences.push_back(
          {{golden.ids[s].begin() + from[s], golden.ids[s].begin() + done[s]}, from[s], &pages[s]});
    }
    return policy.Forward(PackCached(sequences, cache));
  };
  at::Tensor hidden = step(0, 0);
  EXPECT_LT(MaxDifference(hidden.slice(0, 0, 5), whole.slice(0, 0, 5)), 1e-5);
  EXPECT_LT(MaxDifference(hidden.slice(0, 5, 7), whole.slice(0, length, length + 2)), 1e-5);
  for (; done[0] < length;) {
    ++done[0];
    ++done[1];
    hidden = step(done[0] - 1, done[1] - 1);
    EXPECT_LT(MaxDifference(hidden[0], whole[done[0] - 1]), 1e-5);
    EXPECT_LT(MaxDifference(hidden[1], whole[length + done[1] - 1]), 1e-5);
  }
}

TEST_P(ModelGoldenTest, ConfigComesBackAsItWasWritten) {
  const Golden golden = ReadGolden(GetParam());
  const std::string text = ConfigJson(golden.config);
  const auto again = ParseConfig(text, "written");
  ASSERT_TRUE(again) << again.error().message;
  EXPECT_EQ(ConfigJson(*again), text);
  // Every key that transformers wrote and that Aha writes has the same value.
  const Json written = Json::parse(text);
  for (const auto& [key, value] : golden.json["config"].items()) {
    const auto mine = written.find(key);
    if (mine == written.end() || key == "rope_parameters" || value.is_null() || key == "head_dim")
      continue;
    if (key == "sliding_window") continue;  // a number that use_sliding_window false makes void
    EXPECT_EQ(*mine, value) << key;
  }
}

TEST_P(ModelGoldenTest, CountsItsParameters) {
  const Golden golden = ReadGolden(GetParam());
  const Policy policy = TinyPolicy(golden.config);
  std::int64_t all = 0;
  for (const NamedTensor& p : policy.parameters())
    all += p.value.numel();
  for (const NamedTensor& b : policy.buffers())
    all += b.value.numel();
  const ParameterCount count = CountParameters(golden.config);
  EXPECT_EQ(count.total + count.mtp, all);
  EXPECT_LE(count.active, count.total);
}

INSTANTIATE_TEST_SUITE_P(Table,
                         ModelGoldenTest,
                         testing::ValuesIn(GoldenNames()),
                         [](const auto& p) { return p.param; });

}  // namespace
}  // namespace aha::policy::reference
