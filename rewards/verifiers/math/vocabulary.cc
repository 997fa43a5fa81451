#include "rewards/verifiers/math/vocabulary.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "rewards/verifiers/math/lexer.h"

namespace aha::rewards::math {
namespace {

using Sign = std::pair<std::string_view, char32_t>;
// Sorted by name.
constexpr Sign kSigns[] = {
    {"And", U'&'},        {"Vert", U'‖'},      {"approx", U'≈'},
    {"ast", U'*'},        {"backslash", U'∖'}, {"bigcap", U'∩'},
    {"bigcup", U'∪'},     {"bullet", U'*'},    {"cap", U'∩'},
    {"cdot", U'*'},       {"cdots", U'…'},     {"circ", U'°'},
    {"colon", U':'},      {"cong", U'≅'},      {"cup", U'∪'},
    {"degree", U'°'},     {"degrees", U'°'},   {"div", U'÷'},
    {"doteq", U'='},      {"dots", U'…'},      {"emptyset", U'∅'},
    {"equiv", U'≡'},      {"euro", U'€'},      {"ge", U'≥'},
    {"geq", U'≥'},        {"geqq", U'≥'},      {"geqslant", U'≥'},
    {"gt", U'>'},         {"iff", U'⇔'},       {"implies", U'⇒'},
    {"in", U'∈'},         {"infin", U'∞'},     {"infty", U'∞'},
    {"land", U'∧'},       {"langle", U'⟨'},    {"lbrace", U'{'},
    {"lbrack", U'['},     {"lceil", U'⌈'},     {"ldots", U'…'},
    {"le", U'≤'},         {"leq", U'≤'},       {"leqq", U'≤'},
    {"leqslant", U'≤'},   {"lfloor", U'⌊'},    {"lor", U'∨'},
    {"lt", U'<'},         {"lvert", U'|'},     {"mid", U'|'},
    {"mp", U'∓'},         {"ne", U'≠'},        {"neq", U'≠'},
    {"notin", U'∉'},      {"parallel", U'∥'},  {"perp", U'⊥'},
    {"pm", U'±'},         {"pounds", U'£'},    {"prime", U'\''},
    {"rangle", U'⟩'},     {"rbrace", U'}'},    {"rbrack", U']'},
    {"rceil", U'⌉'},      {"rfloor", U'⌋'},    {"rightarrow", U'→'},
    {"rvert", U'|'},      {"setminus", U'∖'},  {"sim", U'≈'},
    {"simeq", U'≈'},      {"slash", U'/'},     {"smallsetminus", U'∖'},
    {"star", U'*'},       {"times", U'*'},     {"to", U'→'},
    {"varnothing", U'∅'}, {"vee", U'∨'},       {"vert", U'|'},
    {"wedge", U'∧'},      {"yen", U'¥'},
};

constexpr std::string_view kBlanks[] = {"enspace", "hfill", "hspace",    "newline", "quad",
                                        "qquad",   "space", "thinspace", "vspace"};
constexpr std::string_view kNothing[] = {
    "Big",      "Bigg",  "Biggl",  "Biggr",  "Bigl",        "Bigr",         "big",
    "bigg",     "biggl", "biggr",  "bigl",   "bigr",        "displaystyle", "hline",
    "it",       "left",  "limits", "middle", "nolimits",    "normalsize",   "bf",
    "nonumber", "notag", "right",  "rm",     "scriptstyle", "textstyle",    "small",
    "large",    "Large", "tfrac "};
constexpr std::string_view kTransparent[] = {
    "Bbb",    "bm",      "boldsymbol", "boxed",  "ensuremath", "fbox",           "hat",
    "mathbf", "mathcal", "mathfrak",   "mathit", "mathscr",    "overrightarrow", "pmb",
    "smash",  "tilde",   "underline",  "vec",    "widehat",    "displaylines",   "mathop"};
constexpr std::string_view kUpright[] = {"hbox",         "mathrm", "mathsf", "mathtt", "mbox",
                                         "operatorname", "text",   "textbf", "textit", "textnormal",
                                         "textrm",       "textsc", "textsf", "texttt", "emph"};
constexpr std::string_view kParsed[] = {"bar",      "binom", "cfrac", "dbinom", "dfrac",  "dot",
                                        "frac",     "lim",   "iint",  "int",    "mathbb", "oint",
                                        "overline", "prod",  "sqrt",  "sum",    "tbinom", "tfrac",
                                        "overset",  "pmod",  "bmod",  "mod",    "choose", "over"};

constexpr std::pair<std::string_view, std::string_view> kFunctions[] = {
    {"abs", "abs"},     {"acos", "acos"},     {"acosh", "acosh"},  {"acot", "acot"},
    {"arccos", "acos"}, {"arccosh", "acosh"}, {"arccot", "acot"},  {"arcosh", "acosh"},
    {"arcsin", "asin"}, {"arcsinh", "asinh"}, {"arctan", "atan"},  {"arctanh", "atanh"},
    {"arctg", "atan"},  {"arsinh", "asinh"},  {"artanh", "atanh"}, {"asin", "asin"},
    {"asinh", "asinh"}, {"atan", "atan"},     {"atanh", "atanh"},  {"cbrt", "cbrt"},
    {"ceil", "ceil"},   {"cos", "cos"},       {"cosec", "csc"},    {"cosh", "cosh"},
    {"cot", "cot"},     {"coth", "coth"},     {"csc", "csc"},      {"ctg", "cot"},
    {"exp", "exp"},     {"floor", "floor"},   {"gcd", "gcd"},      {"lcm", "lcm"},
    {"lg", "lg"},       {"ln", "ln"},         {"log", "log"},      {"max", "max"},
    {"min", "min"},     {"sec", "sec"},       {"sgn", "sgn"},      {"sign", "sgn"},
    {"sin", "sin"},     {"sinh", "sinh"},     {"sqrt", "sqrt"},    {"tan", "tan"},
    {"tanh", "tanh"},   {"tg", "tan"}};

constexpr std::string_view kLetters[] = {
    "Delta",   "Gamma",    "Lambda", "Omega", "Phi",      "Pi",    "Psi",   "Sigma",   "Theta",
    "Upsilon", "Xi",       "alpha",  "beta",  "chi",      "delta", "ell",   "epsilon", "eta",
    "gamma",   "hbar",     "iota",   "kappa", "lambda",   "mu",    "nabla", "nu",      "omega",
    "partial", "phi",      "psi",    "rho",   "sigma",    "tau",   "theta", "upsilon", "varepsilon",
    "varphi",  "vartheta", "xi",     "zeta",  "triangle", "angle"};

template <class Range>
bool Holds(const Range& range, std::string_view word) {
  return std::find(std::begin(range), std::end(range), word) != std::end(range);
}

}  // namespace

CommandMeaning MeaningOf(std::string_view command) {
  const auto* sign = std::find_if(std::begin(kSigns), std::end(kSigns),
                                  [&](const Sign& s) { return s.first == command; });
  if (sign != std::end(kSigns)) return {CommandKind::kSign, sign->second};
  if (Holds(kParsed, command)) return {CommandKind::kParsed};
  if (Holds(kUpright, command)) return {CommandKind::kUpright};
  if (Holds(kNothing, command)) return {CommandKind::kNothing};
  if (Holds(kTransparent, command)) return {CommandKind::kTransparent};
  if (Holds(kBlanks, command)) return {CommandKind::kBlank};
  if (command == "pi" || command == "imath" || command == "jmath" || FunctionName(command) ||
      IsLetterName(command)) {
    return {CommandKind::kName};
  }
  return {};
}

std::optional<std::string_view> FunctionName(std::string_view word) {
  const auto* found = std::find_if(std::begin(kFunctions), std::end(kFunctions),
                                   [&](const auto& f) { return f.first == word; });
  if (found == std::end(kFunctions)) return std::nullopt;
  return found->second;
}

bool IsLetterName(std::string_view word) {
  return Holds(kLetters, word);
}

}  // namespace aha::rewards::math
