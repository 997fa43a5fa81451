#pragma once
/// Who owns which page of the cache. Pages of a prompt have as many owners as it has samples.

#include <cstdint>
#include <vector>

#include "policy/model/kv_pool.h"

namespace aha::rollout {

/// Pages of one pool, handed out one by one. Not thread-safe: one engine's own.
class KvPages {
 public:
  /// Throws std::bad_alloc.
  KvPages(const policy::PolicyConfig& config, std::size_t pages, std::size_t page_tokens);

  [[nodiscard]] std::size_t page_tokens() const { return pool_.page_tokens(); }
  [[nodiscard]] std::size_t total() const { return owners_.size(); }
  [[nodiscard]] std::size_t free() const { return free_.size(); }
  /// Pages that had an owner at one time, at most so far.
  [[nodiscard]] std::size_t most_used() const { return most_used_; }
  [[nodiscard]] std::size_t PagesFor(std::size_t tokens) const {
    return (tokens + page_tokens() - 1) / page_tokens();
  }
  policy::KvPool& pool() { return pool_; }

  /// A free page with one owner. Requires free() > 0.
  std::int32_t Take();
  /// One more owner.
  void Share(std::int32_t page) { ++owners_[static_cast<std::size_t>(page)]; }
  /// One owner fewer; the last one frees it.
  void Release(std::int32_t page);
  /// Gives up all pages of a table and empties it.
  void ReleaseAll(std::vector<std::int32_t>& table);
  void Copy(std::int32_t from, std::int32_t to);
  /// Overwrites pages with zeros: what is not finite in an unused place would spread to the page's
  /// next owner, as 0 * NaN.
  void Clear(const std::vector<std::int32_t>& table);

 private:
  policy::KvPool pool_;
  std::vector<std::uint32_t> owners_;
  std::vector<std::int32_t> free_;
  std::size_t most_used_ = 0;
};

}  // namespace aha::rollout
