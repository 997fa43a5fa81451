#include "pipelines/stages/examples.h"

#include <sstream>

#include <nlohmann/json.hpp>

#include "base/whole_file.h"

namespace aha::pipelines {

Status WriteExamples(const std::filesystem::path& file,
                     const std::vector<TrainingExample>& examples) {
  std::string text;
  for (const TrainingExample& e : examples) {
    const nlohmann::ordered_json line = {{"question", e.question},
                                         {"completion", e.completion},
                                         {"language", e.language},
                                         {"family", e.family},
                                         {"source", e.source}};
    text += line.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
  }
  return WriteWholeFile(file, text);
}

Result<std::vector<TrainingExample>> ReadExamples(const std::filesystem::path& file) {
  AHA_ASSIGN(const std::string text, ReadFile(file));
  std::vector<TrainingExample> examples;
  std::istringstream lines(text);
  std::size_t number = 0;
  for (std::string line; std::getline(lines, line);) {
    ++number;
    const nlohmann::json object = nlohmann::json::parse(line, nullptr, /*allow_exceptions=*/false);
    TrainingExample e;
    for (const auto& [key, slot] :
         {std::pair{"question", &e.question}, std::pair{"completion", &e.completion},
          std::pair{"language", &e.language}, std::pair{"family", &e.family},
          std::pair{"source", &e.source}}) {
      if (!object.is_object() || !object.contains(key) || !object[key].is_string()) {
        return Fail(Code::kCorrupt, "{}:{}: must be a JSON object with the text \"{}\"",
                    file.string(), number, key);
      }
      *slot = object[key].get<std::string>();
    }
    examples.push_back(std::move(e));
  }
  return examples;
}

}  // namespace aha::pipelines
