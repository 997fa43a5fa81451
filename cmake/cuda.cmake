# With AHA_CUDA: nvcc and the CUDA toolkit, NCCL, and LibTorch's CUDA build. tools/cuda.sh fetches all three into one
# folder, which is AHA_CUDA_ROOT; each can come from elsewhere.
if(NOT AHA_CUDA)
  return()
endif()

if(DEFINED ENV{AHA_CUDA_ROOT})
  set(default "$ENV{AHA_CUDA_ROOT}")
elseif(DEFINED ENV{AHA_CACHE})
  set(default "$ENV{AHA_CACHE}/cuda-13.2.2-libtorch-2.15.0")
elseif(DEFINED ENV{XDG_CACHE_HOME})
  set(default "$ENV{XDG_CACHE_HOME}/aha/cuda-13.2.2-libtorch-2.15.0")
else()
  set(default "$ENV{HOME}/.cache/aha/cuda-13.2.2-libtorch-2.15.0")
endif()
set(AHA_CUDA_ROOT "${default}" CACHE PATH "What tools/cuda.sh made: toolkit/ and libtorch/")
set(CUDAToolkit_ROOT "${AHA_CUDA_ROOT}/toolkit" CACHE PATH "CUDA toolkit 13: bin/nvcc, include/, lib/")
set(AHA_LIBTORCH "${AHA_CUDA_ROOT}/libtorch" CACHE PATH "LibTorch: a folder with include/ and lib/")
set(CMAKE_CUDA_ARCHITECTURES 80-real 90 CACHE STRING "GPUs to build kernels for: compute capabilities, 80 at least")

find_program(AHA_NVCC nvcc HINTS "${CUDAToolkit_ROOT}/bin" NO_DEFAULT_PATH)
find_program(AHA_NVCC nvcc)
if(NOT AHA_NVCC)
  message(FATAL_ERROR "AHA_CUDA: nvcc was not found in ${CUDAToolkit_ROOT}/bin or in PATH. Run tools/cuda.sh, which "
                      "fetches the toolkit (no GPU needed), or install CUDA 13 and pass -DCUDAToolkit_ROOT=DIR.")
endif()
set(CMAKE_CUDA_COMPILER "${AHA_NVCC}")
set(CMAKE_CUDA_HOST_COMPILER "${CMAKE_CXX_COMPILER}")
set(CMAKE_CUDA_RUNTIME_LIBRARY Shared)  # LibTorch's own
enable_language(CUDA)
if(NOT CMAKE_CUDA20_STANDARD_COMPILE_OPTION)  # CMake 3.25 does not know that nvcc has it
  set(CMAKE_CUDA20_STANDARD_COMPILE_OPTION -std=c++20)
endif()
set(CMAKE_CUDA_STANDARD 20)
set(CMAKE_CUDA_STANDARD_REQUIRED ON)
set(CMAKE_CUDA_EXTENSIONS OFF)
find_package(CUDAToolkit)
if(NOT CUDAToolkit_FOUND OR CUDAToolkit_VERSION VERSION_LESS 13)
  message(FATAL_ERROR "AHA_CUDA: ${AHA_NVCC} is of CUDA ${CMAKE_CUDA_COMPILER_VERSION}; LibTorch 2.15 wants 13. Run "
                      "tools/cuda.sh, or install CUDA 13 and pass -DCUDAToolkit_ROOT=DIR.")
endif()

find_path(AHA_NCCL_INCLUDE nccl.h HINTS "${CUDAToolkit_ROOT}/include")
find_library(AHA_NCCL_LIBRARY NAMES nccl libnccl.so.2 HINTS "${CUDAToolkit_ROOT}/lib" "${CUDAToolkit_ROOT}/lib64")
if(NOT AHA_NCCL_INCLUDE OR NOT AHA_NCCL_LIBRARY)
  message(FATAL_ERROR "AHA_CUDA: NCCL was not found (nccl.h, libnccl.so.2). Run tools/cuda.sh, install libnccl-dev from "
                      "NVIDIA's repository, or pass -DAHA_NCCL_INCLUDE=DIR and -DAHA_NCCL_LIBRARY=FILE.")
endif()
foreach(library torch_cuda c10_cuda)
  if(NOT EXISTS "${AHA_LIBTORCH}/lib/lib${library}.so")
    message(FATAL_ERROR "AHA_CUDA: ${AHA_LIBTORCH} has no lib/lib${library}.so: it is not LibTorch's CUDA build. Run "
                        "tools/cuda.sh, or pass -DAHA_LIBTORCH=DIR of PyTorch 2.15 for CUDA 13.")
  endif()
endforeach()

# LibTorch's CUDA libraries: linked whether or not a symbol of theirs is used, for they register themselves.
add_library(aha_torch_cuda INTERFACE IMPORTED)
target_link_libraries(aha_torch_cuda INTERFACE -Wl,--no-as-needed "${AHA_LIBTORCH}/lib/libtorch_cuda.so"
                                               "${AHA_LIBTORCH}/lib/libc10_cuda.so" -Wl,--as-needed CUDA::cudart)
add_library(aha_nccl INTERFACE IMPORTED)
target_include_directories(aha_nccl INTERFACE "${AHA_NCCL_INCLUDE}")
target_link_libraries(aha_nccl INTERFACE "${AHA_NCCL_LIBRARY}")
message(STATUS "CUDA ${CUDAToolkit_VERSION} for sm ${CMAKE_CUDA_ARCHITECTURES}, NCCL ${AHA_NCCL_LIBRARY}")
