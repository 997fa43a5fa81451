#pragma once
/// The keeper's executable, carried inside the library.

#include <string_view>

namespace aha::rewards::sandbox {

std::string_view KeeperImage();

}  // namespace aha::rewards::sandbox
