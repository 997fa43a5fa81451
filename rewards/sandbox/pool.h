#pragma once
/// A bounded number of sandboxes for many threads.

#include <condition_variable>
#include <cstddef>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "base/deadline.h"
#include "base/result.h"
#include "rewards/sandbox/slot.h"

namespace aha::rewards::sandbox {

struct PoolOptions {
  std::size_t slots = 0;  ///< at once; 0: one for each processor
  bool unsafe = false;
  /// Of a slot's control group, where there can be one: above what any run may use.
  GroupLimits group_limits{std::uint64_t{2} << 30, 256};
};

/// Slots are started when they are first needed and again when one breaks.
class Pool {
 public:
  /// Starts one slot and runs a program of our own in it. kInternal when that fails: this machine
  /// does not give what a sandbox needs, and the message says what.
  static Result<std::unique_ptr<Pool>> Start(const PoolOptions& options);

  /// A slot for one item; goes back to the pool at the end of its life.
  class Lease {
   public:
    Lease(Pool* pool, std::unique_ptr<Slot> slot) : pool_(pool), slot_(std::move(slot)) {}
    Lease(Lease&&) = default;
    Lease& operator=(Lease&&) = delete;
    ~Lease() {
      if (slot_ != nullptr) pool_->Return(std::move(slot_));
    }
    [[nodiscard]] Slot* get() const { return slot_.get(); }

   private:
    Pool* pool_;
    std::unique_ptr<Slot> slot_;
  };

  /// kTimeout when none is free by `deadline`; kInternal when one cannot be started.
  Result<Lease> Take(const Deadline& deadline);

  [[nodiscard]] const Layout& layout() const { return slot_options_.layout; }
  /// What is in force on this machine, in one line; the same for every slot.
  [[nodiscard]] const std::string& standing() const { return standing_; }

 private:
  Pool() = default;
  void Return(std::unique_ptr<Slot> slot);
  Status TryOut(Slot* slot) const;

  SlotOptions slot_options_;
  std::size_t most_ = 1;
  std::string standing_;
  std::mutex mutex_;  // guards all below
  std::condition_variable returned_;
  std::vector<std::unique_ptr<Slot>> idle_;
  std::size_t taken_ = 0;
};

/// What a sandbox has here, or why there is none; starts one and ends it. One line, for people.
std::string DescribeSandbox();

}  // namespace aha::rewards::sandbox
