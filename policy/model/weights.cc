// Reading and writing weights by name and row, whatever their form in memory.

#include "policy/model/weights.h"

#include <algorithm>
#include <array>

#include "policy/model/weight_places.h"

namespace aha::policy {
namespace {

using cpu::Bf16;
using cpu::NumberKind;
using cpu::Rows;
using Half = cpu::PackedGateUp::Half;

template <class T>
Rows<T> RowOf(const Rows<T>& rows, std::size_t i) {
  return {rows[i], 1, rows.width};
}

// ---- Write ----

template <class T>
void WriteLinear(PackedLinear& linear, std::size_t first, const Rows<const T>& rows) {
  linear.matrix.Pack(first, rows);
  if (linear.transposed.n() > 0) linear.transposed.PackColumns(first, rows);
}

// The router is fp32, and holds bf16's values where the policy is bf16.
void WriteRounded(PackedLinear& linear, std::size_t first, const Rows<const float>& rows) {
  std::vector<float> rounded(rows.width);
  for (std::size_t i = 0; i < rows.count; ++i) {
    for (std::size_t k = 0; k < rows.width; ++k)
      rounded[k] = cpu::ToFloat(cpu::ToBf16(rows[i][k]));
    WriteLinear(linear, first + i, Rows<const float>(rounded.data(), 1, rows.width));
  }
}

template <class T>
void WriteHalf(PackedNetwork& network, Half half, std::size_t first, const Rows<const T>& rows) {
  network.gate_up.Pack(half, first, rows);
  if (network.gate_up_transposed.n() == 0) return;
  cpu::PackedGateUp::EachRun(first, rows.count, [&](std::size_t i, std::size_t count) {
    network.gate_up_transposed.PackColumns(cpu::PackedGateUp::RowOf(half, first + i),
                                           Rows<const T>(rows[i], count, rows.width, rows.stride));
  });
}

// Of head `a`, row `row` of its part of kv_b.
template <class T>
void WriteLatentRow(PackedLatentHeads& heads,
                    std::size_t a,
                    std::size_t row,
                    const Rows<const T>& numbers) {
  const std::size_t nope = heads.key_up[a].k();
  const bool training = !heads.key_down.empty();
  if (row < nope) {
    heads.key_up[a].PackColumns(row, numbers);
    if (training) heads.key_down[a].Pack(row, numbers);
  } else {
    heads.value[a].Pack(row - nope, numbers);
    if (training) heads.value_up[a].PackColumns(row - nope, numbers);
  }
}

std::size_t LatentRows(const PackedLatentHeads& heads) {
  return heads.key_up.front().k() + heads.value.front().n();
}

std::size_t VectorPlaceOf(const WeightPlace& place, std::size_t i) {
  return place.network != nullptr ? cpu::PackedGateUp::RowOf(place.half, i) : place.row + i;
}

template <class T>
void WriteTo(const WeightPlace& place, std::size_t first, const Rows<const T>& rows, bool round) {
  if (place.vector != nullptr) {
    for (std::size_t i = 0; i < rows.width; ++i) {
      const float x = cpu::ToFloat(rows[0][i]);
      (*place.vector)[VectorPlaceOf(place, i)] = round ? cpu::ToFloat(cpu::ToBf16(x)) : x;
    }
  } else if (place.heads != nullptr) {
    const std::size_t each = LatentRows(*place.heads);
    for (std::size_t i = 0; i < rows.count; ++i) {
      WriteLatentRow(*place.heads, (first + i) / each, (first + i) % each, RowOf(rows, i));
    }
  } else if (place.network != nullptr) {
    WriteHalf(*place.network, place.half, first, rows);
  } else if constexpr (std::is_same_v<T, float>) {
    if (round && place.linear->matrix.kind() == NumberKind::kFp32) {
      WriteRounded(*place.linear, place.row + first, rows);
    } else {
      WriteLinear(*place.linear, place.row + first, rows);
    }
  } else {
    WriteLinear(*place.linear, place.row + first, rows);
  }
}

// ---- Read ----

// Rows [first, ...) of kv_b. A head's key rows are columns of key_up.
template <class T>
void ReadLatent(const PackedLatentHeads& heads, std::size_t first, const Rows<T>& rows) {
  const std::size_t nope = heads.key_up.front().k();
  const std::size_t rank = heads.key_up.front().n();
  const std::size_t each = LatentRows(heads);
  std::vector<float> keys;
  std::size_t keys_of = heads.key_up.size();
  for (std::size_t i = 0; i < rows.count; ++i) {
    const std::size_t a = (first + i) / each;
    const std::size_t row = (first + i) % each;
    if (row >= nope) {
      heads.value[a].Unpack(row - nope, RowOf(rows, i));
      continue;
    }
    if (keys_of != a) {
      keys.resize(rank * nope);
      heads.key_up[a].Unpack(0, Rows<float>(keys.data(), rank, nope));
      keys_of = a;
    }
    for (std::size_t r = 0; r < rank; ++r)
      rows[i][r] = cpu::FromFloat<T>(keys[r * nope + row]);
  }
}

template <class T>
void ReadFrom(const WeightPlace& place, std::size_t first, const Rows<T>& rows) {
  if (place.vector != nullptr) {
    for (std::size_t i = 0; i < rows.width; ++i)
      rows[0][i] = cpu::FromFloat<T>((*place.vector)[VectorPlaceOf(place, i)]);
  } else if (place.heads != nullptr) {
    ReadLatent(*place.heads, first, rows);
  } else if (place.network != nullptr) {
    place.network->gate_up.Unpack(place.half, first, rows);
  } else {
    place.linear->matrix.Unpack(place.row + first, rows);
  }
}

}  // namespace

Weights::Weights(const PolicyConfig& config, WeightsUse use) : config_(config), use_(use) {
  for (TensorSpec& spec : TensorsOf(config)) {
    if (spec.copy()) continue;
    Tensor tensor;
    tensor.rows = spec.shape.size() == 1 ? 1 : static_cast<std::size_t>(spec.shape[0]);
    tensor.columns = static_cast<std::size_t>(spec.shape.back());
    tensor.offset = trainable_numbers_;
    if (spec.trainable) {
      trainable_numbers_ += tensor.numbers();
    } else {
      selection_biases_.push_back(tensors_.size());
    }
    tensor.spec = std::move(spec);
    tensors_.push_back(std::move(tensor));
  }
  WeightPlaces::Make(*this);
}

Weights Weights::Initial(const PolicyConfig& config, KeyedRandom random, WeightsUse use) {
  Weights weights(config, use);
  std::uint64_t index = 0;
  for (std::size_t t = 0; t < weights.tensors_.size(); ++t) {
    const Tensor& tensor = weights.tensors_[t];
    if (!tensor.spec.trainable) continue;
    const KeyedRandom draws = random.With(index++);
    if (tensor.spec.role != TensorRole::kMatrix) continue;
    std::vector<float> row(tensor.columns);
    for (std::size_t r = 0; r < tensor.rows; ++r) {
      for (std::size_t i = 0; i < row.size(); ++i) {
        row[i] =
            static_cast<float>(config.initializer_range * draws.Normal(r * tensor.columns + i));
      }
      weights.Write(t, r, Rows<const float>(row.data(), 1, row.size()));
    }
  }
  return weights;
}

Weights Weights::Clone(WeightsUse use) const {
  Weights copy(config_, use);
  copy.CopyFrom(*this);
  return copy;
}

void Weights::CopyFrom(const Weights& source) {
  constexpr std::size_t kSome = 64;
  std::vector<float> numbers;
  for (std::size_t t = 0; t < tensors_.size(); ++t) {
    const Tensor& tensor = tensors_[t];
    for (std::size_t first = 0; first < tensor.rows; first += kSome) {
      const std::size_t some = std::min(kSome, tensor.rows - first);
      numbers.resize(some * tensor.columns);
      const Rows<float> rows(numbers.data(), some, tensor.columns);
      source.Read(t, first, rows);
      Write(t, first, rows);
    }
  }
}

std::optional<std::size_t> Weights::IndexOf(std::string_view name) const {
  const auto it = std::find_if(tensors_.begin(), tensors_.end(),
                               [&](const Tensor& t) { return t.spec.name == name; });
  if (it == tensors_.end()) return std::nullopt;
  return static_cast<std::size_t>(it - tensors_.begin());
}

void Weights::Write(std::size_t tensor, std::size_t first, Rows<const float> rows) {
  const TensorSpec& spec = tensors_[tensor].spec;
  WriteTo(WeightPlaces::Of(*this, spec), first, rows,
          kind() == NumberKind::kBf16 && spec.role != TensorRole::kSelectionBias);
}
void Weights::Write(std::size_t tensor, std::size_t first, Rows<const Bf16> rows) {
  WriteTo(WeightPlaces::Of(*this, tensors_[tensor].spec), first, rows, /*round=*/false);
}
void Weights::Read(std::size_t tensor, std::size_t first, Rows<float> rows) const {
  ReadFrom(WeightPlaces::Of(const_cast<Weights&>(*this), tensors_[tensor].spec), first, rows);
}
void Weights::Read(std::size_t tensor, std::size_t first, Rows<Bf16> rows) const {
  ReadFrom(WeightPlaces::Of(const_cast<Weights&>(*this), tensors_[tensor].spec), first, rows);
}

}  // namespace aha::policy
