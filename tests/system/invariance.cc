// The invariance matrix: after 20 updates of a whole loop (sample, pay, learn) the weights, masters
// and moments have the same bits whatever the settings that only move work about; for dense and
// routed policies in fp32 and bf16.
//
//   invariance [UPDATES]
//
// Prints the matrix; exit code 1 when a bit differs.
#include "tests/grpo/invariance.h"

#include <cstdio>
#include <cstdlib>

int main(int argc, char** argv) {
  namespace policy = aha::policy;
  using namespace aha::grpo::invariance;
  const int updates = argc > 1 ? std::atoi(argv[1]) : 20;
  struct Policy {
    const char* name;
    bool experts;
    policy::NumberType type;
  };
  constexpr Policy kPolicies[] = {{"dense fp32", false, policy::NumberType::kFp32},
                                  {"dense bf16", false, policy::NumberType::kBf16},
                                  {"experts fp32", true, policy::NumberType::kFp32},
                                  {"experts bf16", true, policy::NumberType::kBf16}};
  const std::vector<Setting> settings = Settings();
  std::vector<std::string> rows(settings.size());
  std::size_t differing = 0;
  for (const Policy& p : kPolicies) {
    aha::Result<Ending> want;
    for (std::size_t s = 0; s < settings.size(); ++s) {
      auto got = RunLoop(Config(p.experts, p.type), settings[s], updates);
      if (!got) {
        std::fprintf(stderr, "invariance: %s, %s: %s\n", p.name, settings[s].name.c_str(),
                     got.error().message.c_str());
        return 1;
      }
      if (s == 0) want = std::move(got);
      const std::size_t bits = s == 0 ? 0 : DifferingBits(*want, *got);
      differing += bits;
      rows[s] += s == 0 ? fmt::format(" {} numbers, {} tokens |", want->bits.size(), want->tokens)
                        : fmt::format(" {} |", bits);
    }
  }
  std::printf("Differing bits after %d updates, beside the first row:\n\n| setting |", updates);
  for (const Policy& p : kPolicies)
    std::printf(" %s |", p.name);
  std::printf("\n|---|---|---|---|---|\n");
  for (std::size_t s = 0; s < settings.size(); ++s)
    std::printf("| %s |%s\n", settings[s].name.c_str(), rows[s].c_str());
  std::printf("\n%zu differing bits\n", differing);
  return differing == 0 ? 0 : 1;
}
