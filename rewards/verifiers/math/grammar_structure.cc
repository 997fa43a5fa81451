// What stands around expressions: relations, lists, brackets, sets, matrices, words.
#include <algorithm>
#include <iterator>
#include <utility>

#include "rewards/text.h"
#include "rewards/verifiers/math/grammar.h"
#include "rewards/verifiers/math/units.h"
#include "rewards/verifiers/math/vocabulary.h"

namespace aha::rewards::math {
namespace {

using Kind = Token::Kind;
constexpr std::size_t kMostItems = 256;

bool IsRelation(char32_t sign) {
  return std::u32string_view(U"=<>≤≥≠≈∈∉≡").find(sign) != std::u32string_view::npos && sign != 0;
}

std::string Fold(std::string_view text) {
  std::string out(text);
  for (char& c : out) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c | 32);
  }
  return out;
}

}  // namespace

Grammar::Grammar(Tokens tokens) : tokens_(std::move(tokens.list)) {
  sound_ = tokens.sound;
  too_large_ = tokens.too_large;
  FlattenEnvironments();
}

const Token& Grammar::Peek(std::size_t ahead) const {
  return tokens_[std::min(at_ + ahead, tokens_.size() - 1)];
}
bool Grammar::IsSign(char32_t sign, std::size_t ahead) const {
  return Peek(ahead).kind == Kind::kSign && Peek(ahead).sign == sign;
}
bool Grammar::IsWord(std::string_view word, std::size_t ahead) const {
  return Peek(ahead).kind == Kind::kWord && Peek(ahead).text == word;
}
bool Grammar::IsCommand(std::string_view name, std::size_t ahead) const {
  return Peek(ahead).kind == Kind::kCommand && Peek(ahead).text == name;
}
bool Grammar::Take(char32_t sign) {
  if (!IsSign(sign)) return false;
  ++at_;
  return true;
}

// aligned and its like, and cases without conditions, are lists of their rows; a row that begins
// with a relation goes on with the chain.
void Grammar::FlattenEnvironments() {
  constexpr std::string_view kAligned[] = {"aligned",   "align",    "gather",   "gathered",
                                           "split",     "eqnarray", "equation", "multline",
                                           "alignedat", "flalign"};
  std::vector<bool> open;
  int scans = 0;
  for (std::size_t i = 0; i < tokens_.size(); ++i) {
    Token& token = tokens_[i];
    if (token.kind == Kind::kCommand && token.text.starts_with("begin:")) {
      const std::string_view name = std::string_view(token.text).substr(6);
      bool flat = std::find(std::begin(kAligned), std::end(kAligned), name) != std::end(kAligned);
      if ((name == "cases" || name == "dcases") && ++scans <= 16) {
        const std::string end = "end:" + std::string(name);
        bool cells = false, closed = false;
        for (std::size_t j = i + 1; j < tokens_.size() && !closed; ++j) {
          cells = cells || (tokens_[j].kind == Kind::kSign && tokens_[j].sign == U'&');
          closed = tokens_[j].kind == Kind::kCommand && tokens_[j].text == end;
        }
        flat = !cells && closed;
      }
      open.push_back(flat);
      if (flat) token = {};
    } else if (token.kind == Kind::kCommand && token.text.starts_with("end:")) {
      if (!open.empty() && open.back()) token = {};
      if (!open.empty()) open.pop_back();
    } else if (!open.empty() && open.back() && token.kind == Kind::kSign) {
      if (token.sign == U'&') token = {};
      if (token.sign == kNewRow) {
        std::size_t next = i + 1;
        while (next + 1 < tokens_.size() && tokens_[next].kind == Kind::kSign &&
               tokens_[next].sign == U'&')
          ++next;
        const bool goes_on = tokens_[next].kind == Kind::kSign && IsRelation(tokens_[next].sign);
        if (goes_on) {
          token = {};
        } else {
          token.sign = U',';
        }
      }
    }
  }
  // What was emptied goes; the last token stays.
  std::size_t kept = 0;
  for (std::size_t i = 0; i < tokens_.size(); ++i) {
    if (tokens_[i].kind == Kind::kEnd && i + 1 < tokens_.size()) continue;
    if (kept != i) tokens_[kept] = std::move(tokens_[i]);
    ++kept;
  }
  tokens_.resize(kept);
}

