#pragma once
/// Tiny models whose every tensor is filled from a hash of its name, as
/// tests/golden/make_model_golden.py fills transformers' own; and the batches that tests run
/// through them. No LibTorch.

#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "base/whole_file.h"
#include "policy/model/head.h"
#include "policy/model/pass.h"

namespace aha::policy {

using Sequences = std::vector<std::vector<std::int32_t>>;

/// 0.8 u for matrices, 1 + 0.2 u for norms, 0.2 u for other vectors; u in [-0.5, 0.5) from the
/// hash.
inline std::vector<float> HashNumbers(const TensorSpec& spec) {
  std::uint32_t sum = 0;
  for (const char c : spec.name)
    sum += static_cast<unsigned char>(c);
  const bool norm = spec.name.ends_with("norm.weight");
  std::vector<float> out(static_cast<std::size_t>(spec.numbers()));
  for (std::size_t k = 0; k < out.size(); ++k) {
    std::uint32_t x = static_cast<std::uint32_t>(k + 1) * 2654435761U + 97U * sum;
    x ^= x >> 15U;
    x *= 2246822519U;
    x ^= x >> 13U;
    const double u = static_cast<double>(x) / 4294967296.0 - 0.5;
    out[k] = static_cast<float>(norm ? 1 + 0.2 * u : (spec.shape.size() >= 2 ? 0.8 : 0.2) * u);
  }
  return out;
}

inline Weights TinyWeights(const PolicyConfig& config, WeightsUse use = WeightsUse::kTraining) {
  Weights weights(config, use);
  for (std::size_t t = 0; t < weights.tensors().size(); ++t) {
    const Weights::Tensor& tensor = weights.tensors()[t];
    const std::vector<float> numbers = HashNumbers(tensor.spec);
    weights.Write(t, 0, cpu::Rows<const float>(numbers.data(), tensor.rows, tensor.columns));
  }
  return weights;
}

struct GoldenModel {
  nlohmann::ordered_json json;
  PolicyConfig config;
  Sequences ids;
};

inline std::vector<std::string> GoldenNames() {
  std::vector<std::string> names;
  for (const auto& entry :
       std::filesystem::directory_iterator(AHA_SOURCE_DIR "/tests/policy/golden/models")) {
    names.push_back(entry.path().stem());
  }
  std::sort(names.begin(), names.end());
  return names;
}

inline GoldenModel ReadGoldenModel(const std::string& name, NumberType type = NumberType::kFp32) {
  const auto text =
      ReadFile(std::string(AHA_SOURCE_DIR "/tests/policy/golden/models/") + name + ".json");
  GoldenModel golden{nlohmann::ordered_json::parse(*text), {}, {}};
  auto config = ParseConfig(golden.json["config"].dump(), name);
  EXPECT_TRUE(config) << config.error().message;
  if (config) golden.config = *config;
  golden.config.dtype = type;
  golden.ids = golden.json["ids"].get<Sequences>();
  return golden;
}

/// A batch of whole sequences, kept alive with its ids.
struct WholeBatch {
  explicit WholeBatch(Sequences sequences) : ids(std::move(sequences)) {
    for (const auto& s : ids)
      views.push_back({s, 0, {}});
  }
  [[nodiscard]] TokenBatch batch() const { return {views, nullptr}; }
  [[nodiscard]] std::size_t tokens() const { return batch().tokens(); }
  Sequences ids;
  std::vector<SequenceTokens> views;
};

/// Rows of the module: each sequence but its last token; its ids: each sequence but its first
/// token.
struct MtpRows {
  explicit MtpRows(const Sequences& sequences) : batch(Tails(sequences)) {
    std::int32_t start = 0;
    for (const auto& s : sequences) {
      for (std::size_t i = 0; i + 1 < s.size(); ++i)
        rows.push_back(start + static_cast<std::int32_t>(i));
      start += static_cast<std::int32_t>(s.size());
    }
  }
  static Sequences Tails(const Sequences& sequences) {
    Sequences tails;
    for (const auto& s : sequences) {
      if (s.size() > 1) tails.emplace_back(s.begin() + 1, s.end());
    }
    return tails;
  }
  WholeBatch batch;
  std::vector<std::int32_t> rows;
};

/// Rows that predict the tokens `ahead` of them in each of sequences whose rows lie one after
/// another, `drop` rows shorter than the sequences.
struct Predictions {
  Predictions(const Sequences& ids, std::size_t ahead, std::size_t drop) {
    std::int32_t start = 0;
    for (const auto& s : ids) {
      for (std::size_t i = 0; i + ahead < s.size(); ++i) {
        rows.push_back(start + static_cast<std::int32_t>(i));
        targets.push_back(s[i + ahead]);
      }
      start += static_cast<std::int32_t>(s.size() - drop);
    }
  }
  std::vector<std::int32_t> rows, targets;
};

inline std::vector<std::int32_t> AllRows(std::size_t count) {
  std::vector<std::int32_t> rows(count);
  for (std::size_t i = 0; i < count; ++i)
    rows[i] = static_cast<std::int32_t>(i);
  return rows;
}

}  // namespace aha::policy
