#include <array>

#include "pipelines/tasks/families/family.h"

namespace aha::pipelines {
namespace {

constexpr std::array<const Family*, 9> kFamilies = {
    &kChain, &kShop, &kClock, &kSwap, &kCount, &kLargest, &kRepeat, &kPick, &kTranslate,
};

}  // namespace

std::span<const Family* const> Families() {
  return kFamilies;
}

const Family* FindFamily(std::string_view name) {
  for (const Family* family : kFamilies) {
    if (family->info.name == name) return family;
  }
  return nullptr;
}

int NearMiss(int right, int reach, DrawSequence& draw) {
  const int distance = static_cast<int>(draw.Integer(1, reach));
  const bool down = draw.Chance(0.5) && right >= distance;
  return down ? right - distance : right + distance;
}

}  // namespace aha::pipelines
