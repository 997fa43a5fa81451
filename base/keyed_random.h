#pragma once
/// Chance has a key (law 2): a draw is a pure function of what it is for, never of what was drawn
/// before it. The generator is Philox4x32-10 (Salmon et al., "Parallel random numbers: as easy as
/// 1, 2, 3", SC'11): its key is what the draw is for, its counter the draw's position.

#include <array>
#include <cstdint>
#include <span>
#include <string_view>

namespace aha {

/// Ten rounds of Philox4x32.
std::array<std::uint32_t, 4> Philox(std::array<std::uint32_t, 4> counter,
                                    std::array<std::uint32_t, 2> key);

/// Names a family of draws. Build it from the run's seed and a purpose ("sample", "task/chain"),
/// then ask for draws by up to three coordinates. Copying it is free; it has no state to advance.
class KeyedRandom {
 public:
  /// `seed` is the run's; `purpose` says what the draws are for: other purposes, other draws.
  KeyedRandom(std::uint64_t seed, std::string_view purpose);

  /// The same family narrowed by one more coordinate (a visit, a prompt id, a sample index).
  [[nodiscard]] KeyedRandom With(std::uint64_t coordinate) const;

  /// What the family is, as Philox's key: for draws that are made elsewhere by the same rule.
  [[nodiscard]] std::uint64_t key() const { return key_; }

  /// 64 uniform bits at `position`.
  [[nodiscard]] std::uint64_t Bits(std::uint64_t position) const;

  /// Uniform in [0, 1), 53 bits.
  [[nodiscard]] double Uniform(std::uint64_t position) const;

  /// Uniform integer in [low, high], both included; by multiplication, bias below 2^-32 of a range
  /// under 2^32. Requires low <= high.
  [[nodiscard]] std::int64_t Integer(std::uint64_t position,
                                     std::int64_t low,
                                     std::int64_t high) const;

  /// Standard normal by Box-Muller on the two halves of one draw.
  [[nodiscard]] double Normal(std::uint64_t position) const;

  /// Fisher-Yates over `items`, draw i at position i.
  template <class T>
  void Shuffle(std::span<T> items) const {
    for (std::size_t i = items.size(); i > 1; --i) {
      const auto j = static_cast<std::size_t>(Integer(i, 0, static_cast<std::int64_t>(i) - 1));
      std::swap(items[i - 1], items[j]);
    }
  }

 private:
  explicit KeyedRandom(std::uint64_t key) : key_(key) {}
  std::uint64_t key_;
};

/// A running draw over one KeyedRandom for code that needs many draws of one object (a task
/// generator making one problem): a position that counts up. Local, never shared.
class DrawSequence {
 public:
  explicit DrawSequence(KeyedRandom random) : random_(random) {}
  double Uniform() { return random_.Uniform(next_++); }
  std::int64_t Integer(std::int64_t low, std::int64_t high) {
    return random_.Integer(next_++, low, high);
  }
  bool Chance(double probability) { return Uniform() < probability; }
  /// One of `choices`, which must not be empty.
  template <class Range>
  const auto& Pick(const Range& choices) {
    return choices[static_cast<std::size_t>(
        Integer(0, static_cast<std::int64_t>(std::size(choices)) - 1))];
  }

 private:
  KeyedRandom random_;
  std::uint64_t next_ = 0;
};

}  // namespace aha
