#pragma once
/// Pages of the cache: which are free, and how a group shares its prompt's.

#include <cstdint>
#include <vector>

#include "policy/model/batch.h"

namespace aha::rollout {

/// A pool of cache pages, made once and handed out page by page. Not thread-safe: one engine's own.
class KvPool {
 public:
  KvPool(const policy::PolicyConfig& config, std::int64_t pages, std::int64_t page_tokens);

  [[nodiscard]] std::int64_t page_tokens() const { return storage_.page_tokens; }
  [[nodiscard]] std::int64_t pages() const { return static_cast<std::int64_t>(users_.size()); }
  [[nodiscard]] std::int64_t free_pages() const { return static_cast<std::int64_t>(free_.size()); }
  policy::KvPages& storage() { return storage_; }

  /// A free page with one user. Requires free_pages() > 0.
  std::int64_t Take();
  /// One more user of a page.
  void Share(std::int64_t page) { ++users_[static_cast<std::size_t>(page)]; }
  /// One user fewer; the last one frees it.
  void Release(std::int64_t page);
  /// A fresh page with the same rows.
  std::int64_t Copy(std::int64_t page);

 private:
  policy::KvPages storage_;
  std::vector<std::int32_t> users_;
  std::vector<std::int64_t> free_;
};

}  // namespace aha::rollout
