#include "rewards/plugin.h"

struct Counts {
  static constexpr std::string_view kName = "counts";
  static constexpr std::string_view kDoc = "bytes of the completion times `factor`";
  static constexpr aha::plugin::Key kKeys[] = {
      aha::plugin::Number("factor", 1.5, "what a byte is worth"),
      aha::plugin::Integer("offset", 10, "added to each score"),
      aha::plugin::Bool("negate", false, "turns the sign"),
      aha::plugin::Text("why", "counted", "the reason given")};

  explicit Counts(const aha::plugin::Config& config)
      : factor(config.Number("factor")),
        offset(config.Integer("offset")),
        negate(config.Bool("negate")),
        why(config.Text("why")) {
    if (factor < 0) throw std::invalid_argument("factor must not be negative");
  }

  aha::plugin::Verdict Score(const aha::plugin::Input& input) const {
    if (input.reference == "broken") return aha::plugin::BadReference("it says so");
    const double score =
        static_cast<double>(input.completion.size()) * factor + static_cast<double>(offset);
    return {negate ? -score : score, why};
  }

  double factor;
  std::int64_t offset;
  bool negate;
  std::string why;
};
AHA_REWARD_PLUGIN(Counts)
