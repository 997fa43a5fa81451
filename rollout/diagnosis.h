#pragma once
/// Why a draw was impossible.

#include "base/result.h"
#include "policy/kernels/cpu/cpu.h"
#include "policy/model/pass.h"
#include "policy/model/weights.h"
#include "rollout/group.h"

namespace aha::rollout {

/// Whether rows [first, first + count) hold finite numbers alone.
bool AreFinite(const policy::Hidden& hidden, std::size_t first, std::size_t count);

/// Computes the row's tokens once more, alone, and names the first place that is not finite: the
/// embedding, a layer, the final norm or the head, and the token.
Error DiagnoseRow(const Row& row, const policy::Weights& weights, const policy::cpu::Cpu& cpu);

}  // namespace aha::rollout
