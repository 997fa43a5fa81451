#pragma once
/// One problem's completions through the stages, side by side.

#include <string>

#include "pipelines/report/report.h"

namespace aha::pipelines {

std::string RenderTranscript(const Transcript& transcript, std::size_t number);

/// A completion as escaped, tag-marked text; the middle of a long one is folded away.
std::string RenderCompletion(const std::string& text);

}  // namespace aha::pipelines
