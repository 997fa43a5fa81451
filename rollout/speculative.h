#pragma once
/// Guesses of a row's next tokens. A guess is right or wrong: each position's draw has its own key,
/// so what comes out is the same to the last bit with guesses and without.

#include <cstddef>
#include <cstdint>
#include <vector>

#include "policy/model/head.h"
#include "policy/model/pass.h"
#include "rollout/scheduler.h"

namespace aha::rollout {

enum class Speculation : std::uint8_t {
  kOff,
  kModule,  ///< the policy's MTP module, its own state fed back for each further token
  kLookup,  ///< what followed the last tokens where they stood before
};

/// Overwrites the row's drafts with up to `most` tokens that followed the latest earlier place of
/// its last tokens: three, else two.
void DraftByLookup(Row& row, std::size_t most);

/// A step's hidden states, for those who want some of its rows: at part p, token i of it is row
/// starts[p] + i.
struct StepStates {
  policy::Hidden hidden;
  std::span<const std::size_t> starts;
};

/// Rows of hidden states of several sources side by side. Reuse it: its memory is kept.
class StateRows {
 public:
  void Clear() { count_ = 0; }
  /// Row `row` of `hidden`.
  void Add(const policy::Hidden& hidden, std::size_t row);
  /// One row as it was saved, like those of `hidden`.
  void AddSaved(const policy::Hidden& like, const std::byte* row);
  [[nodiscard]] std::size_t size() const { return count_; }
  [[nodiscard]] policy::Hidden view() const { return {kind_, bytes_.data(), count_, width_}; }
  static std::size_t RowBytes(const policy::Hidden& hidden);
  static const std::byte* RowOf(const policy::Hidden& hidden, std::size_t row);

 private:
  void Put(const policy::Hidden& like, const std::byte* row);
  policy::cpu::NumberKind kind_ = policy::cpu::NumberKind::kBf16;
  std::size_t width_ = 0, count_ = 0;
  std::vector<std::byte> bytes_;
};

/// Drafts by the MTP module. Its entry i joins the trunk's state at token i with token i + 1, and
/// lies where the trunk's token i lies in the pages.
class ModuleDrafter {
 public:
  ModuleDrafter(policy::Pass& pass, policy::Head& head, KvPages& pages)
      : pass_(pass), head_(head), pages_(pages) {}

  /// Brings the module's entries up to what the step computed, and drafts `most` tokens for each
  /// row that decodes next. Rows are as they are after the step's tokens were taken. `fresh`: rows
  /// whose first token came from their prompt's last state.
  void Follow(const Plan& plan,
              std::span<Row* const> fresh,
              const StepStates& states,
              std::size_t most);

 private:
  struct Entry {
    Group* group;
    Row* row;
    std::size_t first, count, begin;  // positions; where the ids begin
  };
  void AddPart(const Part& part, const StepStates& states, std::size_t start);
  void AddFresh(Row& row, const policy::Hidden& like);
  void Run(std::size_t most);
  void Draw(const policy::Hidden& states, std::span<const std::int32_t> row_N);
  policy::Hidden RunEntries(const policy::Hidden& trunk);

  policy::Pass& pass_;
  policy::Head& head_;
  KvPages& pages_;
  std::vector<Entry> entries_;
  std::vector<std::int32_t> ids_;
  std::vector<policy::SequenceTokens> sequences_;
  StateRows trunk_;
  std::vector<Row*> drafting_;
  std::vector<std::int32_t> last_;
  std::vector<policy::cpu::SampleRequest> requests_;
  std::vector<policy::cpu::SampledToken> drawn_;
};

/// The draw of a row's token at `position` of its completion.
policy::cpu::SampleRequest DrawOf(const Row& row, std::size_t position);

}  // namespace aha::rollout
