#include "rollout/diagnosis.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "policy/model/pass.h"

namespace aha::rollout {
namespace {

template <class T>
std::optional<std::size_t> FirstBadRow(const policy::cpu::Rows<const T>& rows) {
  for (std::size_t r = 0; r < rows.count; ++r) {
    for (std::size_t i = 0; i < rows.width; ++i) {
      if (!std::isfinite(policy::cpu::ToFloat(rows[r][i]))) return r;
    }
  }
  return std::nullopt;
}

std::optional<std::size_t> FirstBadRow(const policy::Hidden& hidden) {
  return hidden.kind == policy::cpu::NumberKind::kBf16 ? FirstBadRow(hidden.as<policy::cpu::Bf16>())
                                                       : FirstBadRow(hidden.as<float>());
}

bool AllFinite(const policy::cpu::Bf16* numbers, std::size_t count) {
  constexpr unsigned kExponent = 0x7F80;
  unsigned most = 0;
  for (std::size_t i = 0; i < count; ++i)
    most = std::max(most, numbers[i].bits & kExponent);
  return most < kExponent;
}

bool AllFinite(const float* numbers, std::size_t count) {
  constexpr std::uint32_t kExponent = 0x7F800000;
  std::uint32_t most = 0;
  for (std::size_t i = 0; i < count; ++i)
    most = std::max(most, std::bit_cast<std::uint32_t>(numbers[i]) & kExponent);
  return most < kExponent;
}

}  // namespace

bool AreFinite(const policy::Hidden& hidden, std::size_t first, std::size_t count) {
  return hidden.kind == policy::cpu::NumberKind::kBf16
             ? AllFinite(hidden.as<policy::cpu::Bf16>()[first], count * hidden.width)
             : AllFinite(hidden.as<float>()[first], count * hidden.width);
}

Error DiagnoseRow(const Row& row, const policy::Weights& weights, const policy::cpu::Cpu& cpu) {
  std::vector<std::int32_t> ids;
  for (std::size_t i = 0; i < row.known(); ++i)
    ids.push_back(row.token(i));
  const std::vector<policy::SequenceTokens> sequences = {{ids, 0, {}}};
  policy::Pass pass(weights, cpu);
  std::string where;
  policy::ForwardOptions options;
  options.on_block = [&](std::size_t block, const policy::Hidden& hidden) {
    const auto bad = where.empty() ? FirstBadRow(hidden) : std::nullopt;
    if (!bad) return;
    const std::string place = block == 0 ? "the embedding" : fmt::format("layer {}", block - 1);
    where = fmt::format("the hidden state after {} is not finite, first at token {} (id {})", place,
                        *bad, ids[*bad]);
  };
  const policy::Hidden last = pass.Forward({sequences, nullptr}, options);
  if (where.empty() && FirstBadRow(last))
    where = "the hidden state after the final norm is not finite";
  if (where.empty()) where = "hidden states are finite, the head's logits are not";
  return {
      Code::kCorrupt,
      fmt::format("request {}, sample {}, token {}: no token can be drawn: {}; check the weights",
                  row.group->request.id, row.sample, row.out.ids.size(), where)};
}

}  // namespace aha::rollout
