#pragma once
/// CRC-32C (Castagnoli, RFC 3720 appendix B.4), which guards the records of event files.

#include <cstdint>
#include <string_view>

namespace aha::pipelines {

std::uint32_t Crc32c(std::string_view bytes);

/// TFRecord's masked form, so that a checksum of bytes that hold checksums stays a good one:
/// rotate right by 15, add 0xa282ead8.
std::uint32_t MaskedCrc32c(std::string_view bytes);

}  // namespace aha::pipelines