bool Grammar::AtSeparator() const {
  if (IsSign(U',') || IsSign(U';') || IsSign(kNewRow) || IsSign(U'∧') || IsSign(U'∨')) return true;
  for (const char* word : {"and", "or", "和", "或", "且", "及", "与"}) {
    if (IsWord(word)) return true;
  }
  return false;
}

bool Grammar::AtItemEnd(std::size_t at) const {
  const Token& token = tokens_[std::min(at, tokens_.size() - 1)];
  if (token.kind == Kind::kEnd || (token.kind == Kind::kCommand && token.text.starts_with("end:")))
    return true;
  if (token.kind == Kind::kWord)
    return token.text == "and" || token.text == "or" || token.text == "和" || token.text == "或";
  if (token.kind != Kind::kSign) return false;
  return IsRelation(token.sign) || token.sign == kGroupClose ||
         std::u32string_view(U",;)]}⟩∪∩&∧∨").find(token.sign) != std::u32string_view::npos ||
         token.sign == kNewRow;
}

bool Grammar::Whole(Node* out) {
  if (too_large_ || !sound_) return false;
  while (tokens_.size() > 1 && tokens_[tokens_.size() - 2].kind == Kind::kSign &&
         (tokens_[tokens_.size() - 2].sign == U'.' || tokens_[tokens_.size() - 2].sign == U',' ||
          tokens_[tokens_.size() - 2].sign == U';' ||
          tokens_[tokens_.size() - 2].sign == kNewRow)) {
    tokens_.erase(tokens_.end() - 2);
  }
  return List(out) && Peek().kind == Kind::kEnd;
}

// One item stands for itself.
bool Grammar::List(Node* out) {
  Deeper deeper(this);
  if (too_large_) return false;
  std::vector<Node> items(1);
  if (!Item(&items[0])) return false;
  std::vector<std::size_t> semicolons;  // items before each
  bool commas = false;
  std::string joint;
  while (AtSeparator()) {
    // "1, 2, and 3"; a comma may also end a row.
    for (; AtSeparator(); ++at_) {
      commas = commas || IsSign(U',');
      if (IsSign(U';')) semicolons.push_back(items.size());
      if (IsWord("and") || IsWord("且") || IsWord("和") || IsSign(U'∧')) joint = "and";
      if (IsWord("or") || IsWord("或") || IsSign(U'∨')) joint = "or";
    }
    if (AtItemEnd(at_)) break;
    if (items.size() >= kMostItems) {
      too_large_ = true;
      return false;
    }
    if (!Item(&items.emplace_back())) return false;
  }
  // p = 5, q = 2; p = 7, q = 2: lists of lists.
  if (commas && !semicolons.empty()) {
    std::vector<Node> groups;
    std::size_t from = 0;
    semicolons.push_back(items.size());
    for (const std::size_t to : semicolons) {
      if (to <= from) continue;
      std::vector<Node> group(
          std::make_move_iterator(items.begin() + static_cast<std::ptrdiff_t>(from)),
          std::make_move_iterator(items.begin() + static_cast<std::ptrdiff_t>(to)));
      if (group.size() == 1) {
        groups.push_back(std::move(group[0]));
      } else {
        groups.emplace_back(Op::kList, "", std::move(group));
      }
      from = to;
    }
    items = std::move(groups);
  }
  if (items.size() == 1) {
    Node only = std::move(items[0]);
    *out = std::move(only);
  } else {
    *out = Node(Op::kList, std::move(joint), std::move(items));
  }
  return true;
}

