#pragma once
/// Inner interface: a group over any of c10d's backends.

#include <string>

#include <torch/csrc/distributed/c10d/Backend.hpp>
#include <torch/csrc/distributed/c10d/Store.hpp>

#include "grpo/parallel/group.h"

namespace aha::grpo {

/// The store where ranks meet. Throws what c10d throws.
c10::intrusive_ptr<c10d::Store> OpenStore(const GroupAddress& address);

/// c10d's exceptions as errors; `what` is what this rank was doing.
Error ErrorOfCollective(const GroupAddress& address, const std::string& what);

class CollectiveGroup : public Group {
 public:
  CollectiveGroup(GroupAddress address, c10::intrusive_ptr<c10d::Backend> backend)
      : address_(std::move(address)), backend_(std::move(backend)) {}

  [[nodiscard]] int rank() const override { return address_.rank; }
  [[nodiscard]] int size() const override { return address_.size; }
  Status Sum(at::Tensor& numbers) override;
  Status Broadcast(at::Tensor& numbers, int root) override;
  Status Wait() override;

 private:
  template <class F>
  Status Try(const std::string& what, const F& f);
  void SumSome(at::Tensor numbers);

  GroupAddress address_;
  c10::intrusive_ptr<c10d::Backend> backend_;
};

}  // namespace aha::grpo
