#include "rewards/sandbox/image.h"

// AHA_KEEPER_FILE: the static program that was built from keeper/.
asm(R"(
  .section .rodata
  .balign 16
aha_keeper_image_begin:
  .incbin ")" AHA_KEEPER_FILE R"("
aha_keeper_image_end:
  .byte 0
  .previous
)");

extern "C" {
extern const char aha_keeper_image_begin[] __attribute__((visibility("hidden")));
extern const char aha_keeper_image_end[] __attribute__((visibility("hidden")));
}

namespace aha::rewards::sandbox {

std::string_view KeeperImage() {
  return {aha_keeper_image_begin,
          static_cast<std::size_t>(aha_keeper_image_end - aha_keeper_image_begin)};
}

}  // namespace aha::rewards::sandbox
