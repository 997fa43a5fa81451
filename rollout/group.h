#pragma once
/// A request under way: its samples, and the prompt that they share.

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "rollout/request.h"
#include "rollout/stop.h"

namespace aha::rollout {

struct Group;

/// One sample. Its known tokens are the prompt's and those drawn; those of the first `cached`
/// positions have keys and values in its pages.
struct Row {
  Group* group = nullptr;
  std::uint32_t sample = 0;
  SampleOutcome out;
  std::optional<StopStrings> stops;

  bool running = false;  ///< holds pages
  std::vector<std::int32_t> pages;
  std::size_t cached = 0;
  bool joined = false;            ///< has the prompt's keys and values, where its group shares them
  std::size_t module_cached = 0;  ///< entries of the MTP module in the pages
  std::vector<std::int32_t> drafts;  ///< guesses of the next tokens, in order
  bool guesses = true;  ///< false: the last ones were not finite; until a token is drawn without

  [[nodiscard]] std::size_t known() const;
  [[nodiscard]] std::size_t pending() const { return known() - cached; }
  /// Known token at a position.
  [[nodiscard]] std::int32_t token(std::size_t position) const;
  [[nodiscard]] bool finished() const { return out.finish != Finish::kNone; }
};

/// The prompt of a group of several samples, computed once.
struct SharedPrompt {
  std::vector<std::int32_t> pages;
  std::size_t cached = 0;
  std::size_t module_cached = 0;  ///< all but the last of its entries: that one needs a drawn token
  std::vector<std::byte> last;    ///< hidden state of its last token, once all are cached
  [[nodiscard]] bool held() const { return !pages.empty(); }
};

struct Group {
  Request request;
  std::vector<Row> rows;
  SharedPrompt prompt;
  std::size_t running = 0;  ///< rows that hold pages
  std::size_t left = 0;     ///< rows that are not finished
  bool cancelled = false;
  bool planned = false;  ///< the prompt has a part in the step being planned
  std::optional<Error> error;

  [[nodiscard]] bool shares() const { return rows.size() > 1; }
  [[nodiscard]] bool prompt_ready() const { return prompt.cached == request.prompt.size(); }
};

inline std::size_t Row::known() const {
  return group->request.prompt.size() + out.ids.size();
}
inline std::int32_t Row::token(std::size_t position) const {
  const std::vector<std::int32_t>& prompt = group->request.prompt;
  return position < prompt.size() ? prompt[position] : out.ids[position - prompt.size()];
}

}  // namespace aha::rollout
