#pragma once
/// Records of a run directory as protobuf text.

#include <filesystem>
#include <string_view>

#include <google/protobuf/message.h>

#include "base/result.h"

namespace aha::pipelines {

/// Parses the text of `file` into `record`. kCorrupt: "file:line:col: what is wrong; advice".
Status ParseRecord(std::string_view text,
                   const std::filesystem::path& file,
                   std::string_view advice,
                   google::protobuf::Message& record);

}  // namespace aha::pipelines
