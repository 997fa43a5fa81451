# shellcheck shell=bash
# Sourced by tools/setup.sh: finds or fetches the pinned LibTorch and sets $libtorch to its folder.
# CPU work needs libtorch_cpu, libc10, what they load, and the headers: 0.5 GB of the wheels, the rest is left out.

kLibTorchVersion=2.15.0

# Requirement, file, SHA-256, then the paths that are wanted from it.
kWheels=(
  "nvidia-cuda-runtime==13.2.86
   nvidia_cuda_runtime-13.2.86-py3-none-manylinux2014_x86_64.manylinux_2_17_x86_64.whl
   3498247680dfddce31bad102af7e3e26fc795342a3cac64722bb0fa95e7f60f0
   nvidia/cu13/lib/libcudart.so.13"
  "nvidia-cuda-cupti==13.2.86
   nvidia_cuda_cupti-13.2.86-py3-none-manylinux_2_25_x86_64.whl
   8fa29f15dd8336181f961764d9d95236fc6b931dd0c8fcf8cd70aab0c310b586
   nvidia/cu13/lib/libcupti.so.13"
  "torch==2.15.0
   torch-2.15.0-cp311-cp311-manylinux_2_28_x86_64.whl
   48c2d861134c0b5697c7602cb5ffa68f62a2989fdcd1717e593356f67996ca1e
   torch/include/* torch/lib/libtorch_cpu.so torch/lib/libc10.so torch/lib/libgomp.so.1 torch/lib/libgfortran.so.5"
)

EnsureLibTorch() {
  if [[ -n ${AHA_LIBTORCH-} ]]; then
    [[ -d $AHA_LIBTORCH ]] || Die "AHA_LIBTORCH=$AHA_LIBTORCH is not a folder. Correct or unset it."
    libtorch=$(cd -- "$AHA_LIBTORCH" && pwd)
    CheckLibTorch "AHA_LIBTORCH=$libtorch"
    return
  fi
  local cache
  cache=$(Cache)
  libtorch=$cache/libtorch-$kLibTorchVersion
  if [[ ! -d $libtorch ]]; then WithLock "$cache/lock" FetchLibTorch "$cache"; fi
  CheckLibTorch "$libtorch (remove it to fetch it again)"
}

# CheckLibTorch NAME: $libtorch is whole and of the pinned version.
CheckLibTorch() {
  local file version=$libtorch/include/torch/headeronly/version.h
  for file in include/ATen/ATen.h lib/libtorch_cpu.so lib/libc10.so; do
    [[ -f $libtorch/$file ]] || Die "LibTorch in $1 lacks $file."
  done
  local found
  found=$(awk '/define TORCH_VERSION_(MAJOR|MINOR) / {printf "%s%s", dot, $3; dot = "."}' "$version" 2>/dev/null || true)
  [[ $found == "${kLibTorchVersion%.*}" ]] ||
    Die "LibTorch in $1 is version ${found:-unknown}; Aha needs ${kLibTorchVersion%.*}."
}

# FetchLibTorch CACHE: the folder appears whole or not at all. Wheels that are right stay until then, so that an
# interrupted set-up goes on where it was.
FetchLibTorch() {
  [[ ! -d $libtorch ]] || return 0 # another process has just done it
  local cache=$1 wheels=$1/wheels aside=$1/libtorch-aside wheel free
  free=$(df -Pk -- "$cache" | awk 'NR == 2 {print int($4 / 1024)}')
  ((free >= 2048)) || Die "$cache has $free MB free; LibTorch needs 2 GB while it is set up. AHA_CACHE=DIR moves it."
  rm -rf -- "$aside"
  mkdir -p -- "$wheels" "$aside/lib" "$aside/wheel"
  for wheel in "${kWheels[@]}"; do
    local requirement file sha256 paths
    read -r -d '' requirement file sha256 paths <<<"$wheel" || true
    FetchWheel "$requirement" "$wheels/$file" "$sha256" "$cache/pip.log"
    UnpackWheel "$wheels/$file" "$aside/wheel" "$cache/unzip.log" "$paths"
  done
  mv -- "$aside/wheel/torch/include" "$aside/include"
  mv -- "$aside"/wheel/torch/lib/* "$aside"/wheel/nvidia/cu13/lib/* "$aside/lib/" # one folder: they look beside themselves
  rm -rf -- "$aside/wheel"
  sync -f "$aside"
  mv -- "$aside" "$libtorch"
  rm -rf -- "$wheels"
  Say "LibTorch $kLibTorchVersion is in $libtorch"
}

# FetchWheel REQUIREMENT FILE SHA256 LOG
FetchWheel() {
  if HasSum "$2" "$3"; then return; fi
  local folder attempt
  folder=$(dirname -- "$2")
  for attempt in 0 3 6; do
    sleep "$attempt"
    rm -rf -- "$2" "$folder/tmp"
    mkdir -p -- "$folder/tmp"
    Say "fetching $1 from PyPI (log: $4)"
    if TMPDIR=$folder/tmp Pip "$1" "$folder" "$4" && HasSum "$2" "$3"; then
      rm -rf -- "$folder/tmp"
      return
    fi
  done
  if [[ -f $2 ]]; then
    rm -f -- "$2"
    Die "$(basename -- "$2") from PyPI does not have the expected SHA-256 $3. Check the network or the package index."
  fi
  grep -E 'ERROR|Could not' "$4" 2>/dev/null | tail -n 3 | cut -d ' ' -f 2- | cut -c -300 >&2 || true
  Die "could not fetch $1 ($(basename -- "$2")) from https://pypi.org (log: $4). Check the network, or set" \
    "AHA_LIBTORCH=DIR to a LibTorch $kLibTorchVersion that is already here."
}

# UnpackWheel FILE FOLDER LOG PATHS: PATHS are patterns of what is wanted, several words.
UnpackWheel() {
  Say "unpacking $(basename -- "$1")"
  set -f # unzip matches the patterns, not the shell
  # shellcheck disable=SC2086
  unzip -q -o "$1" $4 -d "$2" >"$3" 2>&1 </dev/null || Die "could not unpack $1 (log: $3). Is the disk full?"
  set +f
}

HasSum() { [[ -f $1 && $(sha256sum <"$1") == "$2  -" ]]; }

# Pip REQUIREMENT FOLDER LOG: the progress bar goes to a terminal only.
Pip() {
  local screen=/dev/null
  if [[ -t 2 ]]; then screen=/dev/stderr; fi
  PIP_REQUIRE_VIRTUALENV=0 python3 -m pip download --no-deps --no-cache-dir --no-input --retries 1 \
    --disable-pip-version-check --only-binary=:all: --implementation cp --python-version 3.11 \
    --platform manylinux_2_28_x86_64 --platform manylinux_2_27_x86_64 --platform manylinux_2_25_x86_64 \
    --platform manylinux_2_18_x86_64 --platform manylinux_2_17_x86_64 --platform manylinux2014_x86_64 --log "$3" --dest "$2" "$1" >"$screen" 2>&1 </dev/null
}
