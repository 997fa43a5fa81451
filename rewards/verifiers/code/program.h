#pragma once
/// Where the program stands in a completion.

#include <string_view>

namespace aha::rewards::code {

/// The contents of the last fenced block of the last <answer> (up to </answer> or the end), or of
/// the whole completion when there is no such tag outside a fence; without a fence, all of that
/// text. A fence is a line of at least three ` or ~, indented by at most three blanks, and ends at
/// a line of at least as many of the same with nothing but </answer> behind, or at the end of the
/// text. The view borrows from `completion`. Linear.
std::string_view ExtractProgram(std::string_view completion);

}  // namespace aha::rewards::code
