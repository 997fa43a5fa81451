#pragma once
/// Golden models of transformers (tests/golden/make_model_golden.py), and the batches that tests
/// run through them. No LibTorch.

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
#include "tests/policy/tiny_weights.h"

namespace aha::policy {

using Sequences = std::vector<std::vector<std::int32_t>>;

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
