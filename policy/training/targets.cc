#include "policy/training/targets.h"

#include <algorithm>
#include <numeric>

namespace aha::policy {

BatchRows::BatchRows(const TargetSequences& sequences)
    : continued(sequences.continued), open(sequences.open) {
  std::int64_t row = 0;
  auto shared = sequences.shared.begin();
  for (std::size_t s = 0; s < sequences.ids_S.size(); ++s) {
    const std::span<const std::int32_t> ids = sequences.ids_S[s];
    const bool shares = shared != sequences.shared.end() && shared->first <= s;
    const std::size_t context = shares ? shared->context : 0;
    SequenceTokens& view = views.emplace_back();
    view.ids = shares ? ids.subspan(context, ids.size() - 1 - context) : ids;
    view.context = context;
    view.shares_context = shares;
    zero_S.push_back(row - static_cast<std::int64_t>(context));
    row += static_cast<std::int64_t>(view.ids.size());
    if (!shares || s + 1 < shared->end) continue;
    views.push_back({ids.first(context), 0, {}});
    row += static_cast<std::int64_t>(context);
    ++shared;
  }
}

Targets TargetsOf(const TargetSequences& sequences, std::int64_t ahead) {
  const BatchRows rows(sequences);
  Targets targets;
  for (std::size_t s = 0; s < sequences.ids_S.size(); ++s) {
    const auto length = static_cast<std::int64_t>(sequences.ids_S[s].size());
    for (std::int64_t i = std::max(ahead, sequences.first_S[s]); i < length; ++i) {
      targets.row_N.push_back(static_cast<std::int32_t>(rows.zero_S[s] + i - ahead));
      targets.token_N.push_back(sequences.ids_S[s][static_cast<std::size_t>(i)]);
      targets.sequence_N.push_back(s);
    }
  }
  return targets;
}

std::int64_t CountMtpTargets(std::int64_t length, std::int64_t first) {
  return std::max<std::int64_t>(0, length - std::max<std::int64_t>(2, first));
}

std::vector<std::vector<std::size_t>> CutMicroBatches(const std::vector<std::int64_t>& lengths,
                                                      std::int64_t budget) {
  std::vector<std::size_t> order(lengths.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [&](std::size_t a, std::size_t b) { return lengths[a] > lengths[b]; });
  std::vector<std::vector<std::size_t>> cuts;
  std::int64_t tokens = 0;
  for (const std::size_t i : order) {
    if (cuts.empty() || tokens + lengths[i] > budget) {
      cuts.emplace_back();
      tokens = 0;
    }
    cuts.back().push_back(i);
    tokens += lengths[i];
  }
  return cuts;
}

std::vector<SharedMicroBatch> CutSharedMicroBatches(const std::vector<PromptGroup>& groups,
                                                    const std::vector<std::int64_t>& lengths,
                                                    std::int64_t budget) {
  std::vector<SharedMicroBatch> cuts;
  std::int64_t tokens = 0;  // of the last
  for (const PromptGroup& group : groups) {
    const std::int64_t context = group.members.size() > 1 ? group.prompt - 1 : 0;
    bool begun = false;  // the last one holds members of this group
    for (const std::size_t i : group.members) {
      const std::int64_t own = context > 0 ? lengths[i] - 1 - context : lengths[i];
      const std::int64_t more = own + (begun ? 0 : context);
      bool here = begun;
      if (cuts.empty() || tokens + more > budget) {
        const bool split = begun && context > 0;
        if (split) cuts.back().open = true;
        cuts.emplace_back().continued = split;
        tokens = 0;
        here = false;
      }
      SharedMicroBatch& cut = cuts.back();
      const std::size_t at = cut.members.size();
      if (context > 0 && !here) cut.shared.push_back({at, at, static_cast<std::size_t>(context)});
      if (context > 0) cut.shared.back().end = at + 1;
      cut.members.push_back(i);
      tokens += own + (here ? 0 : context);
      begun = true;
    }
  }
  return cuts;
}

}  // namespace aha::policy
