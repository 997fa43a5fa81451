// Runs a target over a corpus and over mutations of it, the same ones every time: what the ordinary
// tests do with a target. driver CORPUS_FOLDER [MUTATIONS]

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <vector>

#include "base/keyed_random.h"
#include "base/whole_file.h"
#include "tests/fuzz/fuzz_target.h"

namespace {

namespace fs = std::filesystem;

void Run(const std::string& input) {
  // A copy of exactly this size on the heap: sanitizers see every byte read beyond it.
  const std::vector<std::uint8_t> bytes(input.begin(), input.end());
  LLVMFuzzerTestOneInput(bytes.data(), bytes.size());
}

// One to four changes: a byte, an 8-byte integer, a piece cut out, doubled or taken from another
// input.
std::string Mutate(std::string input, const std::string& other, aha::KeyedRandom random) {
  aha::DrawSequence draws(random);
  const auto at = [&](const std::string& text) {
    return static_cast<std::size_t>(draws.Integer(0, static_cast<std::int64_t>(text.size())));
  };
  constexpr std::uint64_t kNumbers[] = {0,          1,           0x7F,      0xFF,      0x7FFFFFFF,
                                        0xFFFFFFFF, 1ULL << 40U, INT64_MAX, UINT64_MAX};
  for (std::int64_t changes = draws.Integer(1, 4); changes > 0; --changes) {
    const std::size_t place = at(input);
    const std::size_t length =
        std::min<std::size_t>(static_cast<std::size_t>(draws.Integer(1, 32)), input.size() - place);
    switch (draws.Integer(0, 5)) {
      case 0:
        if (place < input.size()) input[place] = static_cast<char>(draws.Integer(0, 255));
        break;
      case 1:
        for (std::size_t i = 0, number = draws.Pick(kNumbers); i < 8 && place + i < input.size();
             ++i) {
          input[place + i] = static_cast<char>(number >> (8 * i));
        }
        break;
      case 2:
        input.erase(place, length);
        break;
      case 3:
        input.insert(place, input.substr(place, length));
        break;
      case 4:
        input.insert(place, other.substr(at(other), 64));
        break;
      default:
        if (draws.Chance(0.2)) input.resize(place);
    }
  }
  return input;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2) return std::fprintf(stderr, "usage: driver CORPUS_FOLDER [MUTATIONS]\n"), 2;
  std::vector<fs::path> files;
  for (const auto& entry : fs::directory_iterator(argv[1]))
    files.push_back(entry.path());
  std::sort(files.begin(), files.end());
  std::vector<std::string> corpus;
  for (const fs::path& file : files) {
    const auto bytes = aha::ReadFile(file);
    if (!bytes) return std::fprintf(stderr, "%s\n", bytes.error().message.c_str()), 1;
    corpus.push_back(*bytes);
  }
  if (corpus.empty()) return std::fprintf(stderr, "%s: is empty\n", argv[1]), 1;
  for (const std::string& input : corpus)
    Run(input);
  const std::uint64_t mutations = argc > 2 ? std::strtoull(argv[2], nullptr, 10) : 0;
  const aha::KeyedRandom random(20250122, "fuzz driver");
  for (std::uint64_t i = 0; i < mutations; ++i) {
    const std::string& input = corpus[i % corpus.size()];
    const std::string& other = corpus[random.Bits(i) % corpus.size()];
    Run(Mutate(input, other, random.With(i)));
  }
  std::printf("%zu inputs, %llu mutations\n", corpus.size(),
              static_cast<unsigned long long>(mutations));
  return 0;
}
