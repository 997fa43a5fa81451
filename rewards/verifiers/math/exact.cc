#include "rewards/verifiers/math/exact.h"

#include <algorithm>
#include <string>

#include <flint/fmpz.h>

namespace aha::rewards::math {
namespace {

// One multiplication or gcd of numbers of that many bits.
std::int64_t Cost(long bits) {
  const std::int64_t limbs = bits / 64 + 1;
  return 4 + limbs * (limbs < 32 ? 1 : 8);
}

class Exact {
 public:
  explicit Exact(Work* work) : work_(work) {}

  Status Value(const Node& node, Rational* out) {
    if (!work_->Spend(4)) return Status::kTooLarge;
    const Status status = Compute(node, out);
    if (status == Status::kDone && out->Bits() > kMostBits) return Status::kTooLarge;
    return status;
  }

 private:
  Status Compute(const Node& node, Rational* out) {
    switch (node.op) {
      case Op::kNumber:
        return Number(node, out);
      case Op::kAdd:
      case Op::kMultiply:
        return Fold(node, out);
      case Op::kDivide:
        return Divide(node, out);
      case Op::kNegate:
        if (const Status s = Value(node.items[0], out); s != Status::kDone) return s;
        fmpq_neg(out->get(), out->get());
        return Status::kDone;
      case Op::kPercent: {
        if (const Status s = Value(node.items[0], out); s != Status::kDone) return s;
        const Rational hundred(100);
        fmpq_div(out->get(), out->get(), hundred.get());
        return Status::kDone;
      }
      case Op::kPower:
        return Power(node, out);
      case Op::kFunction:
        return Function(node, out);
      default:
        return Status::kNotExact;
    }
  }

  Status Number(const Node& node, Rational* out) {
    const auto dot = node.name.find('.');
    std::string digits = node.name;
    long shift = node.exponent;
    if (dot != std::string::npos) {
      digits.erase(dot, 1);
      shift -= static_cast<long>(digits.size() - dot);
    }
    const auto length = static_cast<long>(digits.size());
    if (length * 10 / 3 > kMostBits || std::abs(shift) * 10 / 3 > kMostBits ||
        !work_->Spend(Cost(4 * (length + std::abs(shift))))) {
      return Status::kTooLarge;
    }
    fmpz_one(out->bottom());
    if (fmpz_set_str(out->top(), digits.c_str(), 10) != 0) return Status::kNotExact;
    if (shift == 0) return Status::kDone;
    Rational ten(10);
    fmpz_pow_ui(ten.top(), ten.top(), static_cast<unsigned long>(std::abs(shift)));
    (shift > 0 ? fmpq_mul : fmpq_div)(out->get(), out->get(), ten.get());
    return Status::kDone;
  }

  Status Fold(const Node& node, Rational* out) {
    if (const Status s = Value(node.items[0], out); s != Status::kDone) return s;
    Rational next;
    for (std::size_t i = 1; i < node.items.size(); ++i) {
      if (const Status s = Value(node.items[i], &next); s != Status::kDone) return s;
      if (out->Bits() + next.Bits() > 2 * kMostBits ||
          !work_->Spend(Cost(out->Bits() + next.Bits())))
        return Status::kTooLarge;
      (node.op == Op::kAdd ? fmpq_add : fmpq_mul)(out->get(), out->get(), next.get());
    }
    return Status::kDone;
  }

  Status Divide(const Node& node, Rational* out) {
    Rational bottom;
    if (const Status s = Value(node.items[1], &bottom); s != Status::kDone) return s;
    if (bottom.IsZero()) return Status::kUndefined;
    if (const Status s = Value(node.items[0], out); s != Status::kDone) return s;
    if (!work_->Spend(Cost(out->Bits() + bottom.Bits()))) return Status::kTooLarge;
    fmpq_div(out->get(), out->get(), bottom.get());
    return Status::kDone;
  }

  Status Power(const Node& node, Rational* out) {
    Rational exponent;
    if (const Status s = Value(node.items[1], &exponent); s != Status::kDone) return s;
    if (const Status s = Value(node.items[0], out); s != Status::kDone) return s;
    return Raise(exponent, out);
  }

