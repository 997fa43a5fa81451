#include "rewards/verifiers/math/ball.h"

#include <acb_hypgeom.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>

#include "rewards/verifiers/math/exact.h"

namespace aha::rewards::math {
namespace {

constexpr double kLargest = 1 << 17;  // bits before or behind the point

using Unary = void (*)(acb_t, const acb_t, slong);
struct Named {
  std::string_view name;
  Unary function;
};
constexpr Named kUnary[] = {
    {"sin", acb_sin},   {"cos", acb_cos},     {"tan", acb_tan},     {"cot", acb_cot},
    {"sec", acb_sec},   {"csc", acb_csc},     {"sinh", acb_sinh},   {"cosh", acb_cosh},
    {"tanh", acb_tanh}, {"coth", acb_coth},   {"asin", acb_asin},   {"acos", acb_acos},
    {"atan", acb_atan}, {"asinh", acb_asinh}, {"acosh", acb_acosh}, {"atanh", acb_atanh}};

class Evaluator {
 public:
  Evaluator(const Point& point, long precision, Work* work, BallNotes* notes)
      : point_(point), precision_(precision), work_(work), notes_(notes) {
    const std::int64_t limbs = precision / 64;
    simple_ = 8 + limbs * (limbs < 32 ? 2 : 12);
    hard_ = 300 + 40 * limbs * (limbs < 16 ? 4 : 24);
  }

  Status Value(const Node& node, Ball* out) {
    if (!work_->Spend(simple_)) return Status::kTooLarge;
    const Status status = Compute(node, out);
    if (status != Status::kDone) return status;
    if (acb_is_finite(out->get()) == 0) return Status::kUndefined;
    const double size = Log2(*out);
    if (std::isinf(size)) return Status::kDone;  // zero
    notes_->largest = std::max(notes_->largest, std::abs(size));
    return notes_->largest > kLargest ? Status::kTooLarge : Status::kDone;
  }

 private:
  // log2 of an upper bound of the magnitude; -infinity for zero.
  static double Log2(const Ball& ball) {
    mag_t mag;
    mag_init(mag);
    acb_get_mag(mag, ball.get());
    const double size = mag_is_zero(mag) != 0 ? -INFINITY : mag_get_d_log2_approx(mag);
    mag_clear(mag);
    return size;
  }
  static bool IsNegative(const Ball& ball) {
    return acb_is_real(ball.get()) != 0 && arb_is_negative(acb_realref(ball.get())) != 0;
  }

  Status Set(const Rational& value, Ball* out) const {
    acb_set_fmpq(out->get(), value.get(), precision_);
    return Status::kDone;
  }

