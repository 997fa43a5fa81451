#pragma once
/// A block of lanes on the CPU, one lane after another.

#include <vector>

#include "policy/kernels/cuda/host_device.h"

namespace aha::policy::cuda {

struct HostBlock {
  bool backwards = false;  ///< lanes in reverse: the same bits, or lanes of a phase meet

  template <class F>
  void Lanes(const F& f) const {
    for (int i = 0; i < kLanes; ++i)
      f(backwards ? kLanes - 1 - i : i);
  }
  template <class T>
  T Read(const T& shared) const {
    return shared;
  }
};

}  // namespace aha::policy::cuda