// A chain of relations, or one side alone.
bool Grammar::Item(Node* out) {
  if (IsSign(U'=') || IsSign(U'≈')) ++at_;
  const std::size_t start = at_;
  if (Words(out)) {
    if (Peek().kind != Kind::kSign || !(IsRelation(Peek().sign) || IsSign(U':'))) return true;
    at_ = start;  // the name in "total = 5"
  }
  Node chain(Op::kRelation, "");
  if (!Ratio(&chain.items.emplace_back())) return false;
  for (;;) {
    char32_t sign = Peek().kind == Kind::kSign ? Peek().sign : 0;
    if (IsWord("in")) sign = U'∈';
    if (IsSign(U'!') && IsSign(U'=', 1)) {
      sign = U'≠';
      ++at_;
    } else if ((IsSign(U'<') || IsSign(U'>')) && IsSign(U'=', 1)) {
      sign = sign == U'<' ? U'≤' : U'≥';
      ++at_;
    }
    if (!IsRelation(sign)) break;
    ++at_;
    if (chain.items.size() >= 64) return false;
    chain.signs.push_back(sign);
    if (!Ratio(&chain.items.emplace_back())) return false;
  }
  // x = 1/3 ≈ 0.33 says 1/3; x ≈ 0.33 says what it can.
  const auto about = chain.signs.find(
      U'≈', IsExpression(chain.items[0]) && SymbolsOf(chain.items[0]).empty() ? 0 : 1);
  if (about != std::u32string::npos) {
    chain.signs.resize(about);
    chain.items.resize(about + 1);
  }
  std::replace(chain.signs.begin(), chain.signs.end(), U'≈', U'=');
  if (chain.items.size() == 1) {
    Node only = std::move(chain.items[0]);
    *out = std::move(only);
  } else {
    *out = std::move(chain);
  }
  return true;
}

// a : b : c
bool Grammar::Ratio(Node* out) {
  if (!Side(out)) return false;
  if (such_that_ || !IsSign(U':')) return true;
  Node ratio(Op::kRelation, "");
  ratio.items.push_back(std::move(*out));
  while (Take(U':')) {
    ratio.signs.push_back(U':');
    if (ratio.items.size() >= 64 || !Side(&ratio.items.emplace_back())) return false;
  }
  *out = std::move(ratio);
  return true;
}

bool Grammar::Side(Node* out) {
  std::string currency;
  bool negative = false;
  const bool sign_first =
      IsSign(U'-') && Peek(1).kind == Kind::kSign && Currency(Peek(1).sign, &currency);
  if (sign_first || (Peek().kind == Kind::kSign && Currency(Peek().sign, &currency))) {
    negative = sign_first;
    at_ += sign_first ? 2 : 1;
  } else if (const std::size_t length = CurrencyWord(&currency); length > 0) {
    at_ += length;
  }
  // A side may be words: total = 5.
  if (Words(out)) return true;
  if (!Sets(out)) return false;
  if (negative) {
    Node inner = std::move(*out);
    if (!MakeNegative(std::move(inner), out)) return false;
  }
  if (IsCommand("pmod") || IsCommand("bmod") || IsCommand("mod")) {
    ++at_;
    Node modulus;
    if (!TexArgument(&modulus) || !IsExpression(modulus) || !IsExpression(*out)) return false;
    *out = Node(Op::kFunction, "mod", {std::move(*out), std::move(modulus)});
  }
  if (!Unit(out)) return false;
  if (!currency.empty() && (out->op != Op::kQuantity || out->name.empty())) {
    if (out->op == Op::kQuantity) {
      Node inner = std::move(out->items[0]);
      *out = std::move(inner);
    }
    if (!IsExpression(*out)) return false;
    *out = Node(Op::kQuantity, std::move(currency), {std::move(*out)});
  }
  return true;
}

