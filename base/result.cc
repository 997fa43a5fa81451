#include "base/result.h"

#include <new>
#include <stdexcept>

namespace aha {

std::string_view CodeName(Code code) {
  switch (code) {
    case Code::kInvalidArgument:
      return "invalid argument";
    case Code::kNotFound:
      return "not found";
    case Code::kCorrupt:
      return "corrupt";
    case Code::kTimeout:
      return "timeout";
    case Code::kExhausted:
      return "exhausted";
    case Code::kBusy:
      return "busy";
    case Code::kInternal:
      return "internal";
  }
  return "internal";
}

Error ErrorFromException(std::string_view where) {
  const auto make = [&](Code code, const char* what) {
    std::string_view text = what;
    text = text.substr(0, text.find('\n'));  // LibTorch appends a stack trace
    return Error{code, fmt::format("{}: {}", where, text)};
  };
  try {
    throw;
  } catch (const std::bad_alloc&) {
    return make(Code::kExhausted, "out of memory");
  } catch (const std::invalid_argument& e) {
    return make(Code::kInvalidArgument, e.what());
  } catch (const std::exception& e) {
    return make(Code::kInternal, e.what());
  } catch (...) {
    return make(Code::kInternal, "an exception of unknown type");
  }
}

}  // namespace aha
