#include "rollout/kv_pool.h"

namespace aha::rollout {

KvPool::KvPool(const policy::PolicyConfig& config, std::int32_t pages, std::int32_t page_tokens)
    : storage_(config, static_cast<std::size_t>(pages), static_cast<std::size_t>(page_tokens)), users_(static_cast<std::size_t>(pages), 0) {
  for (std::int32_t page = pages; page > 0; --page) free_.push_back(page - 1);
}

std::int32_t KvPool::Take() {
  const std::int32_t page = free_.back();
  free_.pop_back();
  users_[static_cast<std::size_t>(page)] = 1;
  return page;
}

void KvPool::Release(std::int32_t page) {
  if (--users_[static_cast<std::size_t>(page)] == 0) free_.push_back(page);
}

std::int32_t KvPool::Copy(std::int32_t page) {
  const std::int32_t copy = Take();
  storage_.CopyPage(static_cast<std::size_t>(page), static_cast<std::size_t>(copy));
  return copy;
}

}  // namespace aha::rollout