bool Grammar::Sets(Node* out) {
  if (!Sum(out)) return false;
  for (int links = 0; links < 64; ++links) {
    const Op op = IsSign(U'∪')   ? Op::kUnion
                  : IsSign(U'∩') ? Op::kIntersection
                  : IsSign(U'∖') ? Op::kDifference
                                 : Op::kText;
    if (op == Op::kText) return true;
    ++at_;
    Node right;
    if (!Sum(&right)) return false;
    if (out->op == op && op != Op::kDifference) {
      out->items.push_back(std::move(right));
    } else {
      Node left = std::move(*out);
      *out = Node(op, "", {std::move(left), std::move(right)});
    }
  }
  return false;
}

// (a, b], [a, b), ]a, b[, <a, b>; one item in one pair is that item.
bool Grammar::Bracketed(Node* out) {
  const char32_t open = Peek().sign;
  ++at_;
  const bool outside = std::exchange(such_that_, false);
  const int bars = std::exchange(bars_, 0);
  Node inside;
  const bool read = List(&inside);
  such_that_ = outside;
  bars_ = bars;
  if (!read || Peek().kind != Kind::kSign) return false;
  char32_t close = Peek().sign;
  const bool angle = open == U'⟨';
  if (angle ? close != U'⟩'
            : (close != U')' && close != U']' && !(close == U'[' && inside.op == Op::kList)))
    return false;
  ++at_;
  if (inside.op == Op::kList) {
    inside.op = Op::kTuple;
    // French: ]a, b[ is (a, b).
    inside.open = open == U']' ? U'(' : open;
    inside.close = close == U'[' ? U')' : close;
  } else if (open == U']' || ((open == U'(') != (close == U')') && !angle)) {
    return false;
  }
  *out = std::move(inside);
  return true;
}

bool Grammar::Braced(Node* out) {
  Deeper deeper(this);
  if (too_large_) return false;
  const char32_t close = IsSign(kGroupOpen) ? kGroupClose : U'}';
  ++at_;
  *out = Node(Op::kSet, "");
  if (Take(close)) return true;
  const bool outside = std::exchange(such_that_, true);
  const int bars = std::exchange(bars_, 0);
  Node inside;
  const bool read = List(&inside);
  such_that_ = outside;
  if (!read) return false;
  if (IsSign(U'|') || IsSign(U':')) {
    ++at_;
    Node conditions;
    if (!List(&conditions)) return false;
    *out = Node(Op::kSetWith, "", {std::move(inside), std::move(conditions)});
  } else if (inside.op == Op::kList) {
    out->items = std::move(inside.items);
  } else {
    out->items.push_back(std::move(inside));
  }
  bars_ = bars;
  return Take(close);
}

// {x | x < 2} whose braces lost their backslashes.
bool Grammar::StartsSetWith() const {
  if (Peek(1).kind != Kind::kWord || Peek(1).text.size() != 1 || !IsSign(U'|', 2)) return false;
  for (std::size_t at = 3; Peek(at).kind != Kind::kEnd && !IsSign(kGroupClose, at); ++at) {
    if (Peek(at).kind == Kind::kSign && IsRelation(Peek(at).sign)) return true;
  }
  return false;
}

// TeX's braces: nothing but grouping; a list stays one.
bool Grammar::Group(Node* out) {
  if (StartsSetWith()) return Braced(out);
  ++at_;
  const bool outside = std::exchange(such_that_, false);
  const int bars = std::exchange(bars_, 0);
  Node inside;
  bool read = List(&inside);
  such_that_ = outside;
  bars_ = bars;
  if (read && (IsCommand("choose") || IsCommand("over"))) {
    const bool choose = IsCommand("choose");
    ++at_;
    Node below;
    if (!Sum(&below) || !IsExpression(below) || !IsExpression(inside)) return false;
    inside = choose ? Node(Op::kFunction, "binom", {std::move(inside), std::move(below)})
                    : Node(Op::kDivide, "", {std::move(inside), std::move(below)});
  }
  if (IsSign(kGroupClose) && !read) sound_ = false;
  if (!read || !Take(kGroupClose)) return false;
  *out = std::move(inside);
  return true;
}

