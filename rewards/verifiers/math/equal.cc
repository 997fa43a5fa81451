#include "rewards/verifiers/math/equal.h"

#include <algorithm>
#include <cmath>
#include <iterator>
#include <optional>

#include "rewards/verifiers/math/ball.h"
#include "rewards/verifiers/math/exact.h"
#include "rewards/verifiers/math/modular.h"

namespace aha::rewards::math {
namespace {

constexpr long kFirstPrecision = 96;
constexpr long kSpare = 128;
constexpr long kMostPrecision = 1 << 14;
constexpr int kPoints = 6;
constexpr int kWidePoints = 4;

std::vector<std::string> SymbolsOfBoth(const Node& a, const Node& b) {
  const auto left = SymbolsOf(a), right = SymbolsOf(b);
  std::vector<std::string> both;
  std::set_union(left.begin(), left.end(), right.begin(), right.end(), std::back_inserter(both));
  return both;
}

Judgement Of(Status status) {
  return {status == Status::kUndefined  ? Sameness::kUndefined
          : status == Status::kTooLarge ? Sameness::kTooLarge
                                        : Sameness::kUnknown,
          status == Status::kTooLarge ? "too_large" : "undefined"};
}

// The radius is small against what is compared.
bool IsSharp(const Ball& ball, const Ball& scale, long precision) {
  mag_t radius, size;
  mag_init(radius);
  mag_init(size);
  mag_hypot(radius, arb_radref(acb_realref(ball.get())), arb_radref(acb_imagref(ball.get())));
  acb_get_mag(size, scale.get());
  const bool sharp =
      mag_is_zero(radius) != 0 ||
      mag_get_d_log2_approx(radius) < (mag_is_zero(size) != 0 ? 0 : mag_get_d_log2_approx(size)) -
                                          static_cast<double>(precision) / 2;
  mag_clear(radius);
  mag_clear(size);
  return sharp;
}

struct Pair {
  Ball reference, answer;
  BallNotes reference_notes, answer_notes;
};

Status Both(const Node& reference,
            const Node& answer,
            const Point& point,
            long precision,
            Work* work,
            Pair* out) {
  if (const Status s =
          EvaluateBall(reference, point, precision, work, &out->reference_notes, &out->reference);
      s != Status::kDone) {
    return s;
  }
  return EvaluateBall(answer, point, precision, work, &out->answer_notes, &out->answer);
}

// What precision covers all that happened.
long Enough(const Pair& pair) {
  const double largest = std::max(pair.reference_notes.largest, pair.answer_notes.largest);
  return kSpare + 64 + 2 * static_cast<long>(std::ceil(largest));
}

// Equal at one point? Rises from a quick look to full precision; only a difference can be told
// early.
Judgement AtPoint(const Node& reference,
                  const Node& answer,
                  const Point& point,
                  Work* work,
                  Pair* pair) {
  long precision = kFirstPrecision;
  for (int round = 0; round < 4; ++round) {
    *pair = {};
    const Status status = Both(reference, answer, point, precision, work, pair);
    if (status == Status::kUndefined && round < 2) {
      precision = std::max(4 * precision, 256L);  // a ball around a pole may clear it
      continue;
    }
    if (status != Status::kDone) return Of(status);
    if (acb_overlaps(pair->reference.get(), pair->answer.get()) == 0)
      return {Sameness::kDifferent, "numeric"};
    const long enough = Enough(*pair);
    if (enough > kMostPrecision) return {Sameness::kTooLarge, "too_large"};
    Ball difference;
    acb_sub(difference.get(), pair->reference.get(), pair->answer.get(), precision);
    if (precision >= enough && IsSharp(difference, pair->reference, std::min(precision, enough)))
      return {Sameness::kSame, "numeric"};
    precision = std::max(enough, 2 * precision);
    if (precision > 2 * kMostPrecision) break;
  }
  return {Sameness::kUnknown, "undecided"};
}

// By residues: nullopt-like kUnknown where an expression is not rational.
Judgement ByResidues(const Node& reference,
                     const Node& answer,
                     const std::vector<std::string>& symbols,
                     PointSource* source,
                     Work* work) {
  if (!work->Spend(1000)) return {Sameness::kTooLarge, "too_large"};
  const std::uint64_t prime = DrawPrime(source);
  std::vector<std::uint64_t> residues(symbols.size());
  for (int point = 0, tries = 0; point < 2 && tries < 4; ++tries) {
    for (auto& residue : residues)
      residue = source->Bits() % prime;
    std::uint64_t a = 0, b = 0;
    const Status left = EvaluateModular(reference, symbols, residues, prime, work, &a);
    const Status right =
        left == Status::kDone ? EvaluateModular(answer, symbols, residues, prime, work, &b) : left;
    if (right == Status::kUndefined) continue;
    if (right == Status::kNotExact) return {};
    if (right != Status::kDone) return Of(right);
    if (a != b) return {Sameness::kDifferent, "identity"};
    ++point;
    if (point == 2) return {Sameness::kSame, "identity"};
  }
  return {Sameness::kUndefined, "undefined"};
}

// What one point says; nothing where the reference leaves the real numbers.
std::optional<Judgement> Told(const Node& reference,
                              const Node& answer,
                              const Point& point,
                              Work* work) {
  Pair pair;
  const Judgement here = AtPoint(reference, answer, point, work, &pair);
  if (pair.reference_notes.imaginary || pair.answer_notes.imaginary) return here;
  if (pair.reference_notes.left_reals || here.sameness == Sameness::kUndefined) return std::nullopt;
  if (here.sameness == Sameness::kSame && pair.answer_notes.left_reals)
    return Judgement{Sameness::kDifferent, "domain"};
  return here;
}

// (-1)^n has values at whole numbers alone: there it is compared.
Judgement AtWholePoints(const Node& reference,
                        const Node& answer,
                        const std::vector<std::string>& symbols,
                        PointSource* source,
                        Work* work) {
  for (int i = 0; i < kPoints; ++i) {
    const auto here = Told(reference, answer, source->Whole(symbols), work);
    if (!here) return {Sameness::kUndefined, "undefined"};
    if (here->sameness != Sameness::kSame) return *here;
  }
  return {Sameness::kSame, "identity"};
}

Judgement AtPoints(const Node& reference,
                   const Node& answer,
                   const std::vector<std::string>& symbols,
                   PointSource* source,
                   Work* work) {
  int told = 0;
  for (int i = 0; i < kPoints; ++i) {
    const auto here = Told(reference, answer, source->Next(symbols), work);
    if (!here) continue;
    if (here->sameness != Sameness::kSame) return *here;
    ++told;
  }
  if (told == 0) {
    if (Told(reference, reference, source->Next(symbols), work))
      return {Sameness::kUndefined, "undefined"};
    return AtWholePoints(reference, answer, symbols, source, work);
  }
  for (int i = 0; i < kWidePoints; ++i) {
    const auto here = Told(reference, answer, source->Wide(symbols), work);
    if (here && here->sameness == Sameness::kDifferent) return *here;
  }
  return {Sameness::kSame, "identity"};
}

// Whether a fraction in lowest terms has a denominator of twos and fives alone.
bool DecimalsEnd(const Rational& value) {
  Rational rest = value;
  for (const ulong prime : {2UL, 5UL}) {
    Rational factor(static_cast<long>(prime));
    fmpz_remove(rest.bottom(), rest.bottom(), factor.top());
  }
  return fmpz_is_one(rest.bottom()) != 0;
}

}  // namespace

Judgement SameExpression(const Node& reference, const Node& answer, Work* work) {
  Rational left, right;
  const Status a = EvaluateExact(reference, work, &left);
  if (a == Status::kTooLarge || a == Status::kUndefined) return Of(a);
  const Status b = EvaluateExact(answer, work, &right);
  if (b == Status::kTooLarge || b == Status::kUndefined) return Of(b);
  if (a == Status::kDone && b == Status::kDone)
    return {left == right ? Sameness::kSame : Sameness::kDifferent, "exact"};
  const std::vector<std::string> symbols = SymbolsOfBoth(reference, answer);
  if (symbols.empty()) {
    Pair pair;
    return AtPoint(reference, answer, {}, work, &pair);
  }
  PointSource source(ToText(reference), ToText(answer));
  if (const Judgement judged = ByResidues(reference, answer, symbols, &source, work);
      judged.sameness != Sameness::kUnknown) {
    return judged;
  }
  return AtPoints(reference, answer, symbols, &source, work);
}

Judgement RoundsTo(const Node& reference, std::int64_t decimals, const Node& answer, Work* work) {
  // |answer| lies in [|reference| - unit/2, |reference| + unit/2).
  Rational want;
  if (const Status s = EvaluateExact(reference, work, &want); s != Status::kDone) return Of(s);
  Node step(Op::kNumber, "5");
  step.exponent = static_cast<std::int32_t>(-decimals - 1);
  Rational half;
  if (const Status s = EvaluateExact(step, work, &half); s != Status::kDone) return Of(s);
  const bool negative = want.Sign() < 0;
  Rational low, high;
  fmpq_abs(want.get(), want.get());
  fmpq_sub(low.get(), want.get(), half.get());
  fmpq_add(high.get(), want.get(), half.get());
  const bool zero = want.IsZero();
  Rational value;
  const Status status = EvaluateExact(answer, work, &value);
  if (status == Status::kTooLarge || status == Status::kUndefined) return Of(status);
  if (status == Status::kDone) {
    const bool sign_fits = zero || (value.Sign() < 0) == negative;
    fmpq_abs(value.get(), value.get());
    const bool same = sign_fits && fmpq_cmp(value.get(), high.get()) < 0 &&
                      (zero || fmpq_cmp(value.get(), low.get()) >= 0);
    return {same ? Sameness::kSame : Sameness::kDifferent, "rounded"};
  }
  BallNotes notes;
  Ball ball, bound;
  const long precision = std::min(2 * want.Bits() + 256, kMostPrecision);
  if (const Status s = EvaluateBall(answer, {}, precision, work, &notes, &ball); s != Status::kDone)
    return Of(s);
  if (acb_is_real(ball.get()) == 0 && arb_contains_zero(acb_imagref(ball.get())) == 0)
    return {Sameness::kDifferent, "rounded"};
  arb_ptr real = acb_realref(ball.get());
  if (!zero && (arb_is_negative(real) != 0) != negative) return {Sameness::kDifferent, "rounded"};
  arb_abs(real, real);
  arb_ptr edge = acb_realref(bound.get());
  arb_set_fmpq(edge, high.get(), precision);
  if (arb_lt(real, edge) == 0) return {Sameness::kDifferent, "rounded"};
  arb_set_fmpq(edge, low.get(), precision);
  if (!zero && arb_ge(real, edge) == 0) return {Sameness::kDifferent, "rounded"};
  return {Sameness::kSame, "rounded"};
}

bool RoundsOrCutsTo(const Node& reference, const Node& answer, std::int64_t decimals, Work* work) {
  Rational value, have;
  if (EvaluateExact(reference, work, &value) == Status::kDone && DecimalsEnd(value)) return false;
  if (EvaluateExact(answer, work, &have) != Status::kDone || have.IsZero()) return false;
  BallNotes notes;
  Ball ball, far;
  const long precision = std::min(2 * have.Bits() + 256, kMostPrecision);
  if (EvaluateBall(reference, {}, precision, work, &notes, &ball) != Status::kDone ||
      arb_contains_zero(acb_imagref(ball.get())) == 0)
    return false;
  // What was cut off, |reference| - |answer|, lies in [-unit/2, unit).
  arb_ptr cut = acb_realref(ball.get());
  arb_ptr bound = acb_realref(far.get());
  if (have.Sign() < 0) arb_neg(cut, cut);
  fmpq_abs(have.get(), have.get());
  arb_set_fmpq(bound, have.get(), precision);
  arb_sub(cut, cut, bound, precision);
  arb_set_si(bound, 10);
  arb_pow_ui(bound, bound, static_cast<ulong>(decimals), precision);
  arb_mul(cut, cut, bound, precision);
  arb_mul_2exp_si(cut, cut, 1);
  arb_set_si(bound, 2);
  if (arb_lt(cut, bound) == 0) return false;
  arb_set_si(bound, -1);
  return arb_ge(cut, bound) != 0;
}

bool SignOf(const Node& node, Work* work, int* sign) {
  Rational value;
  if (EvaluateExact(node, work, &value) == Status::kDone) {
    *sign = value.Sign();
    return true;
  }
  BallNotes notes;
  Ball ball;
  if (EvaluateBall(node, {}, 256, work, &notes, &ball) != Status::kDone ||
      acb_is_real(ball.get()) == 0)
    return false;
  arb_srcptr real = acb_realref(ball.get());
  *sign = arb_is_positive(real) != 0 ? 1 : arb_is_negative(real) != 0 ? -1 : 0;
  return true;
}

int RatioSign(const Node& reference, const Node& answer, Work* work) {
  const std::vector<std::string> symbols = SymbolsOfBoth(reference, answer);
  if (symbols.empty()) return 0;
  PointSource source(ToText(reference), ToText(answer));
  // The constant at one point, as balls; then reference * g0 = answer * f0 everywhere.
  Node settled[2] = {reference, answer};
  const Point first = source.Next(symbols);
  Pair pair;
  if (Both(reference, answer, first, 192, work, &pair) != Status::kDone) return 0;
  if (acb_contains_zero(pair.reference.get()) != 0 || acb_contains_zero(pair.answer.get()) != 0)
    return 0;
  Ball ratio;
  acb_div(ratio.get(), pair.reference.get(), pair.answer.get(), 192);
  if (acb_is_real(ratio.get()) == 0) return 0;
  const int sign = arb_is_positive(acb_realref(ratio.get())) != 0 ? 1 : -1;
  const auto fixed = [&first](auto& self, Node* node) -> void {
    if (node->op == Op::kSymbol) {
      for (const Setting& setting : first) {
        if (setting.symbol != node->name) continue;
        Node value(Op::kDivide, "",
                   {Node(Op::kNumber, std::to_string(std::abs(setting.value))),
                    Node(Op::kNumber, std::to_string(1 << kSettingShift))});
        *node = setting.value < 0 ? Node(Op::kNegate, "", {std::move(value)}) : std::move(value);
        return;
      }
    }
    for (Node& item : node->items)
      self(self, &item);
  };
  for (Node& node : settled)
    fixed(fixed, &node);
  const Node left(Op::kMultiply, "", {reference, settled[1]});
  const Node right(Op::kMultiply, "", {answer, settled[0]});
  return SameExpression(left, right, work).sameness == Sameness::kSame ? sign : 0;
}

}  // namespace aha::rewards::math
