#pragma once
/// The paged key-value cache of a policy: one block of memory, made once.

#include <cstddef>
#include <cstdint>

#include "policy/config.h"
#include "policy/kernels/cpu/buffer.h"
#include "policy/kernels/cpu/kv_pages.h"

namespace aha::policy {

/// What attention reads of one layer's cached tokens.
cpu::KvShape KvShapeOf(const PolicyConfig& config, std::size_t page_tokens);

/// Pages of `page_tokens` tokens; a page holds its tokens' keys and values of every layer (the MTP
/// module's is the last). One layer's parts of all pages lie side by side, for a pass reads them
/// together. Who owns which page is the caller's business: the pool only holds the numbers.
class KvPool {
 public:
  static constexpr std::size_t kPageTokens = 32;

  /// `page_tokens`: 16, 32, 64 or 128; changes no bit of what a pass computes. Throws
  /// std::bad_alloc.
  KvPool(const PolicyConfig& config, std::size_t pages, std::size_t page_tokens = kPageTokens);

  [[nodiscard]] std::size_t pages() const { return pages_; }
  [[nodiscard]] std::size_t page_tokens() const { return shape_.page_tokens; }
  /// How far pages of one layer lie apart.
  [[nodiscard]] std::size_t page_stride() const { return shape_.page_bytes(); }
  [[nodiscard]] std::size_t layers() const { return layers_; }
  [[nodiscard]] const cpu::KvShape& shape() const { return shape_; }
  /// A layer's part of page 0; that of page i is i * page_stride() further.
  [[nodiscard]] std::byte* layer(std::size_t l) {
    return memory_.data() + l * pages_ * page_stride();
  }

  /// Makes page `to` equal to page `from`: a sample's own copy of a prompt's last, partly filled
  /// page.
  void CopyPage(std::size_t from, std::size_t to);
  /// Overwrites a page with zeros, in every layer.
  void ClearPage(std::size_t page);

  /// Bytes of one page over all layers, before there is a pool.
  static std::size_t PageBytes(const PolicyConfig& config, std::size_t page_tokens = kPageTokens);

 private:
  cpu::KvShape shape_;
  std::size_t layers_, pages_;
  cpu::Buffer memory_;
};

}  // namespace aha::policy
