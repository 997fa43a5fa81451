#include "rewards/verifiers/math/compare.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "rewards/verifiers/math/equal.h"
#include "rewards/verifiers/math/exact.h"
#include "rewards/verifiers/math/rewrite.h"
#include "rewards/verifiers/math/solution_set.h"
#include "rewards/verifiers/math/units.h"

namespace aha::rewards::math {
namespace {

bool IsInfinite(const Node& node) {
  return node.op == Op::kConstant ? node.name == "inf"
                                  : std::any_of(node.items.begin(), node.items.end(), IsInfinite);
}

constexpr std::int64_t kMostDecimals = 1000;  // of an answer to an exact reference
// A double is right to 15 significant digits, and printed with up to 17.
constexpr std::int64_t kSoundDigits = 15, kDoubleDigits = 17;

std::string WithoutBlanks(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (c != ' ') out.push_back(c);
  }
  return out;
}

class Comparer {
 public:
  Comparer(Work* work, int decimals) : work_(work), decimals_(decimals) {}

  bool Same(const Node& reference, const Node& answer) {
    if (!work_->Spend(20)) too_large_ = true;
    if (too_large_) return false;
    const auto left = TakeName(reference), right = TakeName(answer);
    if (left && right) return SameNamed(reference, *left, answer, *right);
    if (left && answer.op == Op::kList && left->value->op == Op::kTuple)
      return SameAssignments(answer, reference.items[0], *left->value, false);
    if (right && reference.op == Op::kList && right->value->op == Op::kTuple)
      return SameAssignments(reference, answer.items[0], *right->value, true);
    if (left && !IsStatement(answer)) return Same(*left->value, answer);
    if (right && !IsStatement(reference)) return Same(reference, *right->value);
    // 113 and m + n = 113.
    if (IsValue(reference) && SymbolsOf(reference).empty()) {
      if (const Node* value = SumOfNames(answer)) return Same(reference, *value);
    }
    return SameKind(reference, answer);
  }

  [[nodiscard]] bool too_large() const { return too_large_; }
  [[nodiscard]] const std::string& rule() const { return rule_; }

 private:
  bool Decide(bool same, const char* rule) {
    rule_ = rule;
    return same;
  }
  bool Decide(const Judgement& judged) {
    if (judged.sameness == Sameness::kTooLarge) too_large_ = true;
    return Decide(judged.sameness == Sameness::kSame, judged.rule);
  }

  bool SameNamed(const Node& reference, const Named& left, const Node& answer, const Named& right) {
    if (left.name == right.name || left.words || right.words || left.name.empty() ||
        right.name.empty())
      return Same(*left.value, *right.value);
    if (left.value->op == Op::kTuple || !IsExpression(*left.value) || !IsExpression(*right.value) ||
        (SymbolsOf(*left.value).empty() && SymbolsOf(*right.value).empty())) {
      return Decide(false, "names");
    }
    return SameRelation(reference, answer);
  }

  // The value of m + n + p = 113; null: the answer is no such thing.
  static const Node* SumOfNames(const Node& answer) {
    if (answer.op != Op::kRelation || answer.signs != U"=" || answer.items[0].op != Op::kAdd)
      return nullptr;
    const auto& terms = answer.items[0].items;
    const bool names = std::all_of(terms.begin(), terms.end(),
                                   [](const Node& term) { return term.op == Op::kSymbol; });
    return names && SymbolsOf(answer.items[1]).empty() ? &answer.items[1] : nullptr;
  }

  // x = 1, y = 2 against (x, y) = (1, 2).
  bool SameAssignments(const Node& list,
                       const Node& names,
                       const Node& values,
                       bool list_is_reference) {
    if (names.op != Op::kTuple || list.items.size() != names.items.size() ||
        values.items.size() != names.items.size())
      return Decide(false, "names");
    for (const Node& item : list.items) {
      const auto named = TakeName(item);
      if (!named) return Decide(false, "names");
      const auto at = std::find_if(names.items.begin(), names.items.end(),
                                   [&](const Node& name) { return name.name == named->name; });
      if (at == names.items.end()) return Decide(false, "names");
      const Node& value = values.items[static_cast<std::size_t>(at - names.items.begin())];
      if (list_is_reference ? !Same(*named->value, value) : !Same(value, *named->value))
        return false;
    }
    return true;
  }

