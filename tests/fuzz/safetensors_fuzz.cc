// Any bytes as a safetensors file: an error, or tensors that lie inside them without overlapping.

#include <span>

#include "policy/checkpoint/safetensors.h"
#include "tests/fuzz/fuzz_target.h"

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace aha::policy;
  const auto file =
      SafetensorsFile::FromBytes(std::as_bytes(std::span(data, size)), nullptr, "fuzz");
  if (!file) {
    aha::fuzz::Demand(file.error().message.starts_with("fuzz: "));
    return 0;
  }
  std::size_t bytes = 0;
  for (const TensorView& tensor : file->tensors()) {
    const auto wanted = internal::ByteCount(tensor.shape, tensor.dtype);
    aha::fuzz::Demand(wanted && *wanted == tensor.data.size());
    bytes += tensor.data.size();
    const auto* begin = reinterpret_cast<const std::uint8_t*>(tensor.data.data());
    aha::fuzz::Demand(begin >= data && begin + tensor.data.size() <= data + size);
    aha::fuzz::Demand(file->Find(tensor.name) == &tensor);
  }
  aha::fuzz::Demand(bytes + 8 <= size);
  return 0;
}