  Status Compute(const Node& node, Ball* out) {
    switch (node.op) {
      case Op::kNumber: {
        Rational value;
        const Status s = EvaluateExact(node, work_, &value);
        return s == Status::kDone ? Set(value, out) : s;
      }
      case Op::kSymbol:
        return Symbol(node, out);
      case Op::kConstant:
        return Constant(node, out);
      case Op::kAdd:
      case Op::kMultiply:
        return Fold(node, out);
      case Op::kDivide: {
        Ball bottom;
        if (const Status s = Value(node.items[1], &bottom); s != Status::kDone) return s;
        if (const Status s = Value(node.items[0], out); s != Status::kDone) return s;
        acb_div(out->get(), out->get(), bottom.get(), precision_);
        return Status::kDone;
      }
      case Op::kNegate:
        if (const Status s = Value(node.items[0], out); s != Status::kDone) return s;
        acb_neg(out->get(), out->get());
        return Status::kDone;
      case Op::kPercent:
        if (const Status s = Value(node.items[0], out); s != Status::kDone) return s;
        acb_div_si(out->get(), out->get(), 100, precision_);
        return Status::kDone;
      case Op::kDegree: {
        if (const Status s = Value(node.items[0], out); s != Status::kDone) return s;
        Ball pi;
        acb_const_pi(pi.get(), precision_);
        acb_mul(out->get(), out->get(), pi.get(), precision_);
        acb_div_si(out->get(), out->get(), 180, precision_);
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

  Status Symbol(const Node& node, Ball* out) {
    for (const Setting& setting : point_) {
      if (setting.symbol != node.name) continue;
      acb_set_si(out->get(), setting.value);
      acb_mul_2exp_si(out->get(), out->get(), -kSettingShift);
      return Status::kDone;
    }
    return Status::kNotExact;
  }

  Status Constant(const Node& node, Ball* out) {
    if (node.name == "pi") {
      acb_const_pi(out->get(), precision_);
    } else if (node.name == "e") {
      arb_const_e(acb_realref(out->get()), precision_);
      arb_zero(acb_imagref(out->get()));
    } else if (node.name == "i") {
      notes_->imaginary = true;
      acb_onei(out->get());
    } else {
      return Status::kUndefined;
    }
    return Status::kDone;
  }

  Status Fold(const Node& node, Ball* out) {
    if (const Status s = Value(node.items[0], out); s != Status::kDone) return s;
    Ball next;
    for (std::size_t i = 1; i < node.items.size(); ++i) {
      if (const Status s = Value(node.items[i], &next); s != Status::kDone) return s;
      (node.op == Op::kAdd ? acb_add : acb_mul)(out->get(), out->get(), next.get(), precision_);
    }
    return Status::kDone;
  }

  Status Power(const Node& node, Ball* out) {
    if (!work_->Spend(hard_)) return Status::kTooLarge;
    Rational exact;
    const Status exponent_status = EvaluateExact(node.items[1], work_, &exact);
    if (exponent_status == Status::kTooLarge) return Status::kTooLarge;
    if (exponent_status == Status::kDone && exact.IsInteger()) {
      if (const Status s = Value(node.items[0], out); s != Status::kDone) return s;
      return IntegerPower(exact, out);
    }
    Ball exponent;
    if (const Status s = Value(node.items[1], &exponent); s != Status::kDone) return s;
    if (exponent_status == Status::kDone && fmpz_is_odd(exact.bottom()) &&
        fmpz_cmp_ui(exact.bottom(), 1000) < 0) {
      // x^(2/3) is the square of the real root.
      if (const Status s = Value(node.items[0], out); s != Status::kDone) return s;
      if (IsNegative(*out)) {
        OddRoot(fmpz_get_ui(exact.bottom()), out);
        Rational whole(1);
        fmpz_set(whole.top(), exact.top());
        return IntegerPower(whole, out);
      }
    }
    const Node& base = node.items[0];
    if (base.op == Op::kConstant && base.name == "e") return Exponential(exponent, out);
    if (const Status s = Value(base, out); s != Status::kDone) return s;
    if (acb_is_zero(out->get()) != 0) {
      return arb_is_positive(acb_realref(exponent.get())) != 0 ? Status::kDone : Status::kUndefined;
    }
    const double log = std::max(std::abs(Log2(*out)), 4.0);
    if (Log2(exponent) + std::log2(log) > 17) return Status::kTooLarge;
    if (IsNegative(*out) && acb_is_int(exponent.get()) == 0) notes_->left_reals = true;
    acb_pow(out->get(), out->get(), exponent.get(), precision_);
    return Status::kDone;
  }

  Status IntegerPower(const Rational& exponent, Ball* out) {
    if (acb_is_zero(out->get()) != 0) {
      if (exponent.Sign() < 0) return Status::kUndefined;
      if (exponent.IsZero()) acb_one(out->get());
      return Status::kDone;
    }
    const double log = std::abs(Log2(*out));
    const double times = std::abs(fmpz_get_d(exponent.top()));
    if (fmpz_bits(exponent.top()) > 40 || log * times > kLargest) {
      if (acb_is_one(out->get()) != 0) return Status::kDone;
      return Status::kTooLarge;
    }
    acb_pow_fmpz(out->get(), out->get(), exponent.top(), precision_);
    return Status::kDone;
  }

  Status Exponential(const Ball& exponent, Ball* out) {
    if (Log2(exponent) > 16) return Status::kTooLarge;
    acb_exp(out->get(), exponent.get(), precision_);
    return Status::kDone;
  }

  Status Function(const Node& node, Ball* out) {
    if (!work_->Spend(hard_)) return Status::kTooLarge;
    Rational exact;
    const Status status = EvaluateExact(node, work_, &exact);
    if (status == Status::kDone) return Set(exact, out);
    if (status != Status::kNotExact) return status;
    const std::string& name = node.name;
    if (name == "binom") return Binomial(node, out);
    if (name == "max" || name == "min") return Extreme(node, out);
    if (name == "det") return Determinant(node, out);
    if (name == "log" || name == "root") return WithBase(node, out);
    if (node.items.size() != 1) return Status::kNotExact;
    if (const Status s = Value(node.items[0], out); s != Status::kDone) return s;
    return One(name, out);
  }

  Status One(const std::string& name, Ball* out) {
    const double size = Log2(*out);
    if (name == "exp") {
      const Ball argument = *out;
      return Exponential(argument, out);
    }
    if (name == "ln" || name == "lg") {
      if (const Status s = Logarithm(out); s != Status::kDone || name == "ln") return s;
      return DivideByLogOf(10, out);
    }
    if (name == "sqrt") {
      if (IsNegative(*out)) notes_->left_reals = true;
      acb_sqrt(out->get(), out->get(), precision_);
      return Status::kDone;
    }
    if (name == "cbrt") return OddRoot(3, out);
    if (name == "factorial") return Gamma(out);
    if (name == "abs") {
      acb_abs(acb_realref(out->get()), out->get(), precision_);
      arb_zero(acb_imagref(out->get()));
      return Status::kDone;
    }
    if (name == "floor" || name == "ceil" || name == "sgn") {
      if (acb_is_real(out->get()) == 0) return Status::kNotExact;
      const auto round = name == "floor" ? arb_floor : name == "ceil" ? arb_ceil : nullptr;
      arb_ptr real = acb_realref(out->get());
      if (round != nullptr) {
        round(real, real, precision_);
      } else {
        arb_sgn(real, real);
      }
      return Status::kDone;
    }
    for (const Named& named : kUnary) {
      if (named.name != name) continue;
      if (size > 4096 || (name.ends_with('h') && name[0] != 'a' && size > 16))
        return Status::kTooLarge;
      const bool real = acb_is_real(out->get()) != 0;
      named.function(out->get(), out->get(), precision_);
      if (real && acb_is_real(out->get()) == 0) notes_->left_reals = true;
      return Status::kDone;
    }
    return Status::kNotExact;
  }

  Status Logarithm(Ball* out) {
    if (acb_is_zero(out->get()) != 0) return Status::kUndefined;
    if (IsNegative(*out)) notes_->left_reals = true;
    acb_log(out->get(), out->get(), precision_);
    return Status::kDone;
  }
  Status DivideByLogOf(unsigned long base, Ball* out) const {
    Ball bottom;
    arb_log_ui(acb_realref(bottom.get()), base, precision_);
    acb_div(out->get(), out->get(), bottom.get(), precision_);
    return Status::kDone;
  }

  // Of a negative number the real root.
  Status OddRoot(unsigned long index, Ball* out) {
    const bool negative = IsNegative(*out);
    if (negative) acb_neg(out->get(), out->get());
    acb_root_ui(out->get(), out->get(), index, precision_);
    if (negative) acb_neg(out->get(), out->get());
    return Status::kDone;
  }

  // log(x) is to base 10, log(x, b) to base b; root(x, n).
  Status WithBase(const Node& node, Ball* out) {
    if (const Status s = Value(node.items[0], out); s != Status::kDone) return s;
    if (node.name == "log") {
      if (const Status s = Logarithm(out); s != Status::kDone) return s;
      if (node.items.size() == 1) return DivideByLogOf(10, out);
      Ball base;
      if (const Status s = Value(node.items[1], &base); s != Status::kDone) return s;
      if (const Status s = Logarithm(&base); s != Status::kDone) return s;
      acb_div(out->get(), out->get(), base.get(), precision_);
      return Status::kDone;
    }
    Rational index;
    if (node.items.size() == 2 && EvaluateExact(node.items[1], work_, &index) == Status::kDone &&
        index.IsInteger() && index.Sign() > 0 && fmpz_cmp_ui(index.top(), 1000) < 0) {
      const unsigned long n = fmpz_get_ui(index.top());
      if (n % 2 == 1) return OddRoot(n, out);
      if (IsNegative(*out)) notes_->left_reals = true;
      acb_root_ui(out->get(), out->get(), n, precision_);
      return Status::kDone;
    }
    Ball power;
    if (const Status s = Value(node.items[1], &power); s != Status::kDone) return s;
    acb_inv(power.get(), power.get(), precision_);
    if (acb_is_finite(power.get()) == 0) return Status::kUndefined;
    if (Log2(power) + std::log2(std::max(std::abs(Log2(*out)), 4.0)) > 17) return Status::kTooLarge;
    if (IsNegative(*out)) notes_->left_reals = true;
    acb_pow(out->get(), out->get(), power.get(), precision_);
    return Status::kDone;
  }

  // x! = gamma(x + 1)
  Status Gamma(Ball* out) {
    if (Log2(*out) > 13 || precision_ > 4096 || !work_->Spend(20 * hard_)) return Status::kTooLarge;
    acb_add_si(out->get(), out->get(), 1, precision_);
    acb_gamma(out->get(), out->get(), precision_);
    return Status::kDone;
  }

  Status Binomial(const Node& node, Ball* out) {
    Ball n, k, rest;
    if (const Status s = Value(node.items[0], &n); s != Status::kDone) return s;
    if (const Status s = Value(node.items[1], &k); s != Status::kDone) return s;
    acb_sub(rest.get(), n.get(), k.get(), precision_);
    if (const Status s = Gamma(&n); s != Status::kDone) return s;
    if (const Status s = Gamma(&k); s != Status::kDone) return s;
    if (const Status s = Gamma(&rest); s != Status::kDone) return s;
    acb_mul(k.get(), k.get(), rest.get(), precision_);
    acb_div(out->get(), n.get(), k.get(), precision_);
    return Status::kDone;
  }

  Status Extreme(const Node& node, Ball* out) {
    if (const Status s = Value(node.items[0], out); s != Status::kDone) return s;
    Ball next;
    for (std::size_t i = 1; i < node.items.size(); ++i) {
      if (const Status s = Value(node.items[i], &next); s != Status::kDone) return s;
      if (acb_is_real(out->get()) == 0 || acb_is_real(next.get()) == 0) return Status::kUndefined;
      arb_ptr real = acb_realref(out->get());
      (node.name == "max" ? arb_max : arb_min)(real, real, acb_realref(next.get()), precision_);
    }
    return Status::kDone;
  }

  // Along the first row; six rows at most.
  Status Determinant(const Node& node, Ball* out) {
    std::size_t n = 1;
    while (n * n < node.items.size())
      ++n;
    std::vector<Ball> cells(n * n);
    for (std::size_t i = 0; i < n * n; ++i) {
      if (const Status s = Value(node.items[i], &cells[i]); s != Status::kDone) return s;
    }
    std::vector<std::size_t> columns(n);
    for (std::size_t c = 0; c < n; ++c)
      columns[c] = c;
    if (!work_->Spend(simple_ * 2000)) return Status::kTooLarge;
    *out = Expand(cells, n, 0, columns);
    return Status::kDone;
  }
  Ball Expand(const std::vector<Ball>& cells,
              std::size_t n,
              std::size_t row,
              const std::vector<std::size_t>& columns) {
    Ball sum;
    if (row == n) {
      acb_one(sum.get());
      return sum;
    }
    for (std::size_t c = 0; c < columns.size(); ++c) {
      std::vector<std::size_t> rest = columns;
      rest.erase(rest.begin() + static_cast<std::ptrdiff_t>(c));
      const Ball minor = Expand(cells, n, row + 1, rest);
      const Ball& cell = cells[row * n + columns[c]];
      (c % 2 == 0 ? acb_addmul : acb_submul)(sum.get(), cell.get(), minor.get(), precision_);
    }
    return sum;
  }

  const Point& point_;
  long precision_;
  Work* work_;
  BallNotes* notes_;
  std::int64_t simple_ = 0;
  std::int64_t hard_ = 0;
};

}  // namespace

Status EvaluateBall(const Node& node,
                    const Point& point,
                    long precision,
                    Work* work,
                    BallNotes* notes,
                    Ball* out) {
  return Evaluator(point, precision, work, notes).Value(node, out);
}

}  // namespace aha::rewards::math