  bool SameKind(const Node& reference, const Node& answer) {
    if (SizeOf(reference) == SizeOf(answer) && ToText(reference) == ToText(answer))
      return Decide(true, "same text");
    if (reference.op == Op::kText || answer.op == Op::kText) {
      return Decide(
          reference.op == answer.op && WithoutBlanks(reference.name) == WithoutBlanks(answer.name),
          "words");
    }
    if (IsValue(reference) && IsValue(answer)) return SameValue(reference, answer);
    if (IsRatio(reference) || IsRatio(answer)) return SameRatio(reference, answer);
    if (MeansSolutionSet(reference) || MeansSolutionSet(answer)) {
      if (UnknownOf(reference) != UnknownOf(answer) && !UnknownOf(reference).empty() &&
          !UnknownOf(answer).empty())
        return Decide(false, "names");
      const auto left = ToSolutionSet(reference, work_), right = ToSolutionSet(answer, work_);
      if (left && right) return SameSets(*left, *right);
    }
    if (reference.op == Op::kRelation && answer.op == Op::kRelation)
      return SameRelation(reference, answer);
    if (reference.op == Op::kMatrix || answer.op == Op::kMatrix)
      return SameMatrix(reference, answer);
    if (reference.op == Op::kDomain || answer.op == Op::kDomain)
      return Decide(reference.op == answer.op && reference.name == answer.name, "domain");
    if (reference.op == Op::kSetWith && answer.op == Op::kSetWith)
      return Same(reference.items[0], answer.items[0]) && Same(reference.items[1], answer.items[1]);
    if (reference.op == answer.op &&
        (reference.op == Op::kUnion || reference.op == Op::kIntersection))
      return AnyOrder(reference.items, answer.items);
    if (reference.op == answer.op && reference.op == Op::kDifference)
      return InOrder(reference.items, answer.items);
    return SameCollection(reference, answer);
  }

  // Whose values an inequality tells; a set's own letter is any other.
  static std::string UnknownOf(const Node& node) {
    if (node.op != Op::kRelation && node.op != Op::kList) return {};
    const auto symbols = SymbolsOf(node);
    return symbols.size() == 1 ? symbols[0] : std::string();
  }

  // --- Values
  // -------------------------------------------------------------------------------------

  static bool IsValue(const Node& node) { return node.op == Op::kQuantity || IsExpression(node); }

  // Takes the unit off; degrees of arc are one.
  static const Node& WithoutUnit(const Node& node, std::string* unit) {
    if (node.op == Op::kQuantity) {
      *unit = node.name;
      return node.items[0];
    }
    if (node.op == Op::kDegree) {
      *unit = "degree";
      return node.items[0];
    }
    if (node.op == Op::kNegate && node.items[0].op == Op::kDegree) *unit = "degree";
    return node;
  }

  bool SameValue(const Node& reference, const Node& answer) {
    std::string want, have;
    const Node& left = WithoutUnit(reference, &want);
    const Node& right = WithoutUnit(answer, &have);
    if (want == have || want.empty() || have.empty()) {
      if (SameNumber(left, right)) return true;
      // 5m, written like a variable, where the unit is meant.
      if (have.empty() && !want.empty() && right.op == Op::kMultiply && right.items.size() == 2 &&
          right.items[1].op == Op::kSymbol && right.items[1].name == want) {
        return SameNumber(left, right.items[0]);
      }
      // 90 degrees are pi/2.
      if (want == "degree" || have == "degree") return !too_large_ && SameNumber(reference, answer);
      return false;
    }
    long top = 0, bottom = 0;
    if (!Conversion(have, want, &top, &bottom)) return Decide(false, "unit");
    const Node factor(
        Op::kDivide, "",
        {Node(Op::kNumber, std::to_string(top)), Node(Op::kNumber, std::to_string(bottom))});
    const bool same = SameNumber(left, Node(Op::kMultiply, "", {right, factor}));
    rule_ = "unit";
    return same;
  }

