#include <cstdio>

#include "base/content_hash.h"

int main() {
  std::puts(aha::HashText("abc").c_str());
}
