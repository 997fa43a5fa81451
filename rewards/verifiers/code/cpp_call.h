#pragma once
/// The C++ text that stands before a program whose function is called: reads arguments in Python's
/// marshal format, writes the returned value in it.

#include <string_view>

namespace aha::rewards::code {

inline constexpr std::string_view kCppCall = R"cpp(
#include <unistd.h>

#include <array>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <iostream>
#include <list>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <tuple>
#include <type_traits>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <vector>

  namespace aha_call {

  [[noreturn]] inline void Mismatch(const char* what) {
    std::cerr << "the function's parameters do not fit the arguments: " << what << std::endl;
    _exit(1);
  }

  struct In {
    std::string bytes;
    std::size_t at = 0;
    char Peek() const { return at < bytes.size() ? bytes[at] : '?'; }
    char Type() { return at < bytes.size() ? bytes[at++] : '?'; }
    template <class T>
    T Raw() {
      T value{};
      if (bytes.size() - at < sizeof(T)) Mismatch("cut off");
      std::memcpy(&value, bytes.data() + at, sizeof(T));
      at += sizeof(T);
      return value;
    }
    std::size_t Count() {
      const char type = Type();
      if (type != '[' && type != '(') Mismatch("a sequence is wanted");
      return Raw<std::uint32_t>();
    }
    double Real() {
      const char type = Type();
      if (type == 'g') return Raw<double>();
      if (type != 'l') Mismatch("a number is wanted");
      const auto size = Raw<std::int32_t>();
      double value = 0;
      for (std::int32_t i = 0; i < std::abs(size); ++i)
        value += std::ldexp(Raw<std::uint16_t>(), 15 * i);
      return size < 0 ? -value : value;
    }
    template <class T>
    T Whole() {
      if (Type() != 'l') Mismatch("an integer is wanted");
      const auto size = Raw<std::int32_t>();
      unsigned __int128 value = 0;
      if (std::abs(size) > 5) Mismatch("an integer is too large");
      for (std::int32_t i = 0; i < std::abs(size); ++i)
        value |= static_cast<unsigned __int128>(Raw<std::uint16_t>()) << (15 * i);
      const __int128 whole = size < 0 ? -static_cast<__int128>(value) : static_cast<__int128>(value);
      if (static_cast<__int128>(static_cast<T>(whole)) != whole)
        Mismatch(
            "an integer is too "
            "large");
      return static_cast<T>(whole);
    }
    std::string Text() {
      if (Type() != 'u') Mismatch("text is wanted");
      const auto size = Raw<std::uint32_t>();
      if (bytes.size() - at < size) Mismatch("cut off");
      at += size;
      return bytes.substr(at - size, size);
    }
  };

  template <class T>
  struct Form {
    static T Read(In& in) {
      if constexpr (std::is_same_v<T, bool>) {
        const char type = in.Type();
        if (type != 'T' && type != 'F') Mismatch("true or false is wanted");
        return type == 'T';
      } else if constexpr (std::is_same_v<T, char>) {
        const std::string text = in.Text();
        if (text.size() != 1) Mismatch("a character is wanted");
        return text[0];
      } else if constexpr (std::is_integral_v<T>) {
        return in.Whole<T>();
      } else {
        static_assert(std::is_floating_point_v<T>, "a type that a call cannot take or return");
        return static_cast<T>(in.Real());
      }
    }
    static void Write(const T& value, std::string& out) {
      if constexpr (std::is_same_v<T, bool>) {
        out += value ? 'T' : 'F';
      } else if constexpr (std::is_same_v<T, char>) {
        out += 'u';
        out.append("\1\0\0\0", 4);
        out += value;
      } else if constexpr (std::is_integral_v<T>) {
        const bool negative = value < 0;
        std::uint64_t rest = static_cast<std::uint64_t>(value);
        if (negative) rest = 0 - rest;
        std::string digits;
        std::int32_t count = 0;
        for (; rest != 0; rest >>= 15, ++count) {
          digits += static_cast<char>(rest & 0xFF);
          digits += static_cast<char>((rest >> 8) & 0x7F);
        }
        if (negative) count = -count;
        out += 'l';
        out.append(reinterpret_cast<const char*>(&count), 4);
        out += digits;
      } else {
        const double real = static_cast<double>(value);
        out += 'g';
        out.append(reinterpret_cast<const char*>(&real), 8);
      }
    }
  };

  inline void Head(char type, std::size_t size, std::string& out) {
    const auto count = static_cast<std::uint32_t>(size);
    out += type;
    out.append(reinterpret_cast<const char*>(&count), 4);
  }

  template <>
  struct Form<std::string> {
    static std::string Read(In& in) { return in.Text(); }
    static void Write(const std::string& text, std::string& out) {
      Head('u', text.size(), out);
      out += text;
    }
  };

