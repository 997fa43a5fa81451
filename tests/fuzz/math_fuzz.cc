// The math reward: any bytes as completion and as reference. The input is reference, NUL,
// completion; without NUL it is both.

#include <string>

#include "rewards/verifiers/math/judge.h"
#include "tests/fuzz/fuzz_target.h"

using aha::rewards::math::JudgeMath;
using aha::rewards::math::MathVerdict;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view all(reinterpret_cast<const char*>(data), size);
  const auto cut = all.find('\0');
  const std::string_view reference = all.substr(0, cut);
  const std::string_view completion = cut == std::string_view::npos ? all : all.substr(cut + 1);
  const MathVerdict verdict =
      JudgeMath({.prompt = {}, .completion = completion, .reference = reference});
  aha::fuzz::Demand(verdict.fault.empty() || !verdict.same);
  aha::fuzz::Demand(!verdict.reason.empty() || !verdict.fault.empty());
  // Pure: the same again.
  const MathVerdict again =
      JudgeMath({.prompt = {}, .completion = completion, .reference = reference});
  aha::fuzz::Demand(verdict.same == again.same && verdict.reason == again.reason &&
                    verdict.fault == again.fault);
  // What a reference says of itself is right, unless it is at fault or holds the marks of an
  // answer.
  if (verdict.fault.empty() && size < 512 &&
      reference.find_first_of("<\\#") == std::string_view::npos) {
    const std::string tagged = "<answer>" + std::string(reference) + "</answer>";
    const MathVerdict self =
        JudgeMath({.prompt = {}, .completion = tagged, .reference = reference});
    aha::fuzz::Demand(self.fault.empty());
  }
  return 0;
}
