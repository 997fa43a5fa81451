#include "policy/cuda/device.h"

namespace aha::policy::cuda {

Result<DeviceInfo> FindDevice() {
  return Fail(Code::kNotFound,
              "no CUDA device: this aha was built without CUDA; build it with the preset cuda "
              "(tools/cuda.sh fetches what that needs)");
}

}  // namespace aha::policy::cuda
