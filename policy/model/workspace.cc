#include "policy/model/workspace.h"

#include <algorithm>

namespace aha::policy {

void* Workspace::TakeBytes(std::size_t bytes) {
  const std::size_t wanted = (bytes + 63) / 64 * 64;
  while (at_.block < blocks_.size() && at_.used + wanted > blocks_[at_.block].size()) {
    ++at_.block;
    at_.used = 0;
  }
  if (at_.block == blocks_.size()) {
    constexpr std::size_t kSmallest = std::size_t{1} << 16;
    blocks_.emplace_back(std::max({wanted, kSmallest, size()}));
  }
  std::byte* place = blocks_[at_.block].data() + at_.used;
  at_.used += wanted;
  return place;
}

void Workspace::Reset() {
  at_ = {};
  if (blocks_.size() <= 1) return;
  const std::size_t all = size();
  blocks_.clear();
  blocks_.emplace_back(all);
}

std::size_t Workspace::size() const {
  std::size_t bytes = 0;
  for (const cpu::Buffer& block : blocks_)
    bytes += block.size();
  return bytes;
}

std::size_t Workspace::used() const {
  std::size_t used = at_.used;
  for (std::size_t b = 0; b < at_.block; ++b)
    used += blocks_[b].size();
  return used;
}

}  // namespace aha::policy
