#pragma once
/// How much memory a tape takes, before there is one.

#include <cstddef>

#include "policy/config.h"

namespace aha::policy {

/// Bytes that a tape of the trunk keeps for `tokens`, without recomputation, to a few percent.
std::size_t TapeBytes(const PolicyConfig& config, std::size_t tokens);

}  // namespace aha::policy
