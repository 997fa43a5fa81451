// Any bytes as a GGUF file: an error, or tensors inside them; then everything that an import reads
// before it writes.

#include <span>
#include <string>
#include <vector>

#include "policy/checkpoint/gguf_import.h"
#include "tests/fuzz/fuzz_target.h"

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace aha::policy;
  const auto file = GgufFile::FromBytes(std::as_bytes(std::span(data, size)), nullptr, "fuzz");
  if (!file) {
    aha::fuzz::Demand(file.error().message.starts_with("fuzz: "));
    return 0;
  }
  std::vector<float> values;
  for (const GgufTensor& tensor : file->tensors()) {
    const GgmlLayout& layout = LayoutOf(tensor.type);
    values.resize(tensor.data.size() / static_cast<std::size_t>(layout.bytes) *
                  static_cast<std::size_t>(layout.weights));
    Dequantize(tensor.type, tensor.data, values.data());
  }
  const auto model = ReadGgufModel(*file);
  if (model) static_cast<void>(CompareGguf(*file, *model));
  const auto tokenizer = ReadGgufTokenizer(*file, TokenizerReading::kLlamaCpp);
  if (model && tokenizer) {
    static_cast<void>(
        ParseConfig(GgufConfigJson(*model, *tokenizer, SafetensorsDtype::kBF16), "fuzz"));
    static_cast<void>(GgufGenerationJson(*tokenizer));
  }
  return 0;
}
