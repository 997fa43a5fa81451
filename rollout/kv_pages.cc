#include "rollout/kv_pages.h"

#include <algorithm>

namespace aha::rollout {

KvPages::KvPages(const policy::PolicyConfig& config, std::size_t pages, std::size_t page_tokens)
    : pool_(config, pages, page_tokens), owners_(pages, 0) {
  free_.reserve(pages);
  for (std::size_t page = pages; page > 0; --page)
    free_.push_back(static_cast<std::int32_t>(page - 1));
}

std::int32_t KvPages::Take() {
  const std::int32_t page = free_.back();
  free_.pop_back();
  owners_[static_cast<std::size_t>(page)] = 1;
  most_used_ = std::max(most_used_, total() - free());
  return page;
}

void KvPages::Release(std::int32_t page) {
  if (--owners_[static_cast<std::size_t>(page)] == 0) free_.push_back(page);
}

void KvPages::ReleaseAll(std::vector<std::int32_t>& table) {
  for (const std::int32_t page : table)
    Release(page);
  table.clear();
}

void KvPages::Copy(std::int32_t from, std::int32_t to) {
  pool_.CopyPage(static_cast<std::size_t>(from), static_cast<std::size_t>(to));
}

void KvPages::Clear(const std::vector<std::int32_t>& table) {
  for (const std::int32_t page : table)
    pool_.ClearPage(static_cast<std::size_t>(page));
}

}  // namespace aha::rollout
