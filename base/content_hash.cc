#include "base/content_hash.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <vector>

#include <openssl/evp.h>

namespace aha {

struct ContentHash::State {
  EVP_MD_CTX* context = EVP_MD_CTX_new();
  State() {
    if (context == nullptr || EVP_DigestInit_ex(context, EVP_sha256(), nullptr) != 1)
      throw std::bad_alloc();
  }
  ~State() { EVP_MD_CTX_free(context); }
  State(const State&) = delete;
  State& operator=(const State&) = delete;
};

ContentHash::ContentHash() : state_(std::make_unique<State>()) {}
ContentHash::~ContentHash() = default;
ContentHash::ContentHash(ContentHash&&) noexcept = default;
ContentHash& ContentHash::operator=(ContentHash&&) noexcept = default;

ContentHash& ContentHash::Add(std::span<const std::byte> bytes) {
  EVP_DigestUpdate(state_->context, bytes.data(), bytes.size());
  return *this;
}

ContentHash& ContentHash::Add(std::string_view text) {
  return Add(std::as_bytes(std::span(text)));
}

ContentHash& ContentHash::AddField(std::string_view text) {
  return Add(fmt::format("{}:", text.size())).Add(text);
}

std::string ContentHash::Hex() {
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
  unsigned int size = 0;
  EVP_DigestFinal_ex(state_->context, digest.data(), &size);
  std::string hex;
  for (unsigned int i = 0; i < size; ++i)
    hex += fmt::format("{:02x}", digest[i]);
  return hex;
}

std::string HashText(std::string_view text) {
  return ContentHash().Add(text).Hex();
}

Result<std::string> HashFile(const std::filesystem::path& file) {
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> stream(std::fopen(file.c_str(), "rb"),
                                                               &std::fclose);
  if (!stream)
    return Fail(Code::kNotFound, "{}: cannot be read: {}", file.string(), std::strerror(errno));
  ContentHash hash;
  std::vector<std::byte> buffer(std::size_t{1} << 20U);
  while (const std::size_t n = std::fread(buffer.data(), 1, buffer.size(), stream.get())) {
    hash.Add(std::span(buffer).first(n));
  }
  if (std::ferror(stream.get()) != 0) return Fail(Code::kCorrupt, "{}: read error", file.string());
  return hash.Hex();
}

}  // namespace aha