  // With a % in the reference: the number, the number with %, or the fraction it means.
  bool SameNumber(const Node& reference, const Node& answer) {
    if (IsModular(reference) || IsModular(answer)) return SameResidue(reference, answer);
    if (IsInfinite(reference) || IsInfinite(answer))
      return Decide(ToText(reference) == ToText(answer), "infinity");
    if (reference.op == Op::kPercent ||
        (reference.op == Op::kNegate && reference.items[0].op == Op::kPercent)) {
      const Node plain = WithoutPercent(reference);
      const bool percent = Has(answer, Op::kPercent);
      const bool same = Means(plain, 0, percent ? WithoutPercent(answer) : answer) ||
                        (!percent && Means(reference, 2, answer));
      rule_ = "percent";
      return same;
    }
    return Means(reference, 0, answer);
  }

  // 3 (mod 7) is 3 and 10 (mod 7); 3 is not 10 (mod 7), nor 3 (mod 8).
  static bool IsModular(const Node& node) {
    return node.op == Op::kFunction && node.name == "mod" && node.items.size() == 2;
  }
  bool SameResidue(const Node& reference, const Node& answer) {
    const Node& want = IsModular(reference) ? reference.items[0] : reference;
    const Node& have = IsModular(answer) ? answer.items[0] : answer;
    if (!IsModular(reference) || !IsModular(answer)) return SameNumber(want, have);
    const Node& modulus = reference.items[1];
    if (!SameNumber(modulus, answer.items[1])) return Decide(false, "modulus");
    if (SameNumber(want, have)) return true;
    if (IsLiteral(want) && !IsLiteral(have)) return Decide(false, "modulus");
    Rational off, step;
    if (EvaluateExact(Subtract(want, have), work_, &off) != Status::kDone ||
        EvaluateExact(modulus, work_, &step) != Status::kDone || step.IsZero())
      return Decide(false, "modulus");
    fmpq_div(off.get(), off.get(), step.get());
    return Decide(off.IsInteger(), "modulus");
  }

  static Node WithoutPercent(Node node) {
    if (node.op == Op::kPercent) {
      Node inner = std::move(node.items[0]);
      return inner;
    }
    for (Node& item : node.items)
      item = WithoutPercent(std::move(item));
    return node;
  }

  // `more`: decimals that a percent sign adds.
  bool Means(const Node& reference, std::int64_t more, const Node& answer) {
    const Node& digits = more == 0 ? reference : WithoutPercentView(reference);
    const auto literal = AsLiteral(digits);
    if (literal && literal->decimals && SymbolsOf(answer).empty())
      return Decide(RoundsTo(reference, *literal->decimals + more, answer, work_));
    if (Decide(SameExpression(reference, answer, work_))) return true;
    return decimals_ >= 0 && !literal && !too_large_ && IsDecimalOf(reference, answer);
  }

  // 0.333333 of 1/3; 33.333333% too.
  bool IsDecimalOf(const Node& reference, const Node& answer) {
    const auto digits = AsLiteral(WithoutPercentView(answer));
    if (!digits || !digits->decimals || !SymbolsOf(reference).empty()) return false;
    std::int64_t last = *digits->decimals + (Has(answer, Op::kPercent) ? 2 : 0);
    if (last < 0 || last > kMostDecimals) return false;
    if (last < decimals_ || digits->significant < decimals_) {
      if (RoundsOrCutsTo(reference, answer, last, work_)) rule_ = "few decimals";
      return false;
    }
    if (digits->significant > kSoundDigits && digits->significant <= kDoubleDigits)
      last -= digits->significant - kSoundDigits;
    if (!RoundsOrCutsTo(reference, answer, last, work_)) return false;
    return Decide(true, "decimals");
  }
  static const Node& WithoutPercentView(const Node& node) {
    if (node.op == Op::kNegate) return WithoutPercentView(node.items[0]);
    return node.op == Op::kPercent ? node.items[0] : node;
  }

  // --- Relations
  // ----------------------------------------------------------------------------------

  static bool IsStatement(const Node& node) { return node.op == Op::kRelation && !IsRatio(node); }
  static bool IsRatio(const Node& node) {
    return node.op == Op::kRelation &&
           std::all_of(node.signs.begin(), node.signs.end(), [](char32_t s) { return s == U':'; });
  }

