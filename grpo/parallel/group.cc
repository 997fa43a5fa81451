#include "grpo/parallel/group.h"

#include <charconv>
#include <cstdlib>
#include <string_view>

namespace aha::grpo {
namespace {

class One : public Group {
 public:
  [[nodiscard]] int rank() const override { return 0; }
  [[nodiscard]] int size() const override { return 1; }
  Status Sum(at::Tensor&) override { return {}; }
  Status Broadcast(at::Tensor&, int) override { return {}; }
  Status Wait() override { return {}; }
};

// A whole number of the environment in [low, high]; `otherwise` if it is not set.
Result<int> Number(const char* name, int low, int high, int otherwise) {
  const char* const text = std::getenv(name);
  if (text == nullptr) return otherwise;
  const std::string_view view(text);
  int value = 0;
  const auto [end, error] = std::from_chars(view.data(), view.data() + view.size(), value);
  if (error != std::errc() || end != view.data() + view.size() || value < low || value > high) {
    return Fail(Code::kInvalidArgument, "{}={} of the environment: must be a number from {} to {}",
                name, text, low, high);
  }
  return value;
}

}  // namespace

std::unique_ptr<Group> Alone() {
  return std::make_unique<One>();
}

Result<GroupAddress> GroupFromEnvironment() {
  GroupAddress address;
  AHA_ASSIGN(address.size, Number("WORLD_SIZE", 1, 1 << 20, 1));
  AHA_ASSIGN(address.rank, Number("RANK", 0, address.size - 1, 0));
  if (address.size == 1) return address;
  if (std::getenv("RANK") == nullptr) {
    return Fail(Code::kInvalidArgument,
                "WORLD_SIZE={} of the environment, but no RANK: start ranks with torchrun "
                "--no-python, or set both",
                address.size);
  }
  AHA_ASSIGN(address.local_rank, Number("LOCAL_RANK", 0, 1023, 0));
  AHA_ASSIGN(const int port, Number("MASTER_PORT", 1, 65535, 29500));
  address.port = static_cast<std::uint16_t>(port);
  if (const char* host = std::getenv("MASTER_ADDR"); host != nullptr) address.host = host;
  const char* const agent = std::getenv("TORCHELASTIC_USE_AGENT_STORE");
  address.store_is_there = agent != nullptr && std::string_view(agent) == "True";
  return address;
}

}  // namespace aha::grpo
