// Any text as a config.json: an error, or a config that comes back as it was written.

#include <string>

#include "policy/config.h"
#include "policy/model/tensors.h"
#include "tests/fuzz/fuzz_target.h"

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace aha::policy;
  const auto config = ParseConfig({reinterpret_cast<const char*>(data), size}, "fuzz");
  if (!config) {
    aha::fuzz::Demand(config.error().message.starts_with("fuzz: "));
    return 0;
  }
  const ParameterCount count = CountParameters(*config);
  aha::fuzz::Demand(count.total > 0 && count.active > 0 && count.active <= count.total &&
                    count.mtp >= 0);
  aha::fuzz::Demand(config->kv_width() > 0);
  const std::string written = ConfigJson(*config);
  const auto again = ParseConfig(written, "fuzz");
  aha::fuzz::Demand(again.has_value());
  aha::fuzz::Demand(ConfigJson(*again) == written);
  return 0;
}
