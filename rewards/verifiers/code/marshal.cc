// Python's marshal format, version 2 (Python/marshal.c): a byte for the type, little-endian
// numbers. Its writer takes exact built-in types only, so that a class of the program's own, equal
// to everything or not, never leaves its process.

#include <bit>
#include <cstring>

#include "rewards/verifiers/code/value.h"

namespace aha::rewards::code {
namespace {

static_assert(std::endian::native == std::endian::little);

template <class T>
void Put(T number, std::string* out) {
  char bytes[sizeof(T)];
  std::memcpy(bytes, &number, sizeof(T));
  out->append(bytes, sizeof(T));
}

void PutInteger(const Integer& integer, std::string* out) {
  out->push_back('l');
  const auto count = static_cast<std::int32_t>(integer.digits.size());
  Put(integer.negative ? -count : count, out);
  for (const std::uint16_t digit : integer.digits)
    Put(digit, out);
}

void PutValue(const Value& value, std::string* out) {
  switch (value.kind) {
    case Value::Kind::kNull:
    case Value::Kind::kOther:
      out->push_back('N');
      return;
    case Value::Kind::kBool:
      out->push_back(value.boolean ? 'T' : 'F');
      return;
    case Value::Kind::kInteger:
      return PutInteger(value.integer, out);
    case Value::Kind::kReal:
      out->push_back('g');
      return Put(value.real, out);
    case Value::Kind::kText:
      out->push_back('u');
      Put(static_cast<std::uint32_t>(value.text.size()), out);
      out->append(value.text);
      return;
    case Value::Kind::kList:
    case Value::Kind::kTuple:
      out->push_back(value.kind == Value::Kind::kList ? '[' : '(');
      Put(static_cast<std::uint32_t>(value.items.size()), out);
      for (const Value& item : value.items)
        PutValue(item, out);
      return;
    case Value::Kind::kDict:
      out->push_back('{');
      for (const Value& item : value.items)
        PutValue(item, out);
      out->push_back('0');
      return;
  }
}

class Decoder {
 public:
  explicit Decoder(std::string_view bytes) : rest_(bytes) {}

  bool Read(Value* value, std::size_t depth = 0) {
    char type = 0;
    return Get(&type) && ReadAs(type, value, depth);
  }
  [[nodiscard]] bool done() const { return rest_.empty(); }

 private:
  template <class T>
  bool Get(T* to) {
    if (rest_.size() < sizeof(T)) return false;
    std::memcpy(to, rest_.data(), sizeof(T));
    rest_.remove_prefix(sizeof(T));
    return true;
  }

  bool ReadAs(char type, Value* value, std::size_t depth) {
    if (++count_ > kMostValues || depth > kDeepest) return false;
    using Kind = Value::Kind;
    switch (type) {
      case 'N':
        value->kind = Kind::kNull;
        return true;
      case 'T':
      case 'F':
        value->kind = Kind::kBool;
        value->boolean = type == 'T';
        return true;
      case 'i': {
        std::int32_t number = 0;
        value->kind = Kind::kInteger;
        if (!Get(&number)) return false;
        value->integer = MakeInteger(number);
        return true;
      }
      case 'l':
        value->kind = Kind::kInteger;
        return ReadInteger(&value->integer);
      case 'g':
        value->kind = Kind::kReal;
        return Get(&value->real);
      case 'u':
        value->kind = Kind::kText;
        return ReadText(&value->text);
      case '[':
      case '(':
      case '<':
      case '>':
        value->kind = type == '[' ? Kind::kList : type == '(' ? Kind::kTuple : Kind::kOther;
        return ReadItems(&value->items, depth);
      case '{':
        value->kind = Kind::kDict;
        return ReadPairs(&value->items, depth);
      case 's':
        value->kind = Kind::kOther;
        return ReadText(&value->text);
      case 'y': {
        double part = 0;
        value->kind = Kind::kOther;
        return Get(&part) && Get(&part);
      }
      case '.':
        value->kind = Kind::kOther;
        return true;
      default:
        return false;
    }
  }

  bool ReadInteger(Integer* integer) {
    std::int32_t size = 0;
    if (!Get(&size)) return false;
    integer->negative = size < 0;
    const auto count = static_cast<std::size_t>(size < 0 ? -static_cast<std::int64_t>(size) : size);
    if (count > rest_.size() / 2) return false;
    for (std::size_t i = 0; i < count; ++i) {
      std::uint16_t digit = 0;
      if (!Get(&digit) || digit >= (1U << 15)) return false;
      integer->digits.push_back(digit);
    }
    // As Python writes it: no zero at the end, no negative zero.
    return integer->digits.empty() ? !integer->negative : integer->digits.back() != 0;
  }

  bool ReadText(std::string* text) {
    std::uint32_t size = 0;
    if (!Get(&size) || size > rest_.size()) return false;
    text->assign(rest_.substr(0, size));
    rest_.remove_prefix(size);
    return true;
  }

  bool ReadItems(std::vector<Value>* items, std::size_t depth) {
    std::uint32_t size = 0;
    if (!Get(&size) || size > rest_.size()) return false;  // a value takes a byte at least
    for (std::uint32_t i = 0; i < size; ++i) {
      if (!Read(&items->emplace_back(), depth + 1)) return false;
    }
    return true;
  }

  bool ReadPairs(std::vector<Value>* items, std::size_t depth) {
    while (true) {
      char type = 0;
      if (!Get(&type)) return false;
      if (type == '0') return true;
      if (!ReadAs(type, &items->emplace_back(), depth + 1)) return false;
      if (!Read(&items->emplace_back(), depth + 1)) return false;
    }
  }

  std::string_view rest_;
  std::size_t count_ = 0;
};

}  // namespace

std::string ToMarshal(const Value& value) {
  std::string out;
  PutValue(value, &out);
  return out;
}

std::optional<Value> FromMarshal(std::string_view bytes) {
  Decoder decoder(bytes);
  Value value;
  if (!decoder.Read(&value) || !decoder.done()) return std::nullopt;
  return value;
}

}  // namespace aha::rewards::code
