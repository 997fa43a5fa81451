#pragma once
/// Write a reward of your own: this header and the C++ standard library are all that it takes.
///
///   struct ShortAnswer {
///     static constexpr std::string_view kName = "short_answer";
///     static constexpr std::string_view kDoc = "1 for a completion of at most `limit` bytes";
///     static constexpr aha::plugin::Key kKeys[] = {
///         aha::plugin::Integer("limit", 200, "longest completion, in bytes")};
///     explicit ShortAnswer(const aha::plugin::Config& config) : limit(config.Integer("limit")) {}
///     aha::plugin::Verdict Score(const aha::plugin::Input& input) const {
///       return static_cast<std::int64_t>(input.completion.size()) <= limit ? 1.0 : 0.0;
///     }
///     std::int64_t limit;
///   };
///   AHA_REWARD_PLUGIN(ShortAnswer)
///
/// A constructor that throws refuses the configuration; a Score that throws is a CRASH failure.
/// Score is called from many threads at once; a class whose Score must not be declares
///     static constexpr bool kThreadSafe = false;
/// and is called by one thread at a time. `kKeys` may be left out, and with it the constructor's
/// argument.

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <exception>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>

#include "rewards/plugin_abi.h"

namespace aha::plugin {

/// One completion; views are borrowed until Score returns. `prompt` and `completion` may hold bytes
/// that are not UTF-8.
struct Input {
  std::string_view id;
  std::string_view prompt;
  std::string_view completion;
  std::string_view reference;
  std::string_view language;
  std::uint32_t tokens = 0;
  bool truncated = false;
};

/// What Score returns: a number, `{number, "why"}`, or BadReference("...").
struct Verdict {
  Verdict(double s, std::string_view why = {}) : score(s), reason(why) {}  // NOLINT: implicit
  double score = 0;
  std::string reason;
  std::uint32_t failure = 0;  ///< proto/rewards.proto, Failure.Kind; 0: none
  std::string detail;
};

/// No verdict, because the reference cannot be read. Never use it for a completion's own fault.
inline Verdict BadReference(std::string_view detail) {
  Verdict verdict(0);
  verdict.failure = 3;
  verdict.detail = detail;
  return verdict;
}

using Key = aha_reward_key;

namespace internal {
constexpr aha_view View(std::string_view text) {
  return {text.data(), text.size()};
}
inline std::string_view Text(aha_view view) {
  return view.size == 0 ? std::string_view() : std::string_view(view.data, view.size);
}
inline void Copy(std::string_view text, char* out, std::size_t size) {
  if (size == 0) return;
  const std::size_t count = std::min(text.size(), size - 1);
  if (count > 0) std::memcpy(out, text.data(), count);
  out[count] = '\0';
}
}  // namespace internal

/// Config keys with their defaults.
constexpr Key Bool(std::string_view name, bool value, std::string_view doc) {
  return {internal::View(name), internal::View(doc), AHA_REWARD_BOOL, {value ? 1 : 0, 0, {}}};
}
constexpr Key Integer(std::string_view name, std::int64_t value, std::string_view doc) {
  return {internal::View(name), internal::View(doc), AHA_REWARD_INTEGER, {value, 0, {}}};
}
constexpr Key Number(std::string_view name, double value, std::string_view doc) {
  return {internal::View(name), internal::View(doc), AHA_REWARD_NUMBER, {0, value, {}}};
}
constexpr Key Text(std::string_view name, std::string_view value, std::string_view doc) {
  return {
      internal::View(name), internal::View(doc), AHA_REWARD_TEXT, {0, 0, internal::View(value)}};
}

/// The values of the declared keys. Asking for another, or by another type, throws.
class Config {
 public:
  Config(std::span<const Key> keys, const aha_reward_value* values)
      : keys_(keys), values_(values) {}
  [[nodiscard]] bool Bool(std::string_view name) const {
    return Get(name, AHA_REWARD_BOOL).integer != 0;
  }
  [[nodiscard]] std::int64_t Integer(std::string_view name) const {
    return Get(name, AHA_REWARD_INTEGER).integer;
  }
  [[nodiscard]] double Number(std::string_view name) const {
    return Get(name, AHA_REWARD_NUMBER).number;
  }
  [[nodiscard]] std::string_view Text(std::string_view name) const {
    return internal::Text(Get(name, AHA_REWARD_TEXT).text);
  }

