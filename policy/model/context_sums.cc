#include "policy/model/context_sums.h"

#include <algorithm>

namespace aha::policy {

void ContextSums::Keep(std::size_t layer, cpu::Rows<const float> dk, cpu::Rows<const float> dv) {
  if (layers_.size() <= layer) layers_.resize(layer + 1);
  layers_[layer].dk.assign(dk.data, dk.data + dk.count * dk.width);
  layers_[layer].dv.assign(dv.data, dv.data + dv.count * dv.width);
}

void ContextSums::Recall(std::size_t layer, cpu::Rows<float> dk, cpu::Rows<float> dv) const {
  std::copy_n(layers_[layer].dk.data(), dk.count * dk.width, dk.data);
  std::copy_n(layers_[layer].dv.data(), dv.count * dv.width, dv.data);
}

}  // namespace aha::policy
