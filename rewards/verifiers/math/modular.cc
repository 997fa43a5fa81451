#include "rewards/verifiers/math/modular.h"

#include <algorithm>

#include <flint/fmpz.h>
#include <flint/nmod_vec.h>
#include <flint/ulong_extras.h>

#include "rewards/verifiers/math/exact.h"

namespace aha::rewards::math {
namespace {

class Modular {
 public:
  Modular(const std::vector<std::string>& symbols,
          const std::vector<std::uint64_t>& residues,
          std::uint64_t prime,
          Work* work)
      : symbols_(symbols), residues_(residues), work_(work) {
    nmod_init(&mod_, prime);
  }

  Status Value(const Node& node, std::uint64_t* out) {
    if (!work_->Spend(8)) return Status::kTooLarge;
    switch (node.op) {
      case Op::kSymbol: {
        const auto at = std::lower_bound(symbols_.begin(), symbols_.end(), node.name);
        *out = residues_[static_cast<std::size_t>(at - symbols_.begin())];
        return Status::kDone;
      }
      case Op::kAdd:
      case Op::kMultiply: {
        std::uint64_t next = 0;
        *out = node.op == Op::kAdd ? 0 : 1;
        for (const Node& item : node.items) {
          if (const Status s = Value(item, &next); s != Status::kDone) return s;
          *out = node.op == Op::kAdd ? nmod_add(*out, next, mod_) : nmod_mul(*out, next, mod_);
        }
        return Status::kDone;
      }
      case Op::kNegate:
        if (const Status s = Value(node.items[0], out); s != Status::kDone) return s;
        *out = nmod_neg(*out, mod_);
        return Status::kDone;
      case Op::kPercent:
        if (const Status s = Value(node.items[0], out); s != Status::kDone) return s;
        *out = nmod_div(*out, 100, mod_);
        return Status::kDone;
      case Op::kDivide: {
        std::uint64_t bottom = 0;
        if (const Status s = Value(node.items[1], &bottom); s != Status::kDone) return s;
        if (bottom == 0) return Status::kUndefined;
        if (const Status s = Value(node.items[0], out); s != Status::kDone) return s;
        if (!work_->Spend(50)) return Status::kTooLarge;
        *out = nmod_div(*out, bottom, mod_);
        return Status::kDone;
      }
      case Op::kPower:
        return Power(node, out);
      default:
        return Constant(node, out);
    }
  }

 private:
  Status Constant(const Node& node, std::uint64_t* out) {
    Rational value;
    if (const Status s = EvaluateExact(node, work_, &value); s != Status::kDone) return s;
    const std::uint64_t bottom = fmpz_fdiv_ui(value.bottom(), mod_.n);
    if (bottom == 0) return Status::kUndefined;
    *out = nmod_div(fmpz_fdiv_ui(value.top(), mod_.n), bottom, mod_);
    return Status::kDone;
  }

  Status Power(const Node& node, std::uint64_t* out) {
    Rational exponent;
    if (const Status s = EvaluateExact(node.items[1], work_, &exponent); s != Status::kDone)
      return s;
    if (!exponent.IsInteger()) return Status::kNotExact;
    if (const Status s = Value(node.items[0], out); s != Status::kDone) return s;
    if (*out == 0 && exponent.Sign() < 0) return Status::kUndefined;
    if (*out == 0) {
      *out = exponent.IsZero() ? 1 : 0;
      return Status::kDone;
    }
    if (!work_->Spend(200)) return Status::kTooLarge;
    // The exponent counts modulo p - 1 (Fermat), also when it is negative.
    *out = nmod_pow_ui(*out, fmpz_fdiv_ui(exponent.top(), mod_.n - 1), mod_);
    return Status::kDone;
  }

  const std::vector<std::string>& symbols_;
  const std::vector<std::uint64_t>& residues_;
  nmod_t mod_{};
  Work* work_;
};

}  // namespace

std::uint64_t DrawPrime(PointSource* source) {
  return n_nextprime((std::uint64_t{1} << 62) + (source->Bits() >> 4), 0);
}

Status EvaluateModular(const Node& node,
                       const std::vector<std::string>& symbols,
                       const std::vector<std::uint64_t>& residues,
                       std::uint64_t prime,
                       Work* work,
                       std::uint64_t* out) {
  return Modular(symbols, residues, prime, work).Value(node, out);
}

}  // namespace aha::rewards::math