  // out^exponent
  Status Raise(const Rational& exponent, Rational* out) {
    if (out->IsZero()) {
      if (exponent.Sign() < 0) return Status::kUndefined;
      if (exponent.IsZero()) *out = Rational(1);
      return Status::kDone;
    }
    if (!fmpz_is_one(exponent.bottom())) {
      if (!fmpz_fits(exponent.bottom()) || fmpz_cmp_ui(exponent.bottom(), 64) > 0)
        return Status::kNotExact;
      const Status root = Root(fmpz_get_si(exponent.bottom()), out);
      if (root != Status::kDone) return root;
    }
    if (fmpz_is_one(out->bottom()) &&
        (fmpz_is_one(out->top()) || fmpz_cmp_si(out->top(), -1) == 0)) {
      if (fmpz_is_even(exponent.top())) *out = Rational(1);
      return Status::kDone;
    }
    if (!fmpz_fits(exponent.top())) return Status::kTooLarge;
    const long n = fmpz_get_si(exponent.top());
    // 2^n has n + 1 bits, whatever else: an estimate before any work.
    const long bits = std::max(out->Bits() - 1, 1L);
    if (std::abs(n) > kMostBits || bits * std::abs(n) > kMostBits ||
        !work_->Spend(2 * Cost(bits * std::abs(n))))
      return Status::kTooLarge;
    fmpq_pow_si(out->get(), out->get(), n);
    return Status::kDone;
  }

  static bool fmpz_fits(const fmpz* value) { return fmpz_bits(value) <= 40; }

  // The index-th root where it is rational; of negative numbers none.
  Status Root(long index, Rational* out) {
    if (out->Sign() < 0) return Status::kNotExact;
    if (!work_->Spend(8 * Cost(out->Bits()))) return Status::kTooLarge;
    Rational root;
    if (fmpz_root(root.top(), out->top(), index) == 0 ||
        fmpz_root(root.bottom(), out->bottom(), index) == 0)
      return Status::kNotExact;
    *out = std::move(root);
    return Status::kDone;
  }

  Status Function(const Node& node, Rational* out) {
    const std::string& name = node.name;
    if (name == "det") return Determinant(node, out);
    if (name == "max" || name == "min" || name == "gcd" || name == "lcm") return Of(node, out);
    if (name == "binom") return Binomial(node, out);
    if (name == "base") return Based(node, out);
    if (name == "root") return IndexedRoot(node, out);
    if (name != "sqrt" && name != "cbrt" && name != "abs" && name != "floor" && name != "ceil" &&
        name != "sgn" && name != "factorial") {
      return Status::kNotExact;
    }
    if (node.items.size() != 1) return Status::kNotExact;
    if (const Status s = Value(node.items[0], out); s != Status::kDone) return s;
    if (name == "factorial") return Factorial(out);
    if (name == "sqrt") return Root(2, out);
    if (name == "cbrt") return OddRoot(3, out);
    if (name == "abs") {
      fmpq_abs(out->get(), out->get());
    } else if (name == "sgn") {
      *out = Rational(out->Sign());
    } else {
      Rational rounded;
      (name == "floor" ? fmpz_fdiv_q : fmpz_cdiv_q)(rounded.top(), out->top(), out->bottom());
      *out = std::move(rounded);
    }
    return Status::kDone;
  }

  Status OddRoot(long index, Rational* out) {
    const bool negative = out->Sign() < 0 && index % 2 == 1;
    if (negative) fmpq_neg(out->get(), out->get());
    const Status s = Root(index, out);
    if (negative) fmpq_neg(out->get(), out->get());
    return s;
  }

  Status IndexedRoot(const Node& node, Rational* out) {
    Rational index;
    if (const Status s = Value(node.items[1], &index); s != Status::kDone) return s;
    if (const Status s = Value(node.items[0], out); s != Status::kDone) return s;
    if (!index.IsInteger() || index.Sign() <= 0 || fmpz_cmp_ui(index.top(), 64) > 0)
      return Status::kNotExact;
    return OddRoot(fmpz_get_si(index.top()), out);
  }

  Status Factorial(Rational* out) {
    if (!out->IsInteger()) return Status::kNotExact;
    if (out->Sign() < 0) return Status::kUndefined;
    // 9,000! has some 105,000 bits.
    if (fmpz_cmp_ui(out->top(), 9000) > 0) return Status::kTooLarge;
    const unsigned long n = fmpz_get_ui(out->top());
    if (!work_->Spend(16 * Cost(static_cast<long>(n) * 13))) return Status::kTooLarge;
    fmpz_fac_ui(out->top(), n);
    return Status::kDone;
  }

