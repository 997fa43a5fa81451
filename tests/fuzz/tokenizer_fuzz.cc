// Any text as a tokenizer.json: an error, or a tokenizer whose ids stay in its vocabulary.

#include <string>

#include "policy/tokenizer/tokenizer.h"
#include "tests/fuzz/fuzz_target.h"

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace aha::policy;
  const auto tokenizer =
      Tokenizer::FromText(std::string(reinterpret_cast<const char*>(data), size), "fuzz");
  if (!tokenizer) {
    aha::fuzz::Demand(tokenizer.error().message.starts_with("fuzz"));
    return 0;
  }
  for (const char* text : {"", "the  cat's 12\n\n345 <think>ab", "你好 café \xF0\x9F\x99\x82"}) {
    const auto ids = tokenizer->Encode(text, true);
    if (!ids) continue;
    static_cast<void>(tokenizer->Decode(*ids));
  }
  return 0;
}
