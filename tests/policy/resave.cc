// resave FROM TO: loads a model folder and saves it into another, for comparisons with transformers
// (tests/golden/check_models.py).

#include <cstdio>
#include <filesystem>

#include "policy/checkpoint/checkpoint.h"

int main(int argc, char** argv) {
  if (argc != 3) return std::fputs("resave FROM TO\n", stderr), 2;
  std::filesystem::create_directories(argv[2]);
  const auto weights = aha::policy::LoadWeights(argv[1]);
  if (!weights) return std::fprintf(stderr, "%s\n", weights.error().message.c_str()), 1;
  const auto saved = aha::policy::SaveWeights(*weights, argv[2]);
  if (!saved) return std::fprintf(stderr, "%s\n", saved.error().message.c_str()), 1;
  return 0;
}
