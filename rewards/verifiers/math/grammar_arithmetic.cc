// Arithmetic on nodes: plain expressions, and matrices of them.
#include <utility>

#include "rewards/verifiers/math/grammar.h"

namespace aha::rewards::math {
namespace {

constexpr std::size_t kLargestDeterminant = 6;
constexpr std::size_t kLargestProduct = 20000;  // nodes

bool IsOperand(const Node& node) {
  return node.op == Op::kMatrix || (node.op <= Op::kDegree && node.op != Op::kPlusMinus) ||
         node.op == Op::kPlusMinus;
}

// `f` on every cell.
template <class F>
bool EachCell(Node matrix, F f, Node* out) {
  for (Node& row : matrix.items) {
    for (Node& cell : row.items) {
      Node changed;
      if (!f(std::move(cell), &changed)) return false;
      cell = std::move(changed);
    }
  }
  *out = std::move(matrix);
  return true;
}

bool AddMatrices(Node left, Node right, Node* out) {
  if (left.items.size() != right.items.size()) return false;
  for (std::size_t r = 0; r < left.items.size(); ++r) {
    auto& into = left.items[r].items;
    auto& from = right.items[r].items;
    if (into.size() != from.size()) return false;
    for (std::size_t c = 0; c < into.size(); ++c) {
      Node sum;
      if (!MakeSum({std::move(into[c]), std::move(from[c])}, &sum)) return false;
      into[c] = std::move(sum);
    }
  }
  *out = std::move(left);
  return true;
}

bool MultiplyMatrices(const Node& left, const Node& right, Node* out) {
  const std::size_t inner = right.items.size(), columns = right.items[0].items.size();
  if (SizeOf(left) * columns + SizeOf(right) * left.items.size() > kLargestProduct) return false;
  *out = Node(Op::kMatrix, "");
  for (const Node& row : left.items) {
    if (row.items.size() != inner) return false;
    Node made(Op::kTuple, "");
    for (std::size_t c = 0; c < columns; ++c) {
      std::vector<Node> terms;
      for (std::size_t k = 0; k < inner; ++k)
        terms.emplace_back(Op::kMultiply, "",
                           std::vector<Node>{row.items[k], right.items[k].items[c]});
      if (!MakeSum(std::move(terms), &made.items.emplace_back())) return false;
    }
    out->items.push_back(std::move(made));
  }
  return true;
}

}  // namespace

bool MakeSum(std::vector<Node> terms, Node* out) {
  if (terms.size() == 1) {
    *out = std::move(terms[0]);
    return true;
  }
  bool matrices = false;
  for (const Node& term : terms) {
    if (!IsOperand(term)) return false;
    matrices = matrices || term.op == Op::kMatrix;
  }
  if (!matrices) {
    *out = Node(Op::kAdd, "", std::move(terms));
    return true;
  }
  *out = std::move(terms[0]);
  for (std::size_t i = 1; i < terms.size(); ++i) {
    if (out->op != Op::kMatrix || terms[i].op != Op::kMatrix) return false;
    Node sum;
    if (!AddMatrices(std::move(*out), std::move(terms[i]), &sum)) return false;
    *out = std::move(sum);
  }
  return true;
}

bool MakeProduct(std::vector<Node> factors, Node* out) {
  if (factors.size() == 1) {
    Node only = std::move(factors[0]);
    *out = std::move(only);
    return true;
  }
  std::vector<Node> scalars;
  Node matrix;
  bool has_matrix = false;
  for (Node& factor : factors) {
    if (!IsOperand(factor)) return false;
    if (factor.op != Op::kMatrix) {
      scalars.push_back(std::move(factor));
    } else if (std::exchange(has_matrix, true)) {
      Node product;
      if (!MultiplyMatrices(matrix, factor, &product)) return false;
      matrix = std::move(product);
    } else {
      matrix = std::move(factor);
    }
  }
  if (!has_matrix) {
    *out = Node(Op::kMultiply, "", std::move(scalars));
    return true;
  }
  if (scalars.empty()) {
    *out = std::move(matrix);
    return true;
  }
  Node scalar;
  if (!MakeProduct(std::move(scalars), &scalar) ||
      SizeOf(scalar) * SizeOf(matrix) > kLargestProduct)
    return false;
  return EachCell(
      std::move(matrix),
      [&scalar](Node cell, Node* changed) {
        return MakeProduct({scalar, std::move(cell)}, changed);
      },
      out);
}

bool MakeNegative(Node of, Node* out) {
  if (!IsOperand(of)) return false;
  if (of.op == Op::kMatrix) return EachCell(std::move(of), MakeNegative, out);
  *out = Node(Op::kNegate, "", {std::move(of)});
  return true;
}

bool MakeQuotient(Node top, Node bottom, Node* out) {
  if (!IsOperand(top) || !IsExpression(bottom)) return false;
  if (top.op == Op::kMatrix) {
    if (SizeOf(top) * SizeOf(bottom) > kLargestProduct) return false;
    return EachCell(
        std::move(top),
        [&bottom](Node cell, Node* changed) {
          return MakeQuotient(std::move(cell), bottom, changed);
        },
        out);
  }
  *out = Node(Op::kDivide, "", {std::move(top), std::move(bottom)});
  return true;
}

bool MakeDeterminant(const Node& matrix, Node* out) {
  const std::size_t n = matrix.items.size();
  if (n == 0 || n > kLargestDeterminant) return false;
  *out = Node(Op::kFunction, "det");
  for (const Node& row : matrix.items) {
    if (row.items.size() != n) return false;
    for (const Node& cell : row.items) {
      if (!IsExpression(cell)) return false;
      out->items.push_back(cell);
    }
  }
  return true;
}

}  // namespace aha::rewards::math
