#include "rewards/verifiers/math/tree.h"

#include <algorithm>

#include "rewards/text.h"

namespace aha::rewards::math {
namespace {

void Write(const Node& node, std::string* out);

void Join(const std::vector<Node>& items, std::string_view joint, std::string* out) {
  for (std::size_t i = 0; i < items.size(); ++i) {
    if (i > 0) *out += joint;
    Write(items[i], out);
  }
}

void Enclosed(std::string_view open,
              const Node& node,
              std::string_view joint,
              std::string_view close,
              std::string* out) {
  *out += open;
  Join(node.items, joint, out);
  *out += close;
}

void WriteChain(const Node& node, std::string* out) {
  for (std::size_t i = 0; i < node.items.size(); ++i) {
    if (i > 0) {
      *out += ' ';
      AppendUtf8(node.signs[i - 1], out);
      *out += ' ';
    }
    Write(node.items[i], out);
  }
}

void Write(const Node& node, std::string* out) {
  switch (node.op) {
    case Op::kNumber:
      *out += node.name;
      if (node.exponent != 0) *out += "e" + std::to_string(node.exponent);
      return;
    case Op::kAdd:
      return Enclosed("(", node, " + ", ")", out);
    case Op::kMultiply:
      return Enclosed("(", node, "*", ")", out);
    case Op::kDivide:
      return Enclosed("(", node, "/", ")", out);
    case Op::kNegate:
      return Enclosed("-", node, "", "", out);
    case Op::kPower:
      return Enclosed("(", node, "^", ")", out);
    case Op::kFunction:
      *out += node.name;
      return Enclosed("(", node, ", ", ")", out);
    case Op::kPercent:
      return Enclosed("", node, "", "%", out);
    case Op::kDegree:
      return Enclosed("", node, "", "\u00B0", out);
    case Op::kPlusMinus:
      return Enclosed("(", node, node.name == "-" ? " \u2213 " : " \u00B1 ", ")", out);
    case Op::kQuantity:
      Join(node.items, "", out);
      *out += " [" + node.name + "]";
      return;
    case Op::kMatrix:
      return Enclosed("matrix(", node, ", ", ")", out);
    case Op::kRelation:
      return WriteChain(node, out);
    case Op::kTuple: {
      AppendUtf8(node.open, out);
      Join(node.items, ", ", out);
      AppendUtf8(node.close, out);
      return;
    }
    case Op::kSet:
      return Enclosed("{", node, ", ", "}", out);
    case Op::kSetWith:
      return Enclosed("{", node, " | ", "}", out);
    case Op::kList:
      Join(node.items, node.name.empty() ? ", " : " " + node.name + " ", out);
      return;
    case Op::kUnion:
      return Enclosed("", node, " \u222A ", "", out);
    case Op::kIntersection:
      return Enclosed("", node, " \u2229 ", "", out);
    case Op::kDifference:
      return Enclosed("", node, " \u2216 ", "", out);
    case Op::kText:
      *out += '"' + node.name + '"';
      return;
    case Op::kSymbol:
    case Op::kConstant:
    case Op::kDomain:
      *out += node.name;
      return;
  }
}

void Collect(const Node& node, std::vector<std::string>* names) {
  if (node.op == Op::kSymbol) names->push_back(node.name);
  for (const Node& item : node.items)
    Collect(item, names);
}

}  // namespace

std::string ToText(const Node& node) {
  std::string out;
  Write(node, &out);
  return out;
}

std::string ToSortedText(Node node) {
  const auto sort = [](const auto& self, Node* at) -> void {
    for (Node& item : at->items)
      self(self, &item);
    if (at->op != Op::kAdd && at->op != Op::kMultiply) return;
    std::vector<std::pair<std::string, Node>> keyed;
    for (Node& item : at->items)
      keyed.emplace_back(ToText(item), std::move(item));
    std::stable_sort(keyed.begin(), keyed.end(),
                     [](const auto& a, const auto& b) { return a.first < b.first; });
    for (std::size_t i = 0; i < keyed.size(); ++i)
      at->items[i] = std::move(keyed[i].second);
  };
  sort(sort, &node);
  return ToText(node);
}

bool Has(const Node& node, Op op) {
  return node.op == op || std::any_of(node.items.begin(), node.items.end(),
                                      [op](const Node& item) { return Has(item, op); });
}

std::vector<std::string> SymbolsOf(const Node& node) {
  std::vector<std::string> names;
  Collect(node, &names);
  std::sort(names.begin(), names.end());
  names.erase(std::unique(names.begin(), names.end()), names.end());
  return names;
}

std::size_t SizeOf(const Node& node) {
  std::size_t size = 1;
  for (const Node& item : node.items)
    size += SizeOf(item);
  return size;
}

bool IsExpression(const Node& node) {
  return node.op <= Op::kDegree && std::all_of(node.items.begin(), node.items.end(), IsExpression);
}

}  // namespace aha::rewards::math
