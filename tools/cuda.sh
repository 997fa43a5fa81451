#!/usr/bin/env bash
# Fetches what the preset `cuda` builds with, and nothing else needs: the CUDA toolkit with nvcc, NCCL, and LibTorch's
# CUDA build, from PyPI's wheels by version and SHA-256. 2.7 GB to fetch, 6 GB on disk; no GPU or driver is needed to build.
#
#   tools/cuda.sh           fetch, then say how to configure and build
#   tools/cuda.sh --folder  fetch, then print the folder (what -DAHA_CUDA_ROOT takes)
#
# The folder holds toolkit/{bin,include,lib,nvvm} and libtorch/{include,lib}.
set -euo pipefail

root=$(cd -- "$(dirname -- "$(readlink -f -- "${BASH_SOURCE[0]}")")/.." && pwd)
source "$root/tools/setup.sh" # Say, Die, Cache, WithLock; FetchWheel and the torch wheel of libtorch.sh

kCudaVersion=13.2.2 # what LibTorch's wheel was built with

# Requirement and file, then SHA-256.
kCudaWheels=(
  "nvidia-cuda-nvcc==13.2.86 nvidia_cuda_nvcc-13.2.86-py3-none-manylinux2014_x86_64.manylinux_2_17_x86_64.whl
   7d3f56c8d705bad35bbba69eb0470d90856fd5d4dc48c6a6173aaf1e9f887cf5"
  "nvidia-cuda-crt==13.2.86 nvidia_cuda_crt-13.2.86-py3-none-manylinux2014_x86_64.manylinux_2_17_x86_64.whl
   e3ab08801bf9b1e6dc979275d25e816bb5000521b648e19c324d5eef0c79f1da"
  "nvidia-nvvm==13.2.86 nvidia_nvvm-13.2.86-py3-none-manylinux2010_x86_64.manylinux_2_12_x86_64.whl
   a9244f3209922d655612c11ebb4117ea1f80983cb2b215c9cccded127282cebc"
  "nvidia-cuda-runtime==13.2.86 nvidia_cuda_runtime-13.2.86-py3-none-manylinux2014_x86_64.manylinux_2_17_x86_64.whl
   3498247680dfddce31bad102af7e3e26fc795342a3cac64722bb0fa95e7f60f0"
  "nvidia-cuda-cccl==13.2.86 nvidia_cuda_cccl-13.2.86-py3-none-manylinux2014_x86_64.manylinux_2_17_x86_64.whl
   35da671cf0cecd3539da214a11bb8e7634366c9e950da9c5feecf6c490a65b20"
  "nvidia-cuda-cuobjdump==13.2.86 nvidia_cuda_cuobjdump-13.2.86-py3-none-manylinux2014_x86_64.manylinux_2_17_x86_64.whl
   d332c2ffe78e703ca0a3894be927f83124244e2acf0d792b8c12b4362d44d837"
  "nvidia-nvtx==13.2.86 nvidia_nvtx-13.2.86-py3-none-manylinux1_x86_64.manylinux_2_5_x86_64.whl
   968ce72baee2a01791c7d3254000eac81f24677b0b91c62d21b449a1f309c245"
  "nvidia-cuda-profiler-api==13.2.86 nvidia_cuda_profiler_api-13.2.86-py3-none-manylinux2014_x86_64.manylinux_2_17_x86_64.whl
   8a99fd469c743e47997062f9c8d3cea691769abee07f83f5e57fbcaf03439317"
  "nvidia-cublas==13.4.1.3 nvidia_cublas-13.4.1.3-py3-none-manylinux_2_27_x86_64.whl
   a5917cb642cfb07f4a0231ee16aec7e2e0357d8cb8b1b78a0c9c68dba3e6afc7"
  "nvidia-cufft==12.2.0.57 nvidia_cufft-12.2.0.57-py3-none-manylinux2014_x86_64.manylinux_2_17_x86_64.whl
   34da27fadf3979b0b042c43823f0530be8408b86df31ee0108e1ca0b621d4ef6"
  "nvidia-cufile==1.17.1.22 nvidia_cufile-1.17.1.22-py3-none-manylinux_2_27_x86_64.whl
   87feaf8c3ad20d3d03a01933181801ff6892bace5c8f0b1e4b48f319d3e62d36"
  "nvidia-cuda-cupti==13.2.86 nvidia_cuda_cupti-13.2.86-py3-none-manylinux_2_25_x86_64.whl
   8fa29f15dd8336181f961764d9d95236fc6b931dd0c8fcf8cd70aab0c310b586"
  "nvidia-cuda-nvrtc==13.2.86 nvidia_cuda_nvrtc-13.2.86-py3-none-manylinux2010_x86_64.manylinux_2_12_x86_64.whl
   8111c5130e967b78222ea2124145f8efe9ce201b752b2579a2513100a53be1c5"
  "nvidia-curand==10.4.2.66 nvidia_curand-10.4.2.66-py3-none-manylinux_2_27_x86_64.whl
   9bb3796a2f6223454b2e326e3d7572c1500cfa4d629de827676b4eeecd30ab0c"
  "nvidia-cusolver==12.2.0.11 nvidia_cusolver-12.2.0.11-py3-none-manylinux_2_27_x86_64.whl
   fab5778f6769947389a1a6abc07e635576825a08c0ffc68c3ae7f1392c794b42"
  "nvidia-cusparse==12.7.10.12 nvidia_cusparse-12.7.10.12-py3-none-manylinux2014_x86_64.manylinux_2_17_x86_64.whl
   25907c75e4db1581685f06f61cc6cdecc04611765516a52373e0a18ebd69fa00"
  "nvidia-nvjitlink==13.2.86 nvidia_nvjitlink-13.2.86-py3-none-manylinux2010_x86_64.manylinux_2_12_x86_64.whl
   285a9cead9924391588d794400bdd7e8f9d1a277a7d78ed79acfa0ea702a14dd"
  "nvidia-cudnn-cu13==9.26.0.51 nvidia_cudnn_cu13-9.26.0.51-py3-none-manylinux_2_27_x86_64.whl
   9c976d539786698c71d6bcdbe2053b7485fae062ff7e1215d2f2ff67b1a2149a"
  "nvidia-cusparselt-cu13==0.8.1 nvidia_cusparselt_cu13-0.8.1-py3-none-manylinux2014_x86_64.whl
   786ce87568c303fadb5afcc7102d454cd3040d75f6f8626f5db460d1871f4dd0"
  "nvidia-nccl-cu13==2.30.7 nvidia_nccl_cu13-2.30.7-py3-none-manylinux_2_18_x86_64.whl
   cefa7fdb9710efd0f39c5f1be1d61ff6fc9a996c451265bd7fbdcf9455ed4b50"
  "nvidia-nvshmem-cu13==3.7.2 nvidia_nvshmem_cu13-3.7.2-py3-none-manylinux2014_x86_64.manylinux_2_17_x86_64.whl
   b9a4f843c62b5dded8ad33fd6d220e007dcd39f06cee549292f5ba14ce4c235c"
)

