#include "rollout/kv_pool.h"

namespace aha::rollout {

KvPool::KvPool(const policy::PolicyConfig& config, std::int64_t pages, std::int64_t page_tokens)
    : storage_(policy::MakeKvPages(config, pages, page_tokens)), users_(static_cast<std::size_t>(pages), 0) {
  for (std::int64_t page = pages; page > 0; --page) free_.push_back(page - 1);
}

std::int64_t KvPool::Take() {
  const std::int64_t page = free_.back();
  free_.pop_back();
  users_[static_cast<std::size_t>(page)] = 1;
  return page;
}

void KvPool::Release(std::int64_t page) {
  if (--users_[static_cast<std::size_t>(page)] == 0) free_.push_back(page);
}

std::int64_t KvPool::Copy(std::int64_t page) {
  const std::int64_t copy = Take();
  for (at::Tensor& layer : storage_.layers) layer.select(0, copy).copy_(layer.select(0, page));
  return copy;
}

}  // namespace aha::rollout
