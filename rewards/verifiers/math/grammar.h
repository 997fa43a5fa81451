#pragma once
/// The parser itself; parser.h is its face. Precedence, loosest first: list, relation, union, sum,
/// product, sign, power, postfix, primary. Every method returns false when the text does not fit.

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "rewards/verifiers/math/lexer.h"
#include "rewards/verifiers/math/tree.h"

namespace aha::rewards::math {

class Grammar {
 public:
  explicit Grammar(Tokens tokens);

  /// All tokens as one answer.
  bool Whole(Node* out);
  [[nodiscard]] bool too_large() const { return too_large_; }
  [[nodiscard]] bool sound() const { return sound_; }

 private:
  // Structures (grammar_structure.cc).
  bool List(Node* out);
  bool Item(Node* out);
  bool Ratio(Node* out);
  bool Side(Node* out);
  bool Sets(Node* out);
  bool Bracketed(Node* out);
  bool Braced(Node* out);
  bool StartsSetWith() const;
  bool Group(Node* out);
  bool Environment(Node* out);
  bool Rows(std::string_view name, std::vector<Node>* rows);
  bool Words(Node* out);
  bool Domain(Node* out);
  bool AtSeparator() const;
  bool AtItemEnd(std::size_t at) const;
  void FlattenEnvironments();

  // Quantities (grammar_quantity.cc).
  bool Currency(char32_t sign, std::string* unit) const;
  std::size_t CurrencyWord(std::string* unit) const;
  bool AtUnit() const;
  bool UnitPhrase(std::size_t* end, std::string* unit) const;
  bool UnitProduct(std::size_t* end, std::string* unit) const;
  std::size_t UnitPower(std::size_t at, int* power) const;
  bool Unit(Node* out);

  // Expressions (grammar_expression.cc).
  bool Sum(Node* out);
  bool Product(Node* out);
  bool Juxtaposed(Node* out);
  bool Signed(Node* out);
  bool Power(Node* out);
  bool Raise(Node* base);
  bool Postfix(Node* out);
  bool Primary(Node* out);
  bool Bars(Node* out, char32_t bar);
  bool StartsFactor() const;
  bool StartsMixed(const Node& number) const;
  bool Mixed(Node* number);

  // Names and functions (grammar_names.cc).
  bool Number(Node* out);
  bool RepeatingDecimal(Node* number);
  bool Word(Node* out);
  bool Name(std::string name, bool upright, Node* out);
  bool Subscript(std::string* text);
  bool Command(Node* out);
  bool Function(std::string name, Node* out);
  bool Arguments(std::string_view name, std::vector<Node>* arguments);
  bool Root(Node* out);
  bool BigOperator(std::string name, Node* out);
  bool TexArgument(Node* out);
  bool RawGroup(std::string* text);

  // Cursor.
  [[nodiscard]] const Token& Peek(std::size_t ahead = 0) const;
  [[nodiscard]] bool IsSign(char32_t sign, std::size_t ahead = 0) const;
  [[nodiscard]] bool IsWord(std::string_view word, std::size_t ahead = 0) const;
  [[nodiscard]] bool IsCommand(std::string_view name, std::size_t ahead = 0) const;
  bool Take(char32_t sign);

  std::vector<Token> tokens_;
  std::size_t at_ = 0;
  int depth_ = 0;
  int bars_ = 0;            // |...| that are open
  bool such_that_ = false;  // inside {x | ...}: a bar in operator position ends the member
  bool no_words_ = false;   // inside \frac{}{} and the like: AB is a product
  bool too_large_ = false;
  bool sound_ = true;

  friend class Deeper;
};

/// Counts one level of nesting for as long as it lives.
class Deeper {
 public:
  static constexpr int kDeepest = 200;
  explicit Deeper(Grammar* grammar) : grammar_(grammar) {
    if (++grammar_->depth_ > kDeepest) grammar_->too_large_ = true;
  }
  Deeper(const Deeper&) = delete;
  Deeper& operator=(const Deeper&) = delete;
  ~Deeper() { --grammar_->depth_; }

 private:
  Grammar* grammar_;
};

/// Whether a run of letters reads as a product of letters and functions: its factors, else nothing.
std::vector<std::string> SplitWord(std::string_view word, bool alone);

/// Arithmetic on nodes that knows matrices: false where it has no meaning.
bool MakeSum(std::vector<Node> terms, Node* out);
bool MakeProduct(std::vector<Node> factors, Node* out);
bool MakeNegative(Node of, Node* out);
bool MakeQuotient(Node top, Node bottom, Node* out);
/// Of a square matrix.
bool MakeDeterminant(const Node& matrix, Node* out);

}  // namespace aha::rewards::math
