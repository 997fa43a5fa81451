#pragma once
/// Errors as values. An expected outcome (bad recipe, torn file, verifier timeout) travels as a
/// `Result<T>`; exceptions stay inside a process and become values only through `Guard`.

#include <cstdint>
#include <exception>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

#include <fmt/format.h>
#include <tl/expected.hpp>

namespace aha {

/// What kind of thing went wrong; decides the exit code and whether a retry can help.
enum class Code : std::uint8_t {
  kInvalidArgument,  ///< the caller's or the user's mistake: exit code 2
  kNotFound,         ///< a file, key, tensor, task or reward that does not exist
  kCorrupt,          ///< bytes that are not what their format promises
  kTimeout,          ///< a deadline passed; the message says who was missing
  kExhausted,        ///< memory, disk, queue space
  kBusy,             ///< somebody else holds it (a run directory, an endpoint)
  kInternal,         ///< a bug of ours, or an exception nobody expected
};

/// "invalid argument", "not found", ...: for messages and metrics.
std::string_view CodeName(Code code);

/// What happened, where (file:line, key, tensor, peer) and what to do, in one line.
struct Error {
  Code code = Code::kInternal;
  std::string message;
};

template <class T>
using Result = tl::expected<T, Error>;
using Status = Result<void>;

/// `return Fail(Code::kNotFound, "{}: no such task; known: {}", name, names);`
template <class... Args>
[[nodiscard]] tl::unexpected<Error> Fail(Code code,
                                         fmt::format_string<Args...> format,
                                         Args&&... args) {
  return tl::unexpected<Error>(Error{code, fmt::format(format, std::forward<Args>(args)...)});
}

/// Passes an error on with where it was met put before it: "stage r1-zero: no such file".
template <class... Args>
[[nodiscard]] tl::unexpected<Error> Within(Error error,
                                           fmt::format_string<Args...> format,
                                           Args&&... args) {
  error.message = fmt::format(format, std::forward<Args>(args)...) + ": " + error.message;
  return tl::unexpected<Error>(std::move(error));
}

/// The error that stands for the exception in flight. `std::bad_alloc` is kExhausted,
/// `std::invalid_argument` kInvalidArgument, all else kInternal; only the first line of what() is
/// kept.
Error ErrorFromException(std::string_view where);

namespace internal {
template <class T>
struct IsResult : std::false_type {};
template <class T>
struct IsResult<tl::expected<T, Error>> : std::true_type {};
}  // namespace internal

/// Runs `f` and turns an exception into an error: the only bridge between the two worlds. Used
/// where a process or thread has its edge: stage runner, worker loop, reward service, `main`.
/// `f` may itself return a Result, which is passed on as it is.
template <class F>
auto Guard(std::string_view where, F&& f) {
  using Out = decltype(f());
  if constexpr (internal::IsResult<Out>::value) {
    try {
      return std::forward<F>(f)();
    } catch (...) {
      return Out(tl::unexpected<Error>(ErrorFromException(where)));
    }
  } else {
    try {
      if constexpr (std::is_void_v<Out>) {
        std::forward<F>(f)();
        return Status();
      } else {
        return Result<Out>(std::forward<F>(f)());
      }
    } catch (...) {
      return Result<Out>(tl::unexpected<Error>(ErrorFromException(where)));
    }
  }
}

}  // namespace aha

#define AHA_CONCAT_INNER(a, b) a##b
#define AHA_CONCAT(a, b) AHA_CONCAT_INNER(a, b)
/// Returns the error of `expr` (a Result or Status) from the enclosing function, if it has one.
#define AHA_TRY(expr) AHA_TRY_INNER(AHA_CONCAT(aha_try_, __LINE__), expr)
#define AHA_TRY_INNER(temporary, expr)                                   \
  do {                                                                   \
    if (auto temporary = (expr); !temporary)                             \
      return tl::unexpected<::aha::Error>(std::move(temporary).error()); \
  } while (false)

/// `AHA_ASSIGN(auto text, ReadFile(path));`: the value of a Result, or returns its error.
#define AHA_ASSIGN(target, expr) AHA_ASSIGN_INNER(AHA_CONCAT(aha_assign_, __LINE__), target, expr)
#define AHA_ASSIGN_INNER(temporary, target, expr)                                    \
  auto temporary = (expr);                                                           \
  if (!temporary) return tl::unexpected<::aha::Error>(std::move(temporary).error()); \
  target = std::move(temporary).value()
