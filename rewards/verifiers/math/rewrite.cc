#include "rewards/verifiers/math/rewrite.h"

#include <algorithm>
#include <utility>

namespace aha::rewards::math {
namespace {

constexpr std::size_t kLargest = 20000;

Node WithSign(const Node& node, bool upper) {
  Node out(node.op, node.name);
  out.exponent = node.exponent;
  out.open = node.open;
  out.close = node.close;
  out.signs = node.signs;
  for (const Node& item : node.items)
    out.items.push_back(WithSign(item, upper));
  if (node.op != Op::kPlusMinus) return out;
  const bool plus = upper == (node.name == "+");
  Node right = std::move(out.items[1]);
  if (!plus) right = Node(Op::kNegate, "", {std::move(right)});
  // A sign before a number has a zero before it.
  if (out.items[0].op == Op::kNumber && out.items[0].name == "0") return right;
  return {Op::kAdd, "", {std::move(out.items[0]), std::move(right)}};
}

// What may stand before = and be no statement about a number: x, f(x), AB, cos A, \angle ABC.
bool IsNameLike(const Node& node) {
  switch (node.op) {
    case Op::kSymbol:
      return true;
    case Op::kText:
      return true;
    case Op::kConstant:
      return node.name != "pi" && node.name != "inf";
    case Op::kDivide:
      return IsNameLike(node.items[0]) && IsNameLike(node.items[1]);
    case Op::kRelation:  // a ratio
      return node.signs[0] == U':' && std::all_of(node.items.begin(), node.items.end(), IsNameLike);
    case Op::kMultiply:
      return node.items.size() <= 4 &&
             std::all_of(node.items.begin(), node.items.end(), IsNameLike);
    case Op::kFunction:
      return node.items.size() == 1 && IsNameLike(node.items[0]);
    case Op::kTuple:
      return std::all_of(node.items.begin(), node.items.end(),
                         [](const Node& item) { return item.op == Op::kSymbol; });
    default:
      return false;
  }
}

bool IsConstantValue(const Node& node) {
  if (node.op == Op::kQuantity) return IsConstantValue(node.items[0]);
  return IsExpression(node) && SymbolsOf(node).empty();
}

}  // namespace

Node Subtract(const Node& a, const Node& b) {
  return {Op::kAdd, "", {a, Node(Op::kNegate, "", {b})}};
}

Node ExpandSigns(Node node) {
  if (!Has(node, Op::kPlusMinus) || SizeOf(node) > kLargest) return node;
  if (node.op == Op::kList || node.op == Op::kSet) {
    std::vector<Node> items;
    for (Node& item : node.items) {
      const bool signs = Has(item, Op::kPlusMinus);
      Node expanded = ExpandSigns(std::move(item));
      if (signs && expanded.op == Op::kList) {
        std::move(expanded.items.begin(), expanded.items.end(), std::back_inserter(items));
      } else {
        items.push_back(std::move(expanded));
      }
    }
    node.items = std::move(items);
    return node;
  }
  Node upper = WithSign(node, true), lower = WithSign(node, false);
  return {Op::kList, "or", {std::move(upper), std::move(lower)}};
}

std::optional<Literal> AsLiteral(const Node& node) {
  switch (node.op) {
    case Op::kNumber: {
      Literal literal;
      const auto dot = node.name.find('.');
      if (dot != std::string::npos) {
        literal.decimals = static_cast<std::int64_t>(node.name.size() - dot - 1) - node.exponent;
      }
      if (const auto first = node.name.find_first_not_of("0."); first != std::string::npos) {
        literal.significant = std::count_if(node.name.begin() + static_cast<std::ptrdiff_t>(first),
                                            node.name.end(), [](char c) { return c != '.'; });
      }
      return literal;
    }
    case Op::kNegate:
      return AsLiteral(node.items[0]);
    case Op::kMultiply: {
      // 6.02 * 10^23
      if (node.items.size() != 2 || node.items[1].op != Op::kPower) return std::nullopt;
      const Node& base = node.items[1].items[0];
      const Node* power = &node.items[1].items[1];
      const bool negative = power->op == Op::kNegate;
      if (negative) power = &power->items[0];
      if (base.op != Op::kNumber || base.name != "10" || base.exponent != 0 ||
          power->op != Op::kNumber || power->name.size() > 6 || power->exponent != 0 ||
          power->name.find('.') != std::string::npos) {
        return std::nullopt;
      }
      auto literal = AsLiteral(node.items[0]);
      if (literal && literal->decimals)
        *literal->decimals -= (negative ? -1 : 1) * std::stol(power->name);
      return literal;
    }
    default:
      return std::nullopt;
  }
}

std::optional<Named> TakeName(const Node& node) {
  if (node.op != Op::kRelation) return std::nullopt;
  if (node.signs.size() == 1 && node.signs[0] == U'∈' && IsNameLike(node.items[0]))
    return Named{ToText(node.items[0]), &node.items[1], false};
  if (std::any_of(node.signs.begin(), node.signs.end(), [](char32_t sign) { return sign != U'='; }))
    return std::nullopt;
  const Node& first = node.items.front();
  const Node& last = node.items.back();
  if (IsNameLike(first)) return Named{ToText(first), &last, first.op == Op::kText};
  if (IsNameLike(last) && node.items.size() == 2)
    return Named{ToText(last), &first, last.op == Op::kText};
  if (std::all_of(node.items.begin(), node.items.end(), IsConstantValue))
    return Named{"", &last, false};
  return std::nullopt;
}

}  // namespace aha::rewards::math
