#pragma once
/// The syntax tree of an answer: expressions, and what answers are made of around them.

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace aha::rewards::math {

/// What a node is. The operands are `Node::items`.
enum class Op : std::uint8_t {
  // Expressions.
  kNumber,     ///< `name`: digits with at most one point; `exponent` of ten
  kSymbol,     ///< `name`: x, y_1, theta, f(x)
  kConstant,   ///< `name`: pi, e, i, inf
  kAdd,        ///< any number of terms; `name` "mixed": 2 1/2
  kMultiply,   ///< any number of factors
  kDivide,     ///< two
  kNegate,     ///< one
  kPower,      ///< base, exponent
  kFunction,   ///< `name`: sin, ln, root, binom, ...
  kPercent,    ///< one, in hundredths
  kDegree,     ///< one, in degrees of arc
  kPlusMinus,  ///< a, b: a + b or a - b; `name` "-": the lower sign
  kQuantity,   ///< one, in the unit `name`
  // Structures.
  kMatrix,    ///< rows, each a kTuple
  kRelation,  ///< a chain a = b < c; `signs` has what stands between
  kTuple,     ///< in the brackets `open`, `close`; also an interval
  kSet,       ///< {a, b}; {} is the empty set
  kSetWith,   ///< {x | condition}: the member, the conditions
  kList,      ///< a, b or "a and b" without brackets
  kUnion,
  kIntersection,
  kDifference,
  kDomain,  ///< `name`: R, Z, N, Q, C
  kText,    ///< `name`: words
};

struct Node {
  Op op = Op::kText;
  std::string name;
  std::vector<Node> items;
  std::int32_t exponent = 0;
  char32_t open = 0;
  char32_t close = 0;
  std::u32string signs;

  Node() = default;
  Node(Op o, std::string n, std::vector<Node> i = {})
      : op(o), name(std::move(n)), items(std::move(i)) {}
};

/// One spelling for each tree, for people and for seeds.
std::string ToText(const Node& node);

/// The same with terms and factors sorted: one text for a + b and b + a.
std::string ToSortedText(Node node);

/// Whether any node below (and including) `node` is an `op`.
bool Has(const Node& node, Op op);

/// Names of all symbols, sorted, each once.
std::vector<std::string> SymbolsOf(const Node& node);

/// Nodes in the tree.
std::size_t SizeOf(const Node& node);

/// An expression: numbers, symbols and operations alone.
bool IsExpression(const Node& node);

}  // namespace aha::rewards::math
