#pragma once
/// Exact rational numbers: FLINT's fmpq with C++ manners.

#include <flint/fmpq.h>

namespace aha::rewards::math {

/// FLINT and Arb keep blocks and constants for each thread; a thread that computes with them calls
/// this first, and they are freed when it ends. Costs nothing the second time.
inline void FreeFlintWithThread() {
  struct Keeper {
    Keeper() = default;
    Keeper(const Keeper&) = delete;
    Keeper& operator=(const Keeper&) = delete;
    ~Keeper() { flint_cleanup(); }
  };
  static thread_local const Keeper keeper;
  static_cast<void>(keeper);
}

class Rational {
 public:
  Rational() { fmpq_init(value_); }
  explicit Rational(long value) : Rational() { fmpq_set_si(value_, value, 1); }
  Rational(const Rational& other) : Rational() { fmpq_set(value_, other.value_); }
  Rational(Rational&& other) noexcept : Rational() { fmpq_swap(value_, other.value_); }
  Rational& operator=(const Rational& other) {
    fmpq_set(value_, other.value_);
    return *this;
  }
  Rational& operator=(Rational&& other) noexcept {
    fmpq_swap(value_, other.value_);
    return *this;
  }
  ~Rational() { fmpq_clear(value_); }

  fmpq* get() { return value_; }
  [[nodiscard]] const fmpq* get() const { return value_; }
  [[nodiscard]] const fmpz* top() const { return fmpq_numref(value_); }
  [[nodiscard]] const fmpz* bottom() const { return fmpq_denref(value_); }
  fmpz* top() { return fmpq_numref(value_); }
  fmpz* bottom() { return fmpq_denref(value_); }
  [[nodiscard]] bool IsInteger() const { return fmpz_is_one(bottom()) != 0; }
  [[nodiscard]] bool IsZero() const { return fmpq_is_zero(value_) != 0; }
  [[nodiscard]] int Sign() const { return fmpq_sgn(value_); }
  /// Of the longer of numerator and denominator.
  [[nodiscard]] long Bits() const {
    const auto a = static_cast<long>(fmpz_bits(top())), b = static_cast<long>(fmpz_bits(bottom()));
    return a > b ? a : b;
  }
  friend bool operator==(const Rational& a, const Rational& b) {
    return fmpq_equal(a.value_, b.value_) != 0;
  }

 private:
  fmpq_t value_;
};

}  // namespace aha::rewards::math
