#pragma once
/// The kernels of policy/kernels/cuda on ATen's tensors: what the LibTorch forward uses on a GPU,
/// and on the CPU's tensors in tests, where the kernels' code runs lane by lane.

#include <unordered_map>

#include "policy/kernels/cuda/kernels.h"
#include "policy/reference/policy.h"

namespace aha::policy::cuda {

class KernelAccelerator : public reference::Accelerator {
 public:
  /// Borrowed; its memory is that of the tensors' device. One thread at a time.
  explicit KernelAccelerator(const Kernels& kernels) : kernels_(kernels) {}

  [[nodiscard]] at::Tensor Attend(const at::Tensor& query_TAW,
                                  const at::Tensor& pages,
                                  const Keys& keys,
                                  double scale,
                                  const reference::RaggedBatch& batch) const override;
  [[nodiscard]] at::Tensor RunRoutedExperts(
      const at::Tensor& x_TH,
      const reference::kernels::Routing& routing,
      const std::vector<reference::kernels::ExpertWeights>& experts) const override;

  [[nodiscard]] const Kernels& kernels() const { return kernels_; }

 private:
  /// Addresses of the experts' matrices, on the device: int64 [E]; biases undefined where there are
  /// none.
  struct Addresses {
    at::Tensor gate, up, down, gate_bias, up_bias, down_bias;
  };
  const Addresses& AddressesOf(const std::vector<reference::kernels::ExpertWeights>& experts,
                               at::Device device) const;

  const Kernels& kernels_;
  /// By the list of experts: weights change in place, so made once.
  mutable std::unordered_map<const void*, Addresses> addresses_;
};

/// Draws a token after each row of logits, fp32 [N, V] and contiguous. Copies to the host, and so
/// waits for the device.
std::vector<DrawnToken> DrawTokens(const Kernels& kernels,
                                   const at::Tensor& logits_NV,
                                   const std::vector<DrawRequest>& requests_N);

}  // namespace aha::policy::cuda
