// A reward of your own: 1 for a completion that keeps to a limit, less for every token beyond it.
#include "rewards/plugin.h"

struct ShortAnswer {
  static constexpr std::string_view kName = "short_answer";
  static constexpr std::string_view kDoc =
      "1 up to `limit` tokens, then falling to 0 at twice that";
  static constexpr aha::plugin::Key kKeys[] = {
      aha::plugin::Integer("limit", 200, "tokens that cost nothing")};

  explicit ShortAnswer(const aha::plugin::Config& config) : limit(config.Integer("limit")) {
    if (limit < 1) throw std::invalid_argument("limit must be at least 1");
  }

  aha::plugin::Verdict Score(const aha::plugin::Input& input) const {
    if (input.tokens <= limit) return 1.0;
    const double over = static_cast<double>(input.tokens) / static_cast<double>(limit) - 1.0;
    return {over < 1.0 ? 1.0 - over : 0.0, "too long"};
  }

  std::int64_t limit;
};

AHA_REWARD_PLUGIN(ShortAnswer)
