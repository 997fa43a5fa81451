#include "rewards/verifiers/math/solution_set.h"

#include <algorithm>
#include <utility>

#include "rewards/verifiers/math/equal.h"

namespace aha::rewards::math {
namespace {

using Maybe = std::optional<SolutionSet>;
constexpr std::size_t kMostIntervals = 32;

Node Minus(const Node& a, const Node& b) {
  return {Op::kAdd, "", {a, Node(Op::kNegate, "", {b})}};
}

bool IsInfinite(const Node& node, int* sign) {
  if (node.op == Op::kNegate && IsInfinite(node.items[0], sign)) {
    *sign = -*sign;
    return true;
  }
  *sign = 1;
  return node.op == Op::kConstant && node.name == "inf";
}

class Builder {
 public:
  explicit Builder(Work* work) : work_(work) {}

  Maybe Build(const Node& node) {
    if (!work_->Spend(100)) return std::nullopt;
    switch (node.op) {
      case Op::kTuple:
        return FromTuple(node);
      case Op::kSet:
        return FromSet(node);
      case Op::kDomain:
        return node.name == "R" ? Maybe(SolutionSet{Interval{}}) : std::nullopt;
      case Op::kUnion:
      case Op::kIntersection:
      case Op::kDifference:
        return Combine(node);
      case Op::kRelation:
        return FromRelation(node);
      case Op::kSetWith:
        return Build(node.items[1]);
      case Op::kList:
        return FromList(node);
      default:
        return std::nullopt;
    }
  }

 private:
  Maybe FromTuple(const Node& node) {
    if (node.items.size() != 2 || node.open == U'⟨') return std::nullopt;
    Interval interval;
    interval.low_open = node.open != U'[';
    interval.high_open = node.close != U']';
    int sign = 0;
    if (!IsInfinite(node.items[0], &sign)) {
      if (!IsConstant(node.items[0])) return std::nullopt;
      interval.low = node.items[0];
    } else if (sign > 0) {
      return std::nullopt;
    }
    if (!IsInfinite(node.items[1], &sign)) {
      if (!IsConstant(node.items[1])) return std::nullopt;
      interval.high = node.items[1];
    } else if (sign < 0) {
      return std::nullopt;
    }
    SolutionSet set;
    if (!IsEmpty(interval)) set.push_back(std::move(interval));
    return ok_ ? Maybe(std::move(set)) : std::nullopt;
  }

  Maybe FromSet(const Node& node) {
    SolutionSet set;
    for (const Node& item : node.items) {
      if (!IsConstant(item) || set.size() >= kMostIntervals) return std::nullopt;
      set.push_back({item, item, false, false});
    }
    return Tidy(std::move(set));
  }

  Maybe Combine(const Node& node) {
    Maybe result = Build(node.items[0]);
    for (std::size_t i = 1; i < node.items.size() && result; ++i) {
      const Maybe next = Build(node.items[i]);
      if (!next) return std::nullopt;
      result = node.op == Op::kUnion          ? Union(*std::move(result), *next)
               : node.op == Op::kIntersection ? Intersection(*result, *next)
                                              : Without(*result, *next);
    }
    return result;
  }

  Maybe FromList(const Node& node) {
    Maybe all, any;
    std::string unknown;
    for (const Node& item : node.items) {
      if (item.op != Op::kRelation && item.op != Op::kDomain) return std::nullopt;
      const auto symbols = SymbolsOf(item);
      if (symbols.size() > 1 || (!unknown.empty() && !symbols.empty() && symbols[0] != unknown))
        return std::nullopt;
      if (!symbols.empty()) unknown = symbols[0];
      Maybe next = Build(item);
      if (!next) return std::nullopt;
      all = all ? Intersection(*all, *next) : next;
      any = any ? Union(*std::move(any), *next) : next;
      if (!all || !any) return std::nullopt;
    }
    if (node.name == "or") return any;
    if (node.name == "and") return all;
    return all && all->empty() ? any : all;
  }

  // a < x <= b and the like: the meet of its links.
  Maybe FromRelation(const Node& node) {
    const auto symbols = SymbolsOf(node);
    if (node.signs.size() == 1 && node.signs[0] == U'∈') return Build(node.items[1]);
    if (symbols.size() != 1) return std::nullopt;
    Maybe result;
    for (std::size_t i = 0; i + 1 < node.items.size(); ++i) {
      Maybe link = Link(node.items[i], node.signs[i], node.items[i + 1], symbols[0]);
      if (!link) return std::nullopt;
      result = result ? Intersection(*result, *link) : std::move(link);
      if (!result) return std::nullopt;
    }
    return result;
  }

