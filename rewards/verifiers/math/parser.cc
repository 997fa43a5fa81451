#include "rewards/verifiers/math/parser.h"

#include <algorithm>
#include <utility>

#include "rewards/verifiers/math/grammar.h"
#include "rewards/verifiers/math/lexer.h"

namespace aha::rewards::math {

Parsed ParseAnswer(std::u32string_view text, bool join_groups) {
  Tokens tokens = Tokenize(text, join_groups);
  Parsed parsed;
  parsed.grouped = tokens.grouped;
  parsed.mathematical = std::any_of(tokens.list.begin(), tokens.list.end(), [](const Token& token) {
    return token.kind == Token::Kind::kCommand ||
           (token.kind == Token::Kind::kSign &&
            (token.sign == U'^' || token.sign == U'_' || token.sign == U'√'));
  });
  Grammar grammar(std::move(tokens));
  Node tree;
  if (grammar.Whole(&tree)) parsed.tree = std::move(tree);
  parsed.sound = grammar.sound();
  parsed.too_large = grammar.too_large();
  return parsed;
}

}  // namespace aha::rewards::math
