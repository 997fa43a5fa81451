#pragma once
/// Messages between the library and a keeper: a length of 8 bytes, then fields in a fixed order,
/// integers of 8 bytes in the machine's order. Both ends are built together.

#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

#include "rewards/sandbox/run.h"

namespace aha::rewards::sandbox {

/// Descriptors that a keeper is born with.
inline constexpr int kControlFd = 3;
inline constexpr int kImageFd = 4;
/// Writing "0" to it moves the launcher into the slot's control group, where there is one.
inline constexpr int kGroupFd = 5;

/// The keeper's first words, in the first message it sends.
inline constexpr std::string_view kHello = "keeper 1";

/// Status of a reply: the run took place, or why it could not.
inline constexpr std::uint64_t kRan = 0;
inline constexpr std::uint64_t kFailed = 1;

class Writer {
 public:
  void Number(std::uint64_t value) { bytes_.append(reinterpret_cast<const char*>(&value), 8); }
  void Text(std::string_view text) {
    Number(text.size());
    bytes_.append(text);
  }
  [[nodiscard]] const std::string& bytes() const { return bytes_; }

 private:
  std::string bytes_;
};

/// Reads what a Writer wrote; past the end, or of nonsense, everything is empty and ok() false.
class Reader {
 public:
  explicit Reader(std::string_view bytes) : rest_(bytes) {}
  std::uint64_t Number() {
    std::uint64_t value = 0;
    if (rest_.size() < 8) {
      ok_ = false;
      return 0;
    }
    std::memcpy(&value, rest_.data(), 8);
    rest_.remove_prefix(8);
    return value;
  }
  std::string_view Text() {
    const std::uint64_t size = Number();
    if (size > rest_.size()) {
      ok_ = false;
      return {};
    }
    const std::string_view text = rest_.substr(0, size);
    rest_.remove_prefix(size);
    return text;
  }
  [[nodiscard]] bool ok() const { return ok_; }

 private:
  std::string_view rest_;
  bool ok_ = true;
};

/// A bound on the number of list elements, so that a bad count allocates nothing.
inline constexpr std::uint64_t kMostElements = 4096;

inline void Write(const Limits& l, Writer* out) {
  for (const std::uint64_t value :
       {l.cpu_ms, l.wall_ms, l.memory, l.address_space, l.stack, l.output, l.result, l.tmp,
        l.tmp_files, l.processes, l.open_files})
    out->Number(value);
}

inline Limits ReadLimits(Reader* in) {
  Limits l;
  for (std::uint64_t* value :
       {&l.cpu_ms, &l.wall_ms, &l.memory, &l.address_space, &l.stack, &l.output, &l.result, &l.tmp,
        &l.tmp_files, &l.processes, &l.open_files})
    *value = in->Number();
  return l;
}

inline std::string Encode(const Run& run) {
  Writer out;
  out.Number(static_cast<std::uint64_t>(run.view));
  for (const auto* list : {&run.argv, &run.env}) {
    out.Number(list->size());
    for (const std::string& text : *list)
      out.Text(text);
  }
  out.Number(run.files.size());
  for (const auto& [name, contents] : run.files) {
    out.Text(name);
    out.Text(contents);
  }
  out.Text(run.input);
  out.Text(run.keep);
  out.Number(run.result_channel ? 1 : 0);
  Write(run.limits, &out);
  return out.bytes();
}

/// `run.input` is a view into `bytes`.
inline bool Decode(std::string_view bytes, Run* run) {
  Reader in(bytes);
  run->view = static_cast<View>(in.Number());
  for (auto* list : {&run->argv, &run->env}) {
    const std::uint64_t count = in.Number();
    for (std::uint64_t i = 0; i < count && i < kMostElements && in.ok(); ++i)
      list->emplace_back(in.Text());
  }
  const std::uint64_t count = in.Number();
  for (std::uint64_t i = 0; i < count && i < kMostElements && in.ok(); ++i) {
    std::string name(in.Text());
    run->files.emplace_back(std::move(name), in.Text());
  }
  run->input = in.Text();
  run->keep = in.Text();
  run->result_channel = in.Number() != 0;
  run->limits = ReadLimits(&in);
  return in.ok() && !run->argv.empty();
}

inline std::string Encode(const RunResult& r) {
  Writer out;
  out.Number(kRan);
  out.Number(static_cast<std::uint64_t>(r.end));
  out.Number(static_cast<std::uint64_t>(static_cast<std::int64_t>(r.code)));
  for (const std::string* text : {&r.out, &r.err, &r.result})
    out.Text(*text);
  for (const std::uint64_t value :
       {static_cast<std::uint64_t>(r.kept), r.wall_us, r.cpu_us, r.peak_memory})
    out.Number(value);
  return out.bytes();
}

inline std::string EncodeFailure(std::string_view what) {
  Writer out;
  out.Number(kFailed);
  out.Text(what);
  return out.bytes();
}

/// False when the reply is a failure; `*failure` then says which.
inline bool Decode(std::string_view bytes, RunResult* r, std::string* failure) {
  Reader in(bytes);
  if (in.Number() != kRan) {
    *failure = in.Text();
    if (failure->empty()) *failure = "the keeper's reply cannot be read";
    return false;
  }
  r->end = static_cast<End>(in.Number());
  r->code = static_cast<std::int32_t>(in.Number());
  for (std::string* text : {&r->out, &r->err, &r->result})
    *text = in.Text();
  r->kept = in.Number() != 0;
  for (std::uint64_t* value : {&r->wall_us, &r->cpu_us, &r->peak_memory})
    *value = in.Number();
  if (!in.ok()) *failure = "the keeper's reply is cut off";
  return in.ok();
}

}  // namespace aha::rewards::sandbox
