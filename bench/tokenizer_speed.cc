// Measures one tokenizer on one text, in one thread; bench/tokenizer.py puts it beside Hugging
// Face.
//   tokenizer_speed TOKENIZER_JSON TEXT [IDS_OUT] [REPEATS]
// prints one line of JSON: seconds to load, and the median seconds to encode and to decode the
// text. IDS_OUT gets the ids as little-endian int32.

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <functional>
#include <string>
#include <vector>

#include <fmt/format.h>

#include "base/whole_file.h"
#include "policy/tokenizer/tokenizer.h"

namespace {

double Seconds(const std::function<void()>& work) {
  const auto start = std::chrono::steady_clock::now();
  work();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

double Median(int repeats, const std::function<void()>& work) {
  std::vector<double> seconds;
  for (int i = 0; i < repeats; ++i)
    seconds.push_back(Seconds(work));
  std::sort(seconds.begin(), seconds.end());
  return seconds[seconds.size() / 2];
}

aha::Status Measure(const std::string& file,
                    const std::string& text_file,
                    const std::string& ids_out,
                    int repeats) {
  using aha::policy::Tokenizer;
  AHA_ASSIGN(const std::string text, aha::ReadFile(text_file));
  std::vector<double> loads;
  aha::Result<Tokenizer> tokenizer = Tokenizer::Load(file);
  for (int i = 0; i < repeats; ++i)
    loads.push_back(Seconds([&] { tokenizer = Tokenizer::Load(file); }));
  std::sort(loads.begin(), loads.end());
  if (!tokenizer) return tl::unexpected<aha::Error>(tokenizer.error());
  aha::Result<std::vector<std::int32_t>> ids = tokenizer->Encode(text);
  if (!ids) return tl::unexpected<aha::Error>(ids.error());
  const double first = Seconds([&] { ids = Tokenizer::Load(file)->Encode(text); });
  const double encode = Median(repeats, [&] { ids = tokenizer->Encode(text); });
  std::string back;
  const double decode = Median(repeats, [&] { back = tokenizer->Decode(*ids); });
  if (!ids_out.empty()) {
    const char* bytes = reinterpret_cast<const char*>(ids->data());
    AHA_TRY(aha::WriteWholeFile(ids_out, {bytes, ids->size() * sizeof(std::int32_t)}));
  }
  fmt::print(
      "{{\"load_s\": {:.6f}, \"load_and_encode_s\": {:.6f}, \"encode_s\": {:.6f}, \"decode_s\": "
      "{:.6f}, \"ids\": {}, \"round_trip\": {}}}\n",
      loads[loads.size() / 2], first, encode, decode, ids->size(), back == text);
  return {};
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 3) {
    std::fputs("usage: tokenizer_speed TOKENIZER_JSON TEXT [IDS_OUT] [REPEATS]\n", stderr);
    return 2;
  }
  const aha::Status done = Measure(argv[1], argv[2], argc > 3 ? argv[3] : "",
                                   argc > 4 ? std::max(1, std::atoi(argv[4])) : 5);
  if (done) return 0;
  fmt::print(stderr, "tokenizer_speed: {}\n", done.error().message);
  return 1;
}
