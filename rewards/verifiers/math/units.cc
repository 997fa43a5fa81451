#include "rewards/verifiers/math/units.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "rewards/text.h"

namespace aha::rewards::math {
namespace {

// Spellings of units of measure, and the name that several of them share. Units that are not here
// are words like any other: no two of those are told apart.
constexpr std::pair<std::string_view, std::string_view> kUnits[] = {
    {"cm", "cm"},         {"centimeter", "cm"}, {"centimetre", "cm"}, {"厘米", "cm"},
    {"mm", "mm"},         {"millimeter", "mm"}, {"millimetre", "mm"}, {"毫米", "mm"},
    {"dm", "dm"},         {"分米", "dm"},       {"m", "m"},           {"meter", "m"},
    {"metre", "m"},       {"米", "m"},          {"km", "km"},         {"kilometer", "km"},
    {"kilometre", "km"},  {"千米", "km"},       {"公里", "km"},       {"in", "in"},
    {"inch", "in"},       {"inche", "in"},      {"ft", "ft"},         {"foot", "ft"},
    {"feet", "ft"},       {"mile", "mile"},     {"mi", "mile"},       {"yd", "yard"},
    {"yard", "yard"},     {"g", "g"},           {"gram", "g"},        {"克", "g"},
    {"kg", "kg"},         {"kilogram", "kg"},   {"千克", "kg"},       {"公斤", "kg"},
    {"mg", "mg"},         {"ton", "ton"},       {"吨", "ton"},        {"lb", "lb"},
    {"pound", "lb"},      {"oz", "oz"},         {"ounce", "oz"},      {"s", "s"},
    {"sec", "s"},         {"second", "s"},      {"秒", "s"},          {"min", "min"},
    {"minute", "min"},    {"分钟", "min"},      {"h", "h"},           {"hr", "h"},
    {"hour", "h"},        {"小时", "h"},        {"day", "day"},       {"天", "day"},
    {"week", "week"},     {"周", "week"},       {"month", "month"},   {"月", "month"},
    {"year", "year"},     {"年", "year"},       {"l", "l"},           {"L", "l"},
    {"liter", "l"},       {"litre", "l"},       {"升", "l"},          {"ml", "ml"},
    {"mL", "ml"},         {"milliliter", "ml"}, {"毫升", "ml"},       {"degree", "degree"},
    {"deg", "degree"},    {"度", "degree"},     {"rad", "radian"},    {"radian", "radian"},
    {"dollar", "dollar"}, {"usd", "dollar"},    {"cent", "cent"},     {"元", "yuan"},
    {"yuan", "yuan"},     {"rmb", "yuan"},      {"角", "jiao"},       {"倍", "times"},
    {"euro", "euro"},     {"eur", "euro"},      {"mph", "mile/h"},    {"rupee", "rupee"},
    {"平方厘米", "cm^2"}, {"平方米", "m^2"},    {"平方千米", "km^2"}, {"立方厘米", "cm^3"},
    {"立方米", "m^3"},    {"N", "N"},           {"J", "J"},           {"W", "W"},
    {"kW", "kW"},         {"V", "V"},           {"Hz", "Hz"},         {"Pa", "Pa"},
    {"mol", "mol"},       {"kmh", "km/h"},      {"kph", "km/h"},      {"kJ", "kJ"},
    {"kV", "kV"},         {"mV", "mV"},         {"mA", "mA"},         {"kHz", "kHz"},
    {"MHz", "MHz"},       {"GHz", "GHz"},       {"kPa", "kPa"},       {"MPa", "MPa"},
    {"atm", "atm"},       {"eV", "eV"},         {"keV", "keV"},       {"MeV", "MeV"},
    {"nm", "nm"},         {"ms", "ms"},         {"ns", "ns"},         {"joule", "J"},
    {"watt", "W"},        {"volt", "V"},        {"newton", "N"},      {"pascal", "Pa"},
    {"hertz", "Hz"},      {"mole", "mol"},      {"kelvin", "K"},      {"ampere", "A"},
    {"coulomb", "C"},     {"tesla", "T"},       {"kcal", "kcal"},     {"cal", "cal"}};

// Units of one letter that is a variable's as well: inside \text{} alone.
constexpr std::string_view kUprightUnits[] = {"K", "A", "C", "T", "F", "H", "M", "u"};

struct Measure {
  std::string_view unit, what;
  long top, bottom;  // of the first unit of its kind
};
constexpr Measure kMeasures[] = {{"mm", "length", 1, 1},         {"cm", "length", 10, 1},
                                 {"dm", "length", 100, 1},       {"m", "length", 1000, 1},
                                 {"km", "length", 1000000, 1},   {"in", "foot", 1, 1},
                                 {"ft", "foot", 12, 1},          {"yard", "foot", 36, 1},
                                 {"mile", "foot", 63360, 1},     {"mg", "mass", 1, 1},
                                 {"g", "mass", 1000, 1},         {"kg", "mass", 1000000, 1},
                                 {"ton", "mass", 1000000000, 1}, {"oz", "pound", 1, 1},
                                 {"lb", "pound", 16, 1},         {"s", "time", 1, 1},
                                 {"min", "time", 60, 1},         {"h", "time", 3600, 1},
                                 {"day", "time", 86400, 1},      {"week", "time", 604800, 1},
                                 {"ml", "volume", 1, 1},         {"l", "volume", 1000, 1},
                                 {"cent", "dollar", 1, 1},       {"dollar", "dollar", 100, 1},
                                 {"jiao", "yuan", 1, 1},         {"yuan", "yuan", 10, 1},
                                 {"J", "energy", 1, 1},          {"kJ", "energy", 1000, 1},
                                 {"mV", "voltage", 1, 1},        {"V", "voltage", 1000, 1},
                                 {"kV", "voltage", 1000000, 1},  {"mA", "current", 1, 1},
                                 {"A", "current", 1000, 1},      {"W", "power", 1, 1},
                                 {"kW", "power", 1000, 1},       {"Hz", "frequency", 1, 1},
                                 {"kHz", "frequency", 1000, 1},  {"MHz", "frequency", 1000000, 1},
                                 {"Pa", "pressure", 1, 1},       {"kPa", "pressure", 1000, 1},
                                 {"nm", "length", 1, 1000000},   {"ms", "time", 1, 1000},
                                 {"mm^2", "area", 1, 1},         {"cm^2", "area", 100, 1},
                                 {"dm^2", "area", 10000, 1},     {"m^2", "area", 1000000, 1},
                                 {"m/s", "speed", 18, 1},        {"km/h", "speed", 5, 1},
                                 {"cm^3", "volume", 1, 1},       {"dm^3", "volume", 1000, 1},
                                 {"m^3", "volume", 1000000, 1}};

// Words that change what a number means, or make it no answer.
constexpr std::string_view kTelling[] = {"negative",
                                         "minus",
                                         "plus",
                                         "not",
                                         "no",
                                         "half",
                                         "quarter",
                                         "third",
                                         "sqrt",
                                         "root",
                                         "times",
                                         "squared",
                                         "cubed",
                                         "pi",
                                         "million",
                                         "billion",
                                         "trillion",
                                         "thousand",
                                         "hundred",
                                         "dozen",
                                         "over",
                                         "less",
                                         "more",
                                         "than",
                                         "infinity",
                                         "never",
                                         "or",
                                         "between",
                                         "percent",
                                         "except",
                                         "modulo",
                                         "mod",
                                         "log",
                                         "sin",
                                         "cos",
                                         "tan",
                                         "ln",
                                         "and",
                                         "if",
                                         "where",
                                         "when",
                                         "for",
                                         "either",
                                         "neither",
                                         "maybe",
                                         "about",
                                         "approximately",
                                         "least",
                                         "most",
                                         "nor",
                                         "but"};
constexpr std::string_view kTellingHan[] = {"负", "不", "万", "亿", "千",   "百", "半",
                                            "非", "或", "倍", "根", "平方", "成"};

bool IsAsciiLetter(CodePoint c) {
  return c < 0x80 && (c | 32) >= 'a' && (c | 32) <= 'z';
}

std::string Fold(std::string_view text) {
  std::string out(text);
  for (char& c : out) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c | 32);
  }
  return out;
}