  bool SameRatio(const Node& reference, const Node& answer) {
    rule_ = "ratio";
    if (IsRatio(reference) && IsRatio(answer)) {
      if (reference.items.size() != answer.items.size() || IsTime(reference) || IsTime(answer))
        return false;
      for (std::size_t i = 1; i < reference.items.size(); ++i) {
        Node left, right;
        if (!Product(reference.items[i], answer.items[0], &left) ||
            !Product(answer.items[i], reference.items[0], &right))
          return false;
        if (SameExpression(left, right, work_).sameness != Sameness::kSame) return false;
      }
      return true;
    }
    const Node& ratio = IsRatio(reference) ? reference : answer;
    const Node& other = IsRatio(reference) ? answer : reference;
    if (ratio.items.size() != 2 || !IsExpression(ratio.items[0]) || !IsExpression(ratio.items[1]) ||
        !IsExpression(other))
      return false;
    const Node quotient(Op::kDivide, "", {ratio.items[0], ratio.items[1]});
    return SameExpression(quotient, other, work_).sameness == Sameness::kSame;
  }
  // 12:00 is no ratio.
  static bool IsTime(const Node& ratio) {
    const auto number = [](const Node& node, std::size_t least, std::size_t most) {
      return node.op == Op::kNumber && node.name.size() >= least && node.name.size() <= most;
    };
    return number(ratio.items[0], 1, 2) && ratio.items[1].op == Op::kNumber &&
           ratio.items[1].name.size() == 2 && ratio.items[1].name[0] <= '5' &&
           (ratio.items[1].name[0] == '0' || ratio.items[1].name[1] == '0');
  }
  static bool Product(const Node& a, const Node& b, Node* out) {
    if (!IsExpression(a) || !IsExpression(b)) return false;
    *out = Node(Op::kMultiply, "", {a, b});
    return true;
  }

  static char32_t Mirrored(char32_t sign) {
    switch (sign) {
      case U'<':
        return U'>';
      case U'>':
        return U'<';
      case U'≤':
        return U'≥';
      case U'≥':
        return U'≤';
      default:
        return sign;
    }
  }

  bool SameRelation(const Node& reference, const Node& answer) {
    if (reference.signs.size() == 1 && answer.signs.size() == 1 && OneRelation(reference, answer))
      return Decide(true, "relation");
    // Side by side, from either end.
    if (reference.signs == answer.signs && InOrder(reference.items, answer.items)) return true;
    Node turned = answer;
    std::reverse(turned.items.begin(), turned.items.end());
    std::reverse(turned.signs.begin(), turned.signs.end());
    for (char32_t& sign : turned.signs)
      sign = Mirrored(sign);
    if (reference.signs == turned.signs && InOrder(reference.items, turned.items)) return true;
    return Decide(false, "relation");
  }

  // left - right of one is a constant times that of the other; its sign may turn an inequality.
  bool OneRelation(const Node& reference, const Node& answer) {
    for (const Node* node : {&reference, &answer}) {
      if (!IsExpression(node->items[0]) || !IsExpression(node->items[1]) || IsInfinite(*node))
        return false;
    }
    const char32_t want = reference.signs[0], have = answer.signs[0];
    if (want != have && want != Mirrored(have)) return false;
    const int sign = RatioSign(Subtract(reference.items[0], reference.items[1]),
                               Subtract(answer.items[0], answer.items[1]), work_);
    if (sign == 0) return false;
    return want == U'=' || want == U'≠' || (sign > 0) == (want == have);
  }

  bool SameSets(const SolutionSet& reference, const SolutionSet& answer) {
    rule_ = "interval";
    if (reference.size() != answer.size()) return false;
    const auto end = [this](const std::optional<Node>& a, const std::optional<Node>& b) {
      return a.has_value() == b.has_value() && (!a || SameNumber(*a, *b));
    };
    for (std::size_t i = 0; i < reference.size(); ++i) {
      const Interval &a = reference[i], &b = answer[i];
      if (a.low_open != b.low_open || a.high_open != b.high_open || !end(a.low, b.low) ||
          !end(a.high, b.high))
        return Decide(false, "interval");
    }
    return Decide(true, "interval");
  }

  // --- Collections
  // --------------------------------------------------------------------------------

  bool InOrder(const std::vector<Node>& reference, const std::vector<Node>& answer) {
    if (reference.size() != answer.size()) return Decide(false, "count");
    for (std::size_t i = 0; i < reference.size(); ++i) {
      if (!Same(reference[i], answer[i])) return false;
    }
    return Decide(true, "in order");
  }

