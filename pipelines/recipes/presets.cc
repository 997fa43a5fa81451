#include "pipelines/recipes/presets.h"

#include <algorithm>
#include <array>
#include <cstdlib>

#include <fmt/format.h>

#include "pipelines/recipes/schema.h"

namespace aha::pipelines {
namespace {

namespace pb = google::protobuf;

// The keys that an objective is made of, in the order in which they are worked out.
constexpr std::string_view kPieces[] = {"group_filter",
                                        "refill_limit",
                                        "advantage",
                                        "advantage_std",
                                        "advantage_epsilon",
                                        "kl",
                                        "kl_estimate",
                                        "kl_in",
                                        "kl_times_ratio",
                                        "reference_every",
                                        "ratio",
                                        "clip",
                                        "clip_low",
                                        "clip_high",
                                        "dual_clip",
                                        "off_policy",
                                        "off_policy_level",
                                        "off_policy_min",
                                        "off_policy_max",
                                        "off_policy_drop",
                                        "aggregation",
                                        "aggregation_length",
                                        "mask_truncated"};

const std::array<Preset, 7>& Table() {
  static const std::array<Preset, 7> table = {{
      {"grpo",
       "Group relative policy optimisation",
       "  J = 1/G sum_i 1/|o_i| sum_t { min[rho A_i, clip(rho, 1 - clip_low, 1 + clip_high) A_i] - "
       "kl k3 }\n"
       "  A_i = (r_i - mean r) / (std r + advantage_epsilon) in the group; rho = pi / pi_old of a "
       "token\n"
       "  with advantage: \"process\", for step rewards r_j (reward { name: \"steps\" }): A_it = "
       "sum "
       "over the steps j of\n"
       "  o_i that end at or after t of (r_j - mean r) / (std r + advantage_epsilon), over all "
       "steps "
       "of the group\n",
       {},
       "DeepSeekMath (arXiv:2402.03300) eq. 3 and 4; DeepSeek-R1 (arXiv:2501.12948). The papers do "
       "not say which\n"
       "  standard deviation is meant, nor clip_low and clip_high (unconfirmed)"},
      {"dapo",
       "Decoupled clip and dynamic sampling",
       "  J = 1/(sum_i |o_i|) sum_i sum_t min[rho A_i, clip(rho, 1 - clip_low, 1 + clip_high) "
       "A_i], A as in grpo,\n"
       "  over groups whose rewards are not all equal. Its soft punishment of length is a reward "
       "of its own:\n"
       "  reward { name: \"overlength\" }\n",
       {{"clip_low", "0.2"},
        {"clip_high", "0.28"},
        {"kl", "0"},
        {"aggregation", "token"},
        {"group_filter", "refill"}},
       "DAPO (arXiv:2503.14476) eq. 8 and section 3; rewards of +1 and -1 there, learning rate "
       "1e-6, 16 updates a step"},
      {"dr_grpo",
       "GRPO done right",
       "  J = 1/(G L) sum_i sum_t min[rho A_i, clip(rho) A_i]; A_i = r_i - mean r; L = "
       "aggregation_length\n",
       {{"advantage_std", "none"}, {"aggregation", "constant"}, {"kl", "0"}},
       "Dr. GRPO (arXiv:2503.20783), as verl and TRL have it"},
      {"gspo",
       "Group sequence policy optimisation",
       "  J = 1/G sum_i min[s_i A_i, clip(s_i, 1 - clip_low, 1 + clip_high) A_i]; s_i = "
       "exp(1/|o_i| sum_t log rho)\n"
       "  with ratio: \"sequence_token\" it is GSPO-token, sg[s_i] rho / sg[rho]\n",
       {{"ratio", "sequence"}, {"clip_low", "3e-4"}, {"clip_high", "4e-4"}, {"kl", "0"}},
       "GSPO (arXiv:2507.18071) eq. 5 to 7, section 5: 3e-4 and 4e-4, 4 updates a step. kl 0: "
       "unconfirmed"},
      {"cispo",
       "Clipped importance sampling weights",
       "  J = 1/(sum_i |o_i|) sum_i sum_t sg[clip(rho, 1 - clip_low, 1 + clip_high)] A_i log pi, A "
       "as in grpo\n",
       {{"clip", "weight"},
        {"clip_low", "1"},
        {"clip_high", "4"},
        {"kl", "0"},
        {"aggregation", "token"}},
       "MiniMax-M1 (arXiv:2506.13585) eq. 4 and 5: no lower bound; its upper bound is unconfirmed, "
       "5 is what TRL's\n"
       "  documentation suggests"},
      {"rloo",
       "REINFORCE with a leave-one-out baseline",
       "  J = 1/G sum_i min[s_i A_i, clip(s_i) A_i]; s_i = pi(o_i) / pi_old(o_i) of the whole "
       "completion\n"
       "  A_i = R_i - mean of the others' R; R_i = r_i - kl sum_t (log pi_old - log pi_ref)\n",
       {{"advantage", "leave_one_out"},
        {"ratio", "product"},
        {"kl", "0.05"},
        {"kl_estimate", "k1"},
        {"kl_in", "reward"}},
       "RLOO (arXiv:2402.14740) section 3; clipped ratio and kl 0.05 as TRL has them (unconfirmed "
       "for the paper)"},
      {"reinforce_pp",
       "REINFORCE++",
       "  J = 1/(sum_i |o_i|) sum_i sum_t min[rho A_t, clip(rho) A_t]; A_t whitened over the "
       "tokens of the batch\n"
       "  A_t = r_i - kl sum_{u >= t} (log pi_old - log pi_ref)\n",
       {{"advantage", "batch"},
        {"advantage_std", "population"},
        {"aggregation", "token"},
        {"kl", "0.01"},
        {"kl_estimate", "k1"},
        {"kl_in", "reward"}},
       "REINFORCE++ (arXiv:2501.03262) section 3; kl 0.01, the standard deviation and the mean "
       "over all tokens are\n"
       "  as in OpenRLHF (unconfirmed for the paper)"},
  }};
  return table;
}

const Preset* Find(std::string_view name) {
  const auto& table = Table();
  const auto it =
      std::find_if(table.begin(), table.end(), [&](const Preset& p) { return p.name == name; });
  return it == table.end() ? nullptr : &*it;
}

void Set(pb::Message& message, const Field& key, std::string_view value) {
  const pb::Reflection& reflection = *message.GetReflection();
  const std::string text(value);
  switch (key.cpp_type()) {
    case Field::CPPTYPE_DOUBLE:
      return reflection.SetDouble(&message, &key, std::strtod(text.c_str(), nullptr));
    case Field::CPPTYPE_UINT32:
      return reflection.SetUInt32(
          &message, &key, static_cast<std::uint32_t>(std::strtoul(text.c_str(), nullptr, 10)));
    case Field::CPPTYPE_BOOL:
      return reflection.SetBool(&message, &key, value == "true");
    case Field::CPPTYPE_STRING:
      return reflection.SetString(&message, &key, text);
    default:
      GOOGLE_LOG(FATAL) << key.full_name() << ": no preset can set it";
  }
}

}  // namespace

std::span<const Preset> Presets() {
  return Table();
}

void FillPreset(pb::Message& message) {
  if (message.GetDescriptor() != proto::Rl::descriptor()) return;
  const Preset* preset = Find(dynamic_cast<const proto::Rl&>(message).algorithm());
  if (preset == nullptr) return;  // refused by its one_of
  const pb::Reflection& reflection = *message.GetReflection();
  std::vector<const Field*> filled;
  for (const Preset::Value& value : preset->values) {
    const Field* key = message.GetDescriptor()->FindFieldByName(std::string(value.key));
    if (reflection.HasField(message, key)) continue;
    Set(message, *key, value.value);
    filled.push_back(key);
  }
  // A piece that the recipe chose itself may leave others of the preset unread.
  for (const Field* key : filled) {
    if (!IsRead(message, *key)) reflection.ClearField(&message, key);
  }
}

std::unique_ptr<pb::Message> WithPreset(const pb::Message& message) {
  std::unique_ptr<pb::Message> copy(message.New());
  copy->CopyFrom(message);
  FillPreset(*copy);
  return copy;
}

std::optional<std::string> ExplainPreset(std::string_view name) {
  const Preset* preset = Find(name);
  if (preset == nullptr) return std::nullopt;
  proto::Rl rl;
  rl.set_algorithm(std::string(name));
  FillPreset(rl);
  std::string out =
      fmt::format("algorithm: \"{}\"\n  {}, maximised:\n{}  pieces, each a key of its own:\n", name,
                  preset->title, preset->formula);
  for (const std::string_view piece : kPieces) {
    const Field* key = rl.GetDescriptor()->FindFieldByName(std::string(piece));
    if (!IsRead(rl, *key)) continue;
    const bool own = rl.GetReflection()->HasField(rl, key);
    out += fmt::format("    {:<20} {}{}\n", piece, ValueText(rl, *key),
                       own && name != "grpo" ? "  (set by the preset)" : "");
  }
  return out + fmt::format("  source    {}\n", preset->source);
}

}  // namespace aha::pipelines