std::optional<std::string> Simple(std::string_view word) {
  for (const auto& [spelling, name] : kUnits) {
    if (spelling == word) return std::string(name);
  }
  std::string folded = Fold(word);
  for (int plural = 0; plural < 2; ++plural) {
    for (const auto& [spelling, name] : kUnits) {
      if (spelling == folded && (folded.size() > 1 || folded == word)) return std::string(name);
    }
    if (folded.size() < 3 || folded.back() != 's') break;
    folded.pop_back();
  }
  return std::nullopt;
}

std::string_view TrimSpaces(std::string_view text) {
  while (!text.empty() && text.front() == ' ')
    text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '.'))
    text.remove_suffix(1);
  return text;
}

}  // namespace

bool AreHarmlessWords(std::string_view words) {
  if (words.size() > 4096) return false;
  std::string word;
  const auto word_is_harmless = [&] {
    const std::string folded = Fold(std::exchange(word, {}));
    return std::find(std::begin(kTelling), std::end(kTelling), folded) == std::end(kTelling) &&
           (folded.size() != 1 || folded == "a" || folded == "i");
  };
  for (std::size_t at = 0; at < words.size();) {
    const std::size_t start = at;
    const CodePoint c = DecodeNext(words, &at).point;
    if (IsAsciiLetter(c) || (c == '\'' && !word.empty())) {
      word.push_back(static_cast<char>(c));
      continue;
    }
    if (!word.empty() && !word_is_harmless()) return false;
    const bool plain = c == ' ' || c == ',' || c == '.' || c == ':' || c == '"' || c == '\'' ||
                       c == 0x3002 || c == 0x2019 || c == '*';
    if (!plain && !IsLetter(c)) return false;
    for (const auto telling : kTellingHan) {
      if (words.substr(start, telling.size()) == telling) return false;
    }
  }
  return word.empty() || word_is_harmless();
}