  // left ? right, both of first degree in `unknown`.
  Maybe Link(const Node& left, char32_t sign, const Node& right, const std::string& unknown) {
    int infinite = 0;
    if (IsInfinite(left, &infinite) || IsInfinite(right, &infinite)) {
      // -inf < x says nothing.
      const bool fits =
          (sign == U'<' || sign == U'≤') &&
          (IsInfinite(left, &infinite) ? infinite < 0
                                       : IsInfinite(right, &infinite) && infinite > 0);
      return fits ? Maybe(SolutionSet{Interval{}}) : std::nullopt;
    }
    if (!IsExpression(left) || !IsExpression(right)) return std::nullopt;
    const auto is_abs = [](const Node& node) {
      return node.op == Op::kFunction && node.name == "abs";
    };
    if (is_abs(left) || is_abs(right)) {
      // |f| < c is -c < f and f < c; |f| > c is f < -c or f > c.
      const Node &inner = (is_abs(left) ? left : right).items[0],
                 &bound = is_abs(left) ? right : left;
      if (!IsConstant(bound) || depth_++ > 8) return std::nullopt;
      const char32_t way = is_abs(left)   ? sign
                           : sign == U'<' ? U'>'
                           : sign == U'>' ? U'<'
                           : sign == U'≤' ? U'≥'
                           : sign == U'≥' ? U'≤'
                                          : sign;
      const Node low(Op::kNegate, "", {bound});
      const char32_t back = way == U'<'   ? U'>'
                            : way == U'>' ? U'<'
                            : way == U'≤' ? U'≥'
                            : way == U'≥' ? U'≤'
                                          : way;
      Maybe above = Link(inner, way, bound, unknown), below = Link(inner, back, low, unknown);
      if (!above || !below) return std::nullopt;
      return way == U'<' || way == U'≤' || way == U'≠' ? Intersection(*above, *below)
                                                       : Union(*std::move(above), *below);
    }
    const Node f = Minus(left, right);
    const Node at0 = At(f, unknown, 0), at1 = At(f, unknown, 1);
    const Node slope = Minus(at1, at0);
    // f(7) = f(0) + 7 slope, f(-3) likewise.
    for (const int x : {7, -3}) {
      Node line(Op::kAdd, "", {at0, Node(Op::kMultiply, "", {Number(x), slope})});
      if (SameExpression(At(f, unknown, x), line, work_).sameness != Sameness::kSame)
        return std::nullopt;
    }
    int rising = 0;
    if (!SignOf(slope, work_, &rising) || rising == 0) return std::nullopt;
    // A side that is the unknown alone leaves the other as it was written.
    Node root = left.op == Op::kSymbol ? right
                : right.op == Op::kSymbol
                    ? left
                    : Node(Op::kDivide, "", {Node(Op::kNegate, "", {at0}), slope});
    const bool above = (sign == U'>' || sign == U'≥') == (rising > 0);
    const bool open = sign == U'<' || sign == U'>';
    switch (sign) {
      case U'=':
        return SolutionSet{Interval{root, root, false, false}};
      case U'≠':
        return SolutionSet{Interval{std::nullopt, root, true, true},
                           Interval{root, std::nullopt, true, true}};
      case U'<':
      case U'>':
      case U'≤':
      case U'≥':
        return above ? SolutionSet{Interval{std::move(root), std::nullopt, open, true}}
                     : SolutionSet{Interval{std::nullopt, std::move(root), true, open}};
      default:
        return std::nullopt;
    }
  }

  static Node Number(int value) {
    Node node(Op::kNumber, std::to_string(value < 0 ? -value : value));
    return value < 0 ? Node(Op::kNegate, "", {std::move(node)}) : node;
  }
  static Node At(Node node, const std::string& unknown, int value) {
    if (node.op == Op::kSymbol && node.name == unknown) return Number(value);
    for (Node& item : node.items)
      item = At(std::move(item), unknown, value);
    return node;
  }
  static bool IsConstant(const Node& node) { return IsExpression(node) && SymbolsOf(node).empty(); }

