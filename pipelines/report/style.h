#pragma once
/// The style sheet of reports.

#include <string_view>

namespace aha::pipelines {

/// CSS without any reference to something outside itself.
std::string_view StyleSheet();

}  // namespace aha::pipelines