# FetchCuda CACHE: the folder appears whole or not at all. Wheels that are right stay until then.
FetchCuda() {
  [[ ! -d $cuda ]] || return 0 # another process has just done it
  local cache=$1 wheels=$1/cuda-wheels aside=$1/cuda-aside entry requirement file sha256 paths free
  free=$(df -Pk -- "$cache" | awk 'NR == 2 {print int($4 / 1024)}')
  ((free >= 12288)) || Die "$cache has $free MB free; the CUDA build needs 12 GB while it is set up. AHA_CACHE=DIR moves it."
  rm -rf -- "$aside"
  mkdir -p -- "$wheels" "$aside/wheel"
  for entry in "${kCudaWheels[@]}" "${kWheels[-1]}"; do
    read -r -d '' requirement file sha256 paths <<<"$entry" || true
    [[ -n $paths ]] || paths='nvidia/*'
    if [[ $requirement == torch==* ]]; then paths='torch/include/* torch/lib/*'; fi
    FetchWheel "$requirement" "$wheels/$file" "$sha256" "$cache/pip.log"
    UnpackWheel "$wheels/$file" "$aside/wheel" "$cache/unzip.log" "$paths"
  done
  Arrange "$aside"
  sync -f "$aside"
  mv -- "$aside" "$cuda"
  rm -rf -- "$wheels"
  Say "CUDA $kCudaVersion and LibTorch $kLibTorchVersion for it are in $cuda"
}

# Arrange FOLDER: one toolkit of all wheels, and LibTorch with its libraries' neighbours beside them, where they look.
Arrange() {
  local toolkit=$1/toolkit libtorch=$1/libtorch part library
  mv -- "$1/wheel/nvidia/cu13" "$toolkit"
  for part in cudnn cusparselt nccl nvshmem; do cp -al -- "$1/wheel/nvidia/$part/." "$toolkit/"; done
  mv -- "$1/wheel/torch" "$libtorch"
  rm -rf -- "$1/wheel"
  ln -s lib "$toolkit/lib64"
  chmod +x "$toolkit"/bin/* "$toolkit"/nvvm/bin/*
  for library in "$toolkit"/lib/*.so.*; do
    part=$(basename -- "$library")
    [[ -e $toolkit/lib/${part%%.so.*}.so ]] || ln -s "$part" "$toolkit/lib/${part%%.so.*}.so" # for the linker
    ln -s "../../toolkit/lib/$part" "$libtorch/lib/$part"
  done
}

cache=$(Cache)
cuda=$cache/cuda-$kCudaVersion-libtorch-$kLibTorchVersion
[[ -d $cuda ]] || WithLock "$cache/lock" FetchCuda "$cache"
if [[ ${1-} == --folder ]]; then
  printf '%s\n' "$cuda"
else
  Say "configure with: cmake --preset cuda -DAHA_CUDA_ROOT=$cuda"
  Say "build with:     cmake --build --preset cuda --target aha"
fi