 private:
  [[nodiscard]] const aha_reward_value& Get(std::string_view name, std::uint32_t type) const {
    for (std::size_t i = 0; i < keys_.size(); ++i) {
      if (internal::Text(keys_[i].name) == name && keys_[i].type == type) return values_[i];
    }
    throw std::logic_error("config key '" + std::string(name) + "' is not declared with this type");
  }
  std::span<const Key> keys_;
  const aha_reward_value* values_;
};

namespace internal {

template <class T>
constexpr std::span<const Key> KeysOf() {
  if constexpr (requires { T::kKeys; }) {
    return std::span<const Key>(T::kKeys);
  } else {
    return {};
  }
}

template <class T>
constexpr std::uint32_t FlagsOf() {
  if constexpr (requires { T::kThreadSafe; }) {
    return T::kThreadSafe ? 0 : AHA_REWARD_ONE_THREAD;
  } else {
    return 0;
  }
}

template <class T>
void* Create(const aha_reward_value* values, std::size_t count, char* error, std::size_t size) {
  try {
    if (count != KeysOf<T>().size())
      throw std::logic_error("another number of values than of keys");
    if constexpr (requires(const Config& config) { T(config); }) {
      return new T(Config(KeysOf<T>(), values));
    } else {
      static_cast<void>(values);
      return new T();
    }
  } catch (const std::exception& e) {
    Copy(e.what(), error, size);
  } catch (...) {
    Copy("an exception of unknown type", error, size);
  }
  return nullptr;
}

template <class T>
void Destroy(void* reward) {
  delete static_cast<T*>(reward);
}

template <class T>
void Score(const void* reward, const aha_reward_input* in, aha_reward_result* out) {
  try {
    const Input input{.id = Text(in->id),
                      .prompt = Text(in->prompt),
                      .completion = Text(in->completion),
                      .reference = Text(in->reference),
                      .language = Text(in->language),
                      .tokens = in->tokens,
                      .truncated = in->truncated != 0};
    const Verdict verdict = static_cast<const T*>(reward)->Score(input);
    out->score = verdict.score;
    out->failure = verdict.failure;
    Copy(verdict.reason, out->reason, sizeof(out->reason));
    Copy(verdict.detail, out->detail, sizeof(out->detail));
    return;
  } catch (const std::exception& e) {
    Copy(e.what(), out->detail, sizeof(out->detail));
  } catch (...) {
    Copy("an exception of unknown type", out->detail, sizeof(out->detail));
  }
  out->failure = 2;
}

template <class T>
const aha_reward_plugin_info* Info() {
  static const aha_reward_plugin_info info = {AHA_REWARD_ABI_VERSION,
                                              sizeof(aha_reward_plugin_info),
                                              View(T::kName),
                                              View(T::kDoc),
                                              KeysOf<T>().data(),
                                              KeysOf<T>().size(),
                                              &Create<T>,
                                              &Destroy<T>,
                                              &Score<T>,
                                              FlagsOf<T>()};
  return &info;
}

}  // namespace internal
}  // namespace aha::plugin

/// Makes `Class` the reward of this shared object. Once, at namespace scope.
#define AHA_REWARD_PLUGIN(Class)                                                  \
  extern "C" __attribute__((visibility("default"))) const aha_reward_plugin_info* \
  aha_reward_plugin(void) {                                                       \
    return aha::plugin::internal::Info<Class>();                                  \
  }