  template <class C>
  struct Sequence {
    using Item = typename C::value_type;
    static C Read(In& in) {
      C items;
      const std::size_t count = in.Count();
      for (std::size_t i = 0; i < count; ++i)
        items.insert(items.end(), Form<Item>::Read(in));
      return items;
    }
    static void Write(const C& items, std::string& out) {
      Head('[', items.size(), out);
      for (const auto& item : items)
        Form<Item>::Write(static_cast<const Item&>(item), out);
    }
  };
  template <class... A>
  struct Form<std::vector<A...>> : Sequence<std::vector<A...>> {};
  template <class... A>
  struct Form<std::deque<A...>> : Sequence<std::deque<A...>> {};
  template <class... A>
  struct Form<std::list<A...>> : Sequence<std::list<A...>> {};
  template <class... A>
  struct Form<std::set<A...>> : Sequence<std::set<A...>> {};
  template <class... A>
  struct Form<std::multiset<A...>> : Sequence<std::multiset<A...>> {};
  template <class... A>
  struct Form<std::unordered_set<A...>> : Sequence<std::unordered_set<A...>> {};

  template <class T, std::size_t N>
  struct Form<std::array<T, N>> {
    static std::array<T, N> Read(In& in) {
      std::array<T, N> items{};
      if (in.Count() != N) Mismatch("an array of another size");
      for (auto& item : items)
        item = Form<T>::Read(in);
      return items;
    }
    static void Write(const std::array<T, N>& items, std::string& out) {
      Head('[', N, out);
      for (const auto& item : items)
        Form<T>::Write(item, out);
    }
  };

  template <class C>
  struct Dictionary {
    using Key = typename C::key_type;
    using Mapped = typename C::mapped_type;
    static C Read(In& in) {
      C items;
      if (in.Type() != '{') Mismatch("an object is wanted");
      while (in.Peek() != '0') {
        const std::string name = in.Text();
        Key key{};
        if constexpr (std::is_same_v<Key, std::string>)
          key = name;
        else if constexpr (std::is_integral_v<Key>)
          key = static_cast<Key>(std::strtoll(name.c_str(), nullptr, 10));
        else
          Mismatch("keys of an object are text");
        items.emplace(std::move(key), Form<Mapped>::Read(in));
      }
      in.Type();
      return items;
    }
    static void Write(const C& items, std::string& out) {
      out += '{';
      for (const auto& [key, value] : items) {
        Form<Key>::Write(key, out);
        Form<Mapped>::Write(value, out);
      }
      out += '0';
    }
  };
  template <class... A>
  struct Form<std::map<A...>> : Dictionary<std::map<A...>> {};
  template <class... A>
  struct Form<std::unordered_map<A...>> : Dictionary<std::unordered_map<A...>> {};

  template <class... T>
  struct Form<std::tuple<T...>> {
    static std::tuple<T...> Read(In& in) {
      if (in.Count() != sizeof...(T)) Mismatch("a tuple of another size");
      return std::tuple<T...>{Form<T>::Read(in)...};
    }
    static void Write(const std::tuple<T...>& items, std::string& out) {
      Head('(', sizeof...(T), out);
      std::apply([&](const T&... item) { (Form<T>::Write(item, out), ...); }, items);
    }
  };
  template <class A, class B>
  struct Form<std::pair<A, B>> {
    static std::pair<A, B> Read(In& in) {
      auto items = Form<std::tuple<A, B>>::Read(in);
      return {std::get<0>(std::move(items)), std::get<1>(std::move(items))};
    }
    static void Write(const std::pair<A, B>& items, std::string& out) {
      Head('(', 2, out);
      Form<A>::Write(items.first, out);
      Form<B>::Write(items.second, out);
    }
  };
  template <class T>
  struct Form<std::optional<T>> {
    static std::optional<T> Read(In& in) {
      if (in.Peek() != 'N') return Form<T>::Read(in);
      in.Type();
      return std::nullopt;
    }
    static void Write(const std::optional<T>& value, std::string& out) {
      if (value)
        Form<T>::Write(*value, out);
      else
        out += 'N';
    }
  };

  template <class R, class... A, std::size_t... I>
  void Call(R (*function)(A...), In& in, std::string& out, std::index_sequence<I...>) {
    if (in.Count() != sizeof...(A)) Mismatch("another number of them");
    std::tuple<std::decay_t<A>...> values{Form<std::decay_t<A>>::Read(in)...};
    if constexpr (std::is_void_v<R>) {
      function(static_cast<A&&>(std::get<I>(values))...);
      out += 'N';
    } else {
      Form<std::decay_t<R>>::Write(function(static_cast<A&&>(std::get<I>(values))...), out);
    }
  }

  template <class R, class... A>
  int Run(R (*function)(A...)) {
    In in;
    char buffer[65536];
    for (ssize_t n = 0; (n = read(0, buffer, sizeof(buffer))) > 0;)
      in.bytes.append(buffer, n);
    std::string out = "R";
    Call(function, in, out, std::index_sequence_for<A...>());
    for (std::size_t at = 0; at < out.size();) {
      const ssize_t n = write(3, out.data() + at, out.size() - at);
      if (n <= 0) _exit(1);
      at += static_cast<std::size_t>(n);
    }
    _exit(0);
  }

  }  // namespace aha_call
)cpp";

}  // namespace aha::rewards::code