bool Grammar::Rows(std::string_view name, std::vector<Node>* rows) {
  rows->emplace_back(Op::kTuple, "");
  std::size_t cells = 0;
  for (const std::string end = "end:" + std::string(name); !IsCommand(end);) {
    if (Take(U'&')) continue;
    if (Take(kNewRow)) {
      if (!IsCommand(end)) rows->emplace_back(Op::kTuple, "");
      continue;
    }
    // Conditions of cases: "if x > 0", ", x > 0".
    while (IsSign(U',') || IsSign(U';') || IsWord("if") || IsWord("for") || IsWord("when"))
      ++at_;
    if (++cells > kMostItems) too_large_ = true;
    if (too_large_ || !Item(&rows->back().items.emplace_back())) return false;
    while (IsSign(U',') || IsSign(U';') || IsSign(U'.'))
      ++at_;
  }
  ++at_;
  return true;
}

bool Grammar::Environment(Node* out) {
  Deeper deeper(this);
  if (too_large_) return false;
  const std::string name = Peek().text.substr(6);
  constexpr std::string_view kKnown[] = {"matrix",      "pmatrix", "bmatrix", "Bmatrix", "vmatrix",
                                         "smallmatrix", "array",   "cases",   "dcases"};
  if (std::find(std::begin(kKnown), std::end(kKnown), name) == std::end(kKnown)) return false;
  ++at_;
  *out = Node(Op::kMatrix, name.ends_with("cases") ? "cases" : "");
  if (!Rows(name, &out->items)) return false;
  for (const Node& row : out->items) {
    if (row.items.size() != out->items[0].items.size() || row.items.empty()) return false;
  }
  if (name != "vmatrix") return true;
  const Node matrix = std::move(*out);
  return MakeDeterminant(matrix, out);
}

bool Grammar::Domain(Node* out) {
  std::size_t at = 1;
  const bool group = IsSign(kGroupOpen, at);
  if (group) ++at;
  const std::string& name = Peek(at).text;
  if (Peek(at).kind != Kind::kWord || name.size() != 1 ||
      std::string_view("RZNQC").find(name[0]) == std::string_view::npos)
    return false;
  if (group && !IsSign(kGroupClose, at + 1)) return false;
  *out = Node(Op::kDomain, name);
  at_ += at + (group ? 2 : 1);
  return true;
}

// An item of nothing but words: "no solution", \text{Monday}. A lone letter or product of letters
// is none.
bool Grammar::Words(Node* out) {
  if (no_words_ && !Peek().upright) return false;
  std::size_t at = at_;
  std::string text;
  std::size_t words = 0;
  bool plain = false;  // some word cannot be mathematics
  for (; at < tokens_.size() && tokens_[at].kind == Kind::kWord; ++at) {
    const Token& token = tokens_[at];
    if (words > 0 &&
        (token.text == "and" || token.text == "or" || token.text == "和" || token.text == "或"))
      break;
    if (words > 0 && token.space) text += ' ';
    text += token.text;
    ++words;
    if (FunctionName(token.text) && at + 1 < tokens_.size() && !AtItemEnd(at + 1)) return false;
    const bool named = IsLetterName(token.text) || token.text == "pi" || token.text == "inf" ||
                       token.text == "infinity" || token.text == "oo";
    plain = plain || (token.text.size() > 1 && !named &&
                      (token.upright || SplitWord(token.text, true).empty()));
  }
  if (words == 0 || !plain || !AtItemEnd(at)) return false;
  at_ = at;
  const std::string folded = Fold(text);
  if (folded == "all real numbers" || folded == "all reals" || folded == "the real numbers" ||
      folded == "real numbers" || text == "全体实数" || text == "实数集") {
    *out = Node(Op::kDomain, "R");
  } else if (folded == "empty set" || folded == "the empty set" || text == "空集") {
    *out = Node(Op::kSet, "");
  } else {
    *out = Node(Op::kText, words == 1 && text.size() == 1 ? text : folded);
  }
  return true;
}

}  // namespace aha::rewards::math