  // Each is in the other; repeats count once.
  bool AnyOrder(const std::vector<Node>& reference, const std::vector<Node>& answer) {
    const auto holds = [this](const std::vector<Node>& items, const auto& test) {
      return std::any_of(items.begin(), items.end(),
                         [&](const Node& item) { return !too_large_ && test(item); });
    };
    for (const Node& want : reference) {
      if (!holds(answer, [&](const Node& have) { return Same(want, have); }))
        return Decide(false, "set");
    }
    for (const Node& have : answer) {
      if (!holds(reference, [&](const Node& want) { return Same(want, have); }))
        return Decide(false, "set");
    }
    return Decide(true, "set");
  }

  static bool SameBrackets(const Node& a, const Node& b) {
    if (a.open == b.open && a.close == b.close) return true;
    // Points and vectors; two in round or square brackets may be an interval.
    const auto round_or_angle = [](char32_t c) { return c == U'(' || c == U'⟨'; };
    if (round_or_angle(a.open) && round_or_angle(b.open)) return a.close != U']' && b.close != U']';
    return a.items.size() > 2 && b.items.size() > 2;
  }

  // Every item has a name of its own: their order is the names' then.
  static bool DistinctNames(const Node& node) {
    std::vector<std::string> names;
    for (const Node& item : node.items) {
      const auto named = TakeName(item);
      if (!named || named->name.empty()) return false;
      if (!names.empty() && named->name <= names.back()) return false;
      names.push_back(named->name);
    }
    return !names.empty();
  }
  static bool AnyNames(const Node& node) {
    return std::any_of(node.items.begin(), node.items.end(),
                       [](const Node& item) { return TakeName(item).has_value(); });
  }

  // x_1 = 1, x_2 = -3 (`roots`) of x = 1 or x = -3.
  static bool AreRootsOf(const Node& roots, const Node& plain) {
    if (!DistinctNames(roots)) return false;
    const std::string name = TakeName(roots.items[0])->name;
    const std::string letter = name.substr(0, name.find('_'));
    if (letter.size() == name.size()) return false;
    const auto all = [](const Node& node, const auto& test) {
      return std::all_of(node.items.begin(), node.items.end(), [&](const Node& item) {
        const auto named = TakeName(item);
        return named && test(named->name);
      });
    };
    return all(roots, [&](const std::string& n) { return n.starts_with(letter + "_"); }) &&
           all(plain, [&](const std::string& n) { return n == letter; });
  }
  static std::vector<Node> ValuesOf(const Node& list) {
    std::vector<Node> values;
    for (const Node& item : list.items) {
      const auto named = TakeName(item);
      values.push_back(named ? *named->value : item);
    }
    return values;
  }

  bool SameCollection(const Node& reference, const Node& answer) {
    const auto is = [](const Node& node) {
      return node.op == Op::kTuple || node.op == Op::kSet || node.op == Op::kList;
    };
    // {5} and 5.
    if (reference.op == Op::kSet && reference.items.size() == 1 && IsValue(answer))
      return Same(reference.items[0], answer);
    if (answer.op == Op::kSet && answer.items.size() == 1 && IsValue(reference))
      return Same(reference, answer.items[0]);
    if (!is(reference) || !is(answer)) return Decide(false, "kind");
    const bool list = reference.op == Op::kList || answer.op == Op::kList;
    if (reference.op == Op::kTuple && answer.op == Op::kTuple) {
      if (!SameBrackets(reference, answer)) return Decide(false, "brackets");
      return InOrder(reference.items, answer.items);
    }
    if (reference.op == Op::kTuple || answer.op == Op::kTuple) {
      if (!list) return Decide(false, "kind");
      const Node& other = reference.op == Op::kTuple ? answer : reference;
      if (AnyNames(other) && !DistinctNames(other)) return Decide(false, "names");
      return InOrder(reference.items, answer.items);
    }
    if (reference.op == Op::kSet && answer.op == Op::kSet)
      return AnyOrder(reference.items, answer.items);
    if (AreRootsOf(reference, answer) || AreRootsOf(answer, reference))
      return AnyOrder(ValuesOf(reference), ValuesOf(answer));
    if ((DistinctNames(reference) && reference.items.size() > 1 && !AnyNames(answer)) ||
        (DistinctNames(answer) && answer.items.size() > 1 && !AnyNames(reference))) {
      return InOrder(reference.items, answer.items);
    }
    return AnyOrder(reference.items, answer.items);
  }