std::optional<std::string> KnownUprightUnit(std::string_view word) {
  for (const auto unit : kUprightUnits) {
    if (unit == word) return std::string(unit);
  }
  return KnownUnit(word);
}

std::optional<std::string> KnownUnit(std::string_view phrase) {
  std::string_view unit = TrimSpaces(phrase);
  if (unit.empty() || unit.size() > 64) return std::nullopt;
  for (const std::string_view joint : {"/", " per ", " an ", " a "}) {
    const auto at = unit.find(joint);
    if (at == std::string_view::npos) continue;
    const auto top = KnownUnit(unit.substr(0, at)),
               bottom = Simple(TrimSpaces(unit.substr(at + joint.size())));
    return top && bottom ? std::optional<std::string>(*top + "/" + *bottom) : std::nullopt;
  }
  std::string power;
  for (const std::string_view suffix : {"^2", "^3", " squared", " cubed"}) {
    if (!unit.ends_with(suffix)) continue;
    power = suffix == "^2" || suffix == " squared" ? "^2" : "^3";
    unit.remove_suffix(suffix.size());
  }
  for (const std::string_view prefix :
       {"square ", "cubic ", "sq ", "sq. ", "cu ", "平方", "立方"}) {
    if (!Fold(unit).starts_with(prefix)) continue;
    power = prefix.starts_with("cu") || prefix == "立方" ? "^3" : "^2";
    unit.remove_prefix(prefix.size());
  }
  if (const auto known = Simple(unit)) return *known + power;
  return std::nullopt;
}

bool Conversion(const std::string& from, const std::string& to, long* top, long* bottom) {
  const auto find = [](const std::string& unit) {
    return std::find_if(std::begin(kMeasures), std::end(kMeasures),
                        [&](const Measure& m) { return m.unit == unit; });
  };
  const auto* a = find(from);
  const auto* b = find(to);
  if (a == std::end(kMeasures) || b == std::end(kMeasures) || a->what != b->what) return false;
  *top = a->top * b->bottom;
  *bottom = a->bottom * b->top;
  return true;
}

}  // namespace aha::rewards::math
