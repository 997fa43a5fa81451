#include <set>

#include "base/whole_file.h"
#include "policy/checkpoint/safetensors.h"
#include "policy/checkpoint/strict_json.h"

namespace aha::policy {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kIndexName = "model.safetensors.index.json";

// A name that cannot lead out of the folder.
bool IsPlainName(const std::string& name) {
  return !name.empty() && name != "." && name != ".." && name.find('/') == std::string::npos &&
         name.find('\\') == std::string::npos && name.find('\0') == std::string::npos;
}

bool IsFile(const fs::path& path) {
  std::error_code ignored;
  return fs::is_regular_file(path, ignored);
}

}  // namespace

Result<std::vector<fs::path>> CheckpointShards(const fs::path& folder) {
  const fs::path single = folder / "model.safetensors";
  if (IsFile(single)) return std::vector{single};
  const fs::path index = folder / kIndexName;
  std::error_code ignored;
  if (!fs::is_directory(folder, ignored)) {
    return Fail(Code::kNotFound,
                "{}: no such model folder; it must hold config.json, safetensors and tokenizer.json",
                folder.string());
  }
  if (!IsFile(index)) {
    return Fail(Code::kNotFound, "{}: has neither model.safetensors nor {}", folder.string(),
                kIndexName);
  }
  AHA_ASSIGN(const std::string text, ReadFile(index));
  AHA_ASSIGN(const nlohmann::json json, ParseStrictJson(text, index.string()));
  const nlohmann::json& map = JsonMember(json, "weight_map");
  if (!map.is_object() || map.empty()) {
    return Fail(Code::kCorrupt, "{}: weight_map: must be an object of tensors and files",
                index.string());
  }
  std::set<std::string> names;
  for (const auto& [tensor, file] : map.items()) {
    if (!file.is_string() || !IsPlainName(file.get<std::string>())) {
      return Fail(Code::kCorrupt,
                  "{}: weight_map[\"{}\"]: must be the name of a file in the folder",
                  index.string(), tensor);
    }
    names.insert(file.get<std::string>());
  }
  std::vector<fs::path> shards;
  for (const std::string& name : names) {
    shards.push_back(folder / name);
    if (!IsFile(shards.back())) {
      return Fail(Code::kNotFound, "{}: weight_map lists {}, which is not there", index.string(),
                  name);
    }
  }
  return shards;
}

}  // namespace aha::policy