  bool SameMatrix(const Node& reference, const Node& answer) {
    if (reference.op == Op::kMatrix && answer.op == Op::kMatrix) {
      if (reference.items.size() != answer.items.size() || reference.name != answer.name)
        return Decide(false, "matrix");
      if (reference.name == "cases") {
        std::vector<Node> left = reference.items, right = answer.items;
        for (auto* rows : {&left, &right}) {
          for (Node& row : *rows)
            row.open = row.close = U'(';
        }
        return AnyOrder(left, right);
      }
      for (std::size_t r = 0; r < reference.items.size(); ++r) {
        if (!InOrder(reference.items[r].items, answer.items[r].items)) return false;
      }
      return Decide(true, "matrix");
    }
    const Node& matrix = reference.op == Op::kMatrix ? reference : answer;
    const Node& tuple = reference.op == Op::kMatrix ? answer : reference;
    // (n over 2) that was typed as an array; a vector of numbers is no binomial.
    if (IsExpression(tuple) && matrix.items.size() == 2 && matrix.items[0].items.size() == 1 &&
        matrix.name != "cases" && !SymbolsOf(matrix).empty()) {
      const Node binomial(Op::kFunction, "binom",
                          {matrix.items[0].items[0], matrix.items[1].items[0]});
      return IsExpression(binomial) && (reference.op == Op::kMatrix ? SameNumber(binomial, tuple)
                                                                    : SameNumber(tuple, binomial));
    }
    if (tuple.op != Op::kTuple || matrix.items[0].items.size() != 1) return Decide(false, "kind");
    std::vector<Node> column;
    for (const Node& row : matrix.items)
      column.push_back(row.items[0]);
    return reference.op == Op::kMatrix ? InOrder(column, tuple.items)
                                       : InOrder(tuple.items, column);
  }

  Work* work_;
  int decimals_;
  bool too_large_ = false;
  std::string rule_;
};

}  // namespace

Comparison Compare(const Node& reference, const Node& answer, Work* work, int decimals) {
  if (SizeOf(reference) + SizeOf(answer) > 20000) return {false, true, "too_large"};
  Comparer comparer(work, decimals);
  const bool same = comparer.Same(ExpandSigns(reference), ExpandSigns(answer));
  if (comparer.too_large()) return {false, true, "too_large"};
  return {same, false, comparer.rule()};
}

Status CheckReference(const Node& reference, Work* work) {
  if (IsExpression(reference) && SymbolsOf(reference).empty() && !IsInfinite(reference) &&
      !Has(reference, Op::kPlusMinus)) {
    const Judgement self = SameExpression(reference, reference, work);
    if (self.sameness == Sameness::kUndefined) return Status::kUndefined;
    if (self.sameness == Sameness::kTooLarge) return Status::kTooLarge;
    return Status::kDone;
  }
  for (const Node& item : reference.items) {
    if (const Status s = CheckReference(item, work); s != Status::kDone) return s;
  }
  return Status::kDone;
}

bool HasPoint(const Node& node) {
  const auto literal = AsLiteral(node);
  return literal && literal->decimals;
}

bool IsLiteral(const Node& node) {
  if (node.op == Op::kQuantity || node.op == Op::kPercent || node.op == Op::kDegree)
    return IsLiteral(node.items[0]);
  return AsLiteral(node).has_value();
}

bool IsUnevaluated(const Node& node) {
  if (AsLiteral(node)) return false;
  if ((node.op == Op::kAdd && node.name != "mixed") || node.op == Op::kMultiply ||
      node.op == Op::kPlusMinus)
    return true;
  // A fraction of fractions hides a product.
  if (node.op == Op::kDivide &&
      (Has(node.items[0], Op::kDivide) || Has(node.items[1], Op::kDivide)))
    return true;
  return std::any_of(node.items.begin(), node.items.end(), IsUnevaluated);
}

}  // namespace aha::rewards::math