  Status Binomial(const Node& node, Rational* out) {
    Rational n, k;
    if (const Status s = Value(node.items[0], &n); s != Status::kDone) return s;
    if (const Status s = Value(node.items[1], &k); s != Status::kDone) return s;
    if (!n.IsInteger() || !k.IsInteger() || n.Sign() < 0) return Status::kNotExact;
    *out = Rational(0);
    if (k.Sign() < 0 || fmpz_cmp(k.top(), n.top()) > 0) return Status::kDone;
    if (fmpz_bits(n.top()) > 30) return Status::kTooLarge;
    const unsigned long top = fmpz_get_ui(n.top());
    const unsigned long below = std::min(fmpz_get_ui(k.top()), top - fmpz_get_ui(k.top()));
    const auto bits =
        static_cast<std::int64_t>(below) * static_cast<std::int64_t>(fmpz_bits(n.top()));
    if (bits > kMostBits || !work_->Spend(16 * Cost(bits))) return Status::kTooLarge;
    fmpz_bin_uiui(out->top(), top, below);
    return Status::kDone;
  }

  // 1011_2
  Status Based(const Node& node, Rational* out) {
    const std::string& digits = node.items[0].name;
    const long base = std::stol(node.items[1].name);
    if (base < 2 || base > 36 || digits.size() > 4096 || node.items[0].exponent != 0 ||
        digits.find('.') != std::string::npos) {
      return Status::kNotExact;
    }
    for (const char c : digits) {
      if (c - '0' >= base) return Status::kNotExact;
    }
    if (!work_->Spend(Cost(static_cast<long>(digits.size()) * 6))) return Status::kTooLarge;
    fmpz_one(out->bottom());
    return fmpz_set_str(out->top(), digits.c_str(), static_cast<int>(base)) == 0
               ? Status::kDone
               : Status::kNotExact;
  }

  Status Of(const Node& node, Rational* out) {
    if (const Status s = Value(node.items[0], out); s != Status::kDone) return s;
    const bool integers = node.name == "gcd" || node.name == "lcm";
    if (integers && !out->IsInteger()) return Status::kNotExact;
    Rational next;
    for (std::size_t i = 1; i < node.items.size(); ++i) {
      if (const Status s = Value(node.items[i], &next); s != Status::kDone) return s;
      if (!work_->Spend(4 * Cost(out->Bits() + next.Bits()))) return Status::kTooLarge;
      if (integers) {
        if (!next.IsInteger()) return Status::kNotExact;
        (node.name == "gcd" ? fmpz_gcd : fmpz_lcm)(out->top(), out->top(), next.top());
        if (out->Bits() > kMostBits) return Status::kTooLarge;
      } else if ((fmpq_cmp(next.get(), out->get()) > 0) == (node.name == "max")) {
        *out = next;
      }
    }
    return Status::kDone;
  }

  // Gauss.
  Status Determinant(const Node& node, Rational* out) {
    std::size_t n = 1;
    while (n * n < node.items.size())
      ++n;
    std::vector<Rational> cells(n * n);
    for (std::size_t i = 0; i < n * n; ++i) {
      if (const Status s = Value(node.items[i], &cells[i]); s != Status::kDone) return s;
    }
    *out = Rational(1);
    Rational factor;
    for (std::size_t k = 0; k < n; ++k) {
      std::size_t pivot = k;
      while (pivot < n && cells[pivot * n + k].IsZero())
        ++pivot;
      if (pivot == n) {
        *out = Rational(0);
        return Status::kDone;
      }
      if (pivot != k) {
        for (std::size_t c = 0; c < n; ++c)
          fmpq_swap(cells[k * n + c].get(), cells[pivot * n + c].get());
        fmpq_neg(out->get(), out->get());
      }
      fmpq_mul(out->get(), out->get(), cells[k * n + k].get());
      for (std::size_t r = k + 1; r < n; ++r) {
        fmpq_div(factor.get(), cells[r * n + k].get(), cells[k * n + k].get());
        for (std::size_t c = k; c < n; ++c) {
          if (!work_->Spend(
                  Cost(factor.Bits() + cells[k * n + c].Bits() + cells[r * n + c].Bits())))
            return Status::kTooLarge;
          fmpq_submul(cells[r * n + c].get(), factor.get(), cells[k * n + c].get());
          if (cells[r * n + c].Bits() > kMostBits) return Status::kTooLarge;
        }
      }
    }
    return Status::kDone;
  }

  Work* work_;
};

}  // namespace

Status EvaluateExact(const Node& node, Work* work, Rational* out) {
  return Exact(work).Value(node, out);
}

}  // namespace aha::rewards::math