  // -1, 0, 1; what cannot be told makes the whole set unknown.
  int Order(const Node& a, const Node& b) {
    const Judgement same = SameExpression(a, b, work_);
    if (same.sameness == Sameness::kSame) return 0;
    int sign = 0;
    if (same.sameness != Sameness::kDifferent || !SignOf(Minus(a, b), work_, &sign) || sign == 0)
      ok_ = false;
    return sign;
  }
  bool IsEmpty(const Interval& i) {
    if (!i.low || !i.high) return false;
    const int order = Order(*i.low, *i.high);
    return order > 0 || (order == 0 && (i.low_open || i.high_open));
  }
  // Of lower ends; an open one begins later.
  bool Before(const Interval& a, const Interval& b) {
    if (!a.low || !b.low) return !a.low && b.low.has_value();
    const int order = Order(*a.low, *b.low);
    return order < 0 || (order == 0 && !a.low_open && b.low_open);
  }

  // Sorted, with what touches joined.
  Maybe Tidy(SolutionSet set) {
    if (set.size() > kMostIntervals) return std::nullopt;
    for (std::size_t i = 1; i < set.size(); ++i) {
      for (std::size_t j = i; j > 0 && Before(set[j], set[j - 1]); --j)
        std::swap(set[j], set[j - 1]);
    }
    SolutionSet out;
    for (Interval& next : set) {
      if (out.empty() || !Touch(out.back(), next)) {
        out.push_back(std::move(next));
        continue;
      }
      Interval& last = out.back();
      if (!last.high) continue;
      const int order = next.high ? Order(*next.high, *last.high) : 1;
      if (order > 0) {
        last.high = std::move(next.high);
        last.high_open = next.high_open;
      } else if (order == 0) {
        last.high_open = last.high_open && next.high_open;
      }
    }
    return ok_ ? Maybe(std::move(out)) : std::nullopt;
  }
  bool Touch(const Interval& a, const Interval& b) {
    if (!a.high || !b.low) return true;
    const int order = Order(*b.low, *a.high);
    return order < 0 || (order == 0 && !(a.high_open && b.low_open));
  }

  Maybe Union(SolutionSet a, const SolutionSet& b) {
    a.insert(a.end(), b.begin(), b.end());
    return Tidy(std::move(a));
  }

  Maybe Intersection(const SolutionSet& a, const SolutionSet& b) {
    SolutionSet out;
    for (const Interval& x : a) {
      for (const Interval& y : b) {
        Interval meet = Before(x, y) ? y : x;
        meet.high = x.high;
        meet.high_open = x.high_open;
        if (!x.high || (y.high && Order(*y.high, *x.high) < 0)) {
          meet.high = y.high;
          meet.high_open = y.high_open;
        } else if (y.high && Order(*y.high, *x.high) == 0) {
          meet.high_open = x.high_open || y.high_open;
        }
        if (!IsEmpty(meet)) out.push_back(std::move(meet));
      }
    }
    return Tidy(std::move(out));
  }

  Maybe Without(const SolutionSet& a, const SolutionSet& b) {
    // The gaps of b.
    SolutionSet gaps;
    Interval gap;
    bool open_end = true;
    for (const Interval& hole : b) {
      if (hole.low) {
        gap.high = hole.low;
        gap.high_open = !hole.low_open;
        if (!IsEmpty(gap)) gaps.push_back(gap);
      }
      open_end = hole.high.has_value();
      gap = Interval{hole.high, std::nullopt, !hole.high_open, true};
    }
    if (open_end) gaps.push_back(gap);
    return Intersection(a, gaps);
  }

  Work* work_;
  bool ok_ = true;
  int depth_ = 0;
};

}  // namespace

Maybe ToSolutionSet(const Node& node, Work* work) {
  return Builder(work).Build(node);
}

bool MeansSolutionSet(const Node& node) {
  if (node.op == Op::kRelation) {
    return std::any_of(node.signs.begin(), node.signs.end(), [](char32_t sign) {
      return sign == U'<' || sign == U'>' || sign == U'≤' || sign == U'≥' || sign == U'≠' ||
             sign == U'∈';
    });
  }
  if (node.op == Op::kList)
    return !node.items.empty() &&
           std::all_of(node.items.begin(), node.items.end(), MeansSolutionSet);
  return node.op == Op::kUnion || node.op == Op::kIntersection || node.op == Op::kDifference ||
         node.op == Op::kSetWith || (node.op == Op::kDomain && node.name == "R") ||
         (node.op == Op::kTuple && node.items.size() == 2 && node.open != U'⟨' &&
          ((node.open == U'[') != (node.close == U']') ||
           (Has(node, Op::kConstant) && ToText(node).find("inf") != std::string::npos)));
}

}  // namespace aha::rewards::math
